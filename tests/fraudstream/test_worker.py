"""The worker as a process: what it decides, how it ends, and what a kill leaves behind."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from models.engine import REDO
from models.fingerprint import fingerprints
from models.history import featurise
from models.payer_state import PAYER, PAYER_CODEC
from models.tokens import Tokeniser
from schemas.codec import decode_alert
from schemas.decision import decode_decisions
from simulator.publish import PublishSettings, publish
from stream.changelog import POSITION_KEY
from stream.librdkafka import reader
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics

pytestmark = [pytest.mark.broker, pytest.mark.slow]
PARTITIONS = 3


@pytest.fixture
def topics(broker, topic_name) -> Topics:
    topics = Topics.named(prefix=f"{topic_name}.", app=topic_name)
    create_topics(KafkaSettings(broker.bootstrap_servers), topics, partitions=PARTITIONS)
    return topics


def read_all(broker, topic):
    """Every committed record of a topic, in the order of each partition."""
    consumer = Consumer(reader(KafkaSettings(broker.bootstrap_servers)))
    partitions = list(consumer.list_topics(topic).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    ended, messages = set(), []
    while len(ended) < len(partitions):
        for message in consumer.consume(10_000, timeout=1):
            if message.error():
                ended.add(message.partition())
            else:
                messages.append(message)
    consumer.close()
    return messages


def decided(broker, topics):
    frames = [
        rows.with_columns(pl.lit(meta.partition).alias("partition"))
        for meta, rows in (decode_decisions(message.value()) for message in read_all(broker, topics.decisions))
    ]
    return pl.concat(frames) if frames else pl.DataFrame({"offset": []})


def places_decided(broker, topics):
    """Source records that have a decision, each counted once."""
    decisions = decided(broker, topics)
    return decisions.select("partition", "offset").unique().height if decisions.height else 0


def payments_in_state(broker, topics):
    """Payments that the payers' latest records on the changelog have counted, in total."""
    latest = {m.key(): m.value() for m in read_all(broker, topics.scoring_changelog) if m.key() != POSITION_KEY}
    records = np.zeros(len(latest), dtype=PAYER)
    PAYER_CODEC.decode(list(latest.values()), records, np.arange(len(latest)))
    return records["payments"].sum()


def test_a_worker_that_is_killed_again_and_again_neither_loses_nor_repeats(
    broker, world, topics, start_worker, eventually
):
    payments = world.payments.head(12_000)
    publish([payments], PublishSettings(broker.bootstrap_servers, topics.transactions))
    for place in ("computed:4", "produced:1", "offsets-added:4", "committed:4", "persisted:4"):
        worker = start_worker("--max-batch", "400", failpoint=f"scoring/{place}")
        assert worker.process.wait(90) == -9, worker.output()
    worker = start_worker("--max-batch", "400")
    eventually(lambda: places_decided(broker, topics) == payments.height, "every payment to be decided")
    assert worker.stop() == 0, worker.output()

    decisions = decided(broker, topics)
    assert decisions.height == payments.height == decisions.select("partition", "offset").unique().height
    assert set(decisions["transaction_id"]) == set(payments["transaction_id"])
    alerts = [decode_alert(message.value()) for message in read_all(broker, topics.alerts)]
    assert Counter(alert.transaction_id for alert in alerts) == Counter(
        decisions.filter("flagged")["transaction_id"].to_list()
    )
    assert len(alerts) > 50
    leads = {"model": "The model's score is ", "rule": "The rule “", "second_opinion": "The payment is unlike"}
    assert all(alert.summary and alert.summary.startswith(leads[alert.decided_by]) for alert in alerts)

    # The oracle: the same engine in memory, in one go.
    history = featurise(payments, tokeniser=Tokeniser.load(world.key))
    expected = pl.DataFrame(
        {"transaction_id": history.payments["transaction_id"], "expected": fingerprints(history.features)}
    )
    compared = decisions.join(expected, on="transaction_id")
    assert compared.filter(pl.col("features_hash") != pl.col("expected")).height == 0
    assert payments_in_state(broker, topics) == payments.height


def test_at_least_once_repeats_alerts_only_under_their_ids_and_counts_payments_once(
    broker, world, topics, start_worker, eventually
):
    payments = world.payments.head(6_000)
    publish([payments], PublishSettings(broker.bootstrap_servers, topics.transactions))
    options = ("--max-batch", "400", "--guarantee", "at_least_once")
    # Results acknowledged and state not; then state written and offsets not.
    for failpoint in ("scoring/produced:3", "scoring/offsets-added:4"):
        worker = start_worker(*options, failpoint=failpoint)
        assert worker.process.wait(90) == -9, worker.output()
    worker = start_worker(*options)
    eventually(lambda: places_decided(broker, topics) == payments.height, "every payment to be decided")
    assert worker.stop() == 0, worker.output()

    decisions = decided(broker, topics)
    redone = decisions.filter(pl.col("status") & REDO != 0)
    assert redone.height > 0
    assert decisions.height > payments.height + redone.height, "those of the first kill were judged again"
    assert not redone["flagged"].any(), "their alerts were acknowledged before their state was written"
    alerts = [decode_alert(message.value()) for message in read_all(broker, topics.alerts)]
    assert len(alerts) == decisions["flagged"].sum()
    assert {alert.transaction_id for alert in alerts} == set(decisions.filter("flagged")["transaction_id"])
    assert len({alert.alert_id for alert in alerts}) == len({alert.transaction_id for alert in alerts})
    assert payments_in_state(broker, topics) == payments.height


def test_a_worker_ends_on_sigterm_and_says_when_it_is_ready(broker, world, topics, start_worker, eventually):
    worker = start_worker()
    eventually(lambda: worker.health("ready")[0] == 200, "the worker to be ready")
    assert worker.health("live") == (200, {"loop": True, "steps": True})
    assert worker.stop(timeout_s=10) == 0
    lines = [json.loads(line) for line in worker.output().splitlines()]
    assert lines[-1]["event"] == "worker stopped"


def test_a_second_worker_on_the_same_slot_leaves_the_first_alone(broker, world, topics, start_worker, eventually):
    first = start_worker()
    eventually(lambda: first.health("ready")[0] == 200, "the worker to be ready")
    second = start_worker()
    assert second.process.wait(60) == 1
    assert "another worker uses the state directory" in second.output()
    assert first.health("ready")[0] == 200
    assert first.stop() == 0


def test_a_worker_without_topics_says_which_command_makes_them(broker, world, start_worker):
    worker = start_worker()
    assert worker.process.wait(60) == 1
    assert "fraudstream topics create" in worker.output()


def test_a_worker_with_a_tampered_model_does_not_start(broker, world, topics, start_worker, tmp_path):
    bundle = tmp_path / "tampered"
    bundle.mkdir()
    for file in world.bundle.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    with (bundle / "model.ubj").open("ab") as model:
        model.write(b"x")
    worker = start_worker("--model", str(bundle))
    assert worker.process.wait(60) == 1
    assert "model.ubj" in worker.output()


def test_two_workers_share_the_payments_and_one_takes_over_from_the_other(
    broker, world, topics, start_worker, eventually
):
    payments = world.payments.head(9_000)
    half = payments.height // 2
    first = start_worker("--slot", "0", "--max-batch", "300")
    second = start_worker("--slot", "1", "--max-batch", "300")
    for worker in (first, second):
        eventually(lambda worker=worker: worker.health("ready")[0] == 200, "both to be ready")
    publish([payments.head(half)], PublishSettings(broker.bootstrap_servers, topics.transactions))
    eventually(lambda: decided(broker, topics).height >= half, "the first half to be decided")
    assert second.stop() == 0
    publish([payments.tail(payments.height - half)], PublishSettings(broker.bootstrap_servers, topics.transactions))
    eventually(lambda: decided(broker, topics).height >= payments.height, "the rest to be decided by the one left")
    decisions = decided(broker, topics)
    assert decisions.select("partition", "offset").unique().height == decisions.height == payments.height
    assert first.stop() == 0
