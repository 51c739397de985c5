"""Publishing to a real broker, and what is said when there is none."""

import threading
from collections import defaultdict

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.codec import decode_transaction
from simulator.errors import SimulatorError
from simulator.publish import PublishSettings, publish


@pytest.fixture
def topic(broker, topic_name):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic_name, 3)])[topic_name].result(30)
    return topic_name


def read_all(servers, topic, partitions=3):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "enable.auto.commit": False})
    spans = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in range(partitions)}
    consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in spans.items()])
    wanted = sum(high - low for low, high in spans.values())
    records = []
    while len(records) < wanted:
        records += consumer.consume(wanted - len(records), timeout=10)
    consumer.close()
    return records


@pytest.mark.broker
def test_every_payment_arrives_once_keyed_by_its_payer_and_in_its_payers_order(broker, topic, history):
    settings = PublishSettings(broker.bootstrap_servers, topic)
    counted = []
    frames = [history.payments[:30_000], history.payments[30_000:]]
    result = publish(frames, settings, advance=counted.append)
    assert (result.payments, result.failed, result.late) == (60_000, 0, 0)
    assert sum(counted) == 60_000
    records = read_all(broker.bootstrap_servers, topic)
    by_payer, homes = defaultdict(list), defaultdict(set)
    for record in records:
        payment = decode_transaction(record.value())
        assert record.key().decode() == payment.payer
        by_payer[payment.payer].append(payment.transaction_id)
        homes[payment.payer].add(record.partition())
    assert all(len(partitions) == 1 for partitions in homes.values())
    expected = dict(history.payments.group_by("payer").agg("transaction_id").iter_rows())
    assert by_payer == expected


@pytest.mark.broker
def test_at_a_rate_every_payment_arrives_too(broker, topic, history):
    result = publish([history.payments[:500]], PublishSettings(broker.bootstrap_servers, topic, rate=1_000.0))
    assert (result.payments, result.failed) == (500, 0)
    assert len(read_all(broker.bootstrap_servers, topic)) == 500


@pytest.mark.broker
def test_a_stop_ends_an_endless_stream_and_what_was_sent_is_there(broker, topic, history):
    stop = threading.Event()
    sent = []

    def advance(count):
        sent.append(count)
        if sum(sent) >= 100:
            stop.set()

    def endless():
        while True:
            yield history.payments[:1_000]

    result = publish(
        endless(), PublishSettings(broker.bootstrap_servers, topic, rate=5_000.0), advance=advance, stop=stop
    )
    assert result.payments == sum(sent) == len(read_all(broker.bootstrap_servers, topic))


@pytest.mark.broker
def test_a_missing_topic_is_named_with_the_command_that_makes_it(broker, topic_name, history):
    with pytest.raises(SimulatorError, match=topic_name) as caught:
        publish([history.payments[:1]], PublishSettings(broker.bootstrap_servers, topic_name))
    assert "topics create" in caught.value.hint


@pytest.mark.broker
def test_an_error_while_making_payments_reaches_the_caller(broker, topic):
    def broken():
        yield pl.DataFrame({"payer": ["a"], "amount": [1]})
        raise ValueError("disk on fire")

    with pytest.raises(ValueError, match="disk on fire"):
        publish(broken(), PublishSettings(broker.bootstrap_servers, topic))


def test_a_broker_that_does_not_answer_is_an_error_with_a_hint(monkeypatch):
    monkeypatch.setattr("simulator.publish._METADATA_S", 0.5)
    with pytest.raises(SimulatorError, match=r"127\.0\.0\.1:1") as caught:
        publish([], PublishSettings("127.0.0.1:1"))
    assert "fraudstream broker start" in caught.value.hint
