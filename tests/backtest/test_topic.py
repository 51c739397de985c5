"""A topic as a source: whatever is committed and still there, in the window, in order, and without a trace."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from backtest.history import HistorySource
from backtest.judges import seated
from backtest.result import SCORES
from backtest.run import Request, Run
from backtest.source import Offsets, SourceError, Window
from backtest.topic import TopicSource
from backtest.verdicts import frauds_of, labels_of_topic
from kit.bank import Bank
from models.policy import Policy
from schemas.codec import encode
from schemas.history import scan_labels
from schemas.label import Label
from simulator.encode import encode as encoded
from stream.librdkafka import admin, reader
from stream.settings import ProducerSettings
from stream.transactions import make_producer

pytestmark = pytest.mark.broker
EVERYTHING = Window()


def source_of(bank: Bank, tokeniser, window: Window = EVERYTHING, first=None, end=None) -> TopicSource:
    return TopicSource(bank.kafka, bank.topics.transactions, tokeniser, window, Offsets(first or {}, end or {}))


def passed(source: TopicSource) -> dict[int, list[str]]:
    """Ids by partition, in the order in which they pass; their times ascend."""
    found = {}
    for partition in source.partitions:
        slabs = list(source.read(partition, None, lambda count: None))
        times = [time for slab in slabs for time in slab.times.tolist()]
        assert times == sorted(times)
        found[partition] = [identity for slab in slabs for identity in slab.batch.ids]
    return found


def all_of(parts: dict[int, list[str]]) -> list[str]:
    return sorted(identity for ids in parts.values() for identity in ids)


def publish_in_transactions(bank: Bank, payments: pl.DataFrame, *, abort: Sequence[int]) -> None:
    """A thousand payments in each transaction; those numbered in `abort` do not count."""
    ours = {"transactional.id": bank.name, "compression.type": "zstd", "partitioner": "murmur2_random"}
    producer = Producer({**admin(bank.kafka), **ours})
    producer.init_transactions(10)
    for number, part in enumerate(payments.iter_slices(1_000)):
        producer.begin_transaction()
        for key, value in zip(part["payer"].to_list(), encoded(part), strict=True):
            producer.produce(bank.topics.transactions, value, key)
        if number in abort:
            producer.flush(10)
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)


def test_a_topic_comes_out_as_the_history_that_was_published(bank, world, candidate, tokeniser, tmp_path):
    bank.publish(world.payments)
    bank.publish_raw([(b"nobody", b"{}"), (b"nobody", b"")])
    frauds = frauds_of(scan_labels(world.history), None)
    seats = seated(world.bundle, [candidate], Policy())
    scores = []
    for name, source in {
        "topic": source_of(bank, tokeniser),
        "history": HistorySource(world.history, tokeniser, EVERYTHING),
    }.items():
        request = Request(name, source, EVERYTHING, seats, frauds, tokeniser)
        run = Run(request, tmp_path / name, threading.Event(), lambda count: None)
        run()
        assert run.unreadable == (2 if name == "topic" else 0)
        found = pl.read_parquet(tmp_path / name / SCORES).drop("partition", "offset")
        # Of one moment, a topic's payments pass by partition and a history's by id.
        alone = found.filter(pl.len().over("event_time") == 1)
        scores.append(alone.sort("event_time"))
    assert scores[0].equals(scores[1], null_equal=True)
    assert scores[0].height > 0.99 * world.payments.height


def test_only_what_was_committed_is_read_of_a_compressed_transactional_topic(bank, world, tokeniser):
    payments = world.payments.head(10_000)
    publish_in_transactions(bank, payments, abort=(0, 4, 9))
    counted = pl.int_range(pl.len()) // 1_000
    expected = payments.filter(~counted.is_in([0, 4, 9]))
    assert all_of(passed(source_of(bank, tokeniser))) == sorted(expected["transaction_id"])


def test_a_payers_payments_pass_in_the_order_of_the_topic(bank, world, tokeniser):
    payments = world.payments.head(5_000)
    bank.publish(payments)
    for ids in passed(source_of(bank, tokeniser)).values():
        here = payments.filter(pl.col("transaction_id").is_in(ids))
        assert here["transaction_id"].to_list() == ids


def test_the_window_is_of_event_time_with_its_warm_up(bank, world, tokeniser):
    bank.publish(world.payments)
    times = world.payments["event_time"]
    start, end = int(times[12_000]), int(times[18_000])
    window = Window(start, end, 3 * 86_400_000)
    expected = world.payments.filter(pl.col("event_time").is_between(start - 3 * 86_400_000, end, closed="left"))
    source = source_of(bank, tokeniser, window)
    assert all_of(passed(source)) == sorted(expected["transaction_id"])
    # Read from the first offset on, since all were published just now; but what came before the warm-up is left out.
    assert not any(source.whole(partition) for partition in source.partitions)
    everything_before = source_of(bank, tokeniser, Window(start, end))
    assert all(everything_before.whole(partition) for partition in source.partitions)


def test_a_partition_ends_soon_after_the_window(bank, world, tokeniser, monkeypatch):
    monkeypatch.setattr("backtest.topic.SLAB", 500)
    monkeypatch.setattr("backtest.topic.FETCH", 100)
    bank.publish(world.payments)
    end = int(world.payments["event_time"][6_000])
    source, read = source_of(bank, tokeniser, Window(None, end)), []
    for partition in source.partitions:
        list(source.read(partition, None, read.append))
    assert sum(read) < 0.6 * source.total
    expected = world.payments.filter(pl.col("event_time") < end)
    assert all_of(passed(source)) == sorted(expected["transaction_id"])


def test_offsets_bound_it_too(bank, world, tokeniser):
    bank.publish(world.payments.head(6_000))
    whole = passed(source_of(bank, tokeniser))
    first, end = dict.fromkeys(whole, 100), dict.fromkeys(whole, 700)
    assert passed(source_of(bank, tokeniser, EVERYTHING, first, end)) == {p: ids[100:700] for p, ids in whole.items()}


def test_times_of_publication_spare_the_reader_what_lies_before(bank, world, tokeniser):
    payments = world.payments.head(6_000)
    records = zip(payments["payer"].to_list(), encoded(payments), payments["event_time"].to_list(), strict=True)
    bank.publish_raw([(payer.encode(), value, time) for payer, value, time in records])
    start = int(payments["event_time"][4_000])
    source = source_of(bank, tokeniser, Window(start, None, 0))
    assert source.total < 2_500
    assert all_of(passed(source)) == sorted(payments.filter(pl.col("event_time") >= start)["transaction_id"])


def test_what_retention_removed_is_told(bank, world, tokeniser):
    bank.publish(world.payments.head(6_000))
    whole = passed(source_of(bank, tokeniser))
    assert source_of(bank, tokeniser).notes == ()
    bank.expire(300)
    source = source_of(bank, tokeniser)
    assert passed(source) == {partition: ids[300:] for partition, ids in whole.items()}
    assert len(source.notes) == bank.partitions
    assert "begins at offset 300" in source.notes[0]
    assert not any(source.whole(partition) for partition in source.partitions)


def test_an_empty_topic_is_refused(bank, tokeniser):
    with pytest.raises(SourceError, match="holds nothing"):
        source_of(bank, tokeniser)


def test_labels_come_from_their_topic_and_the_last_word_counts(bank, world):
    about = {"payer": "asha@bank", "payee": "m@bank", "event_time": 1_700_000_000_000}
    labels = [
        Label(transaction_id="a", is_fraud=True, kind="app_scam", known_at=1_700_000_100_000, **about),
        Label(transaction_id="b", is_fraud=True, kind="sim_swap", known_at=1_700_000_200_000, **about),
        Label(transaction_id="b", is_fraud=False, known_at=1_700_000_300_000, **about),
        Label(transaction_id="c", is_fraud=False, known_at=1_700_000_100_000, **about),
    ]
    writer = make_producer(bank.kafka, ProducerSettings(guarantee="at_least_once"), "verdicts", None)
    for label in labels:
        writer.send(bank.topics.labels, label.payer.encode(), encode(label))
    writer.send(bank.topics.labels, b"x", b"no label")
    writer.close()
    found = labels_of_topic(bank.kafka, bank.topics.labels)
    assert found.collect().height == 4
    assert frauds_of(found, None).rows() == [("a", True, "app_scam", 1_700_000_100_000)]
    assert frauds_of(found, 86_400_000)["known_at"].to_list() == [1_700_086_400_000]


def trace(bank: Bank) -> tuple[object, ...]:
    """What anybody could have changed: offsets of every topic, groups and what they committed, files of state."""
    client = AdminClient(admin(bank.kafka))
    consumer = Consumer(reader(bank.kafka))
    # The brokers' own topics, on which they keep house, are seen by what groups and committed offsets are.
    names = sorted(name for name in client.list_topics(timeout=10).topics if not name.startswith("__"))
    ends = {}
    for name in names:
        for partition in client.list_topics(name, timeout=10).topics[name].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)
            # Other tests' topics hold payments of long ago, whose beginnings retention may take at any time.
            ends[name, partition] = (low if name.startswith(bank.name) else None, high)
    consumer.close()
    groups = sorted(group.group_id for group in client.list_consumer_groups().result().valid)
    offsets = {agent: bank.offsets(agent) for agent in ("scoring", "entities")}
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(bank.home).rglob("*"))
        if path.is_file() and not path.is_relative_to(bank.home / "out")
    }
    return names, ends, groups, offsets, files


@pytest.mark.slow
def test_a_backtest_leaves_no_trace_on_topics_groups_or_state(bank, world, candidate, command):
    bank.publish(world.payments.head(8_000))
    worker = bank.worker()
    bank.finish()
    bank.stop()
    assert worker.process.returncode == 0
    before = trace(bank)
    common = ("--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.", "--model", world.bundle)
    common += ("--token-key-file", world.key)
    out = bank.home / "out"
    for extra in (("--candidate", candidate, "--out", out / "compared"), ("--verify", "--out", out / "verified")):
        done = command("backtest", *common, *extra)
        assert done.returncode == 0, done.stderr
    assert trace(bank) == before
    assert {path.name for path in out.iterdir()} == {"compared", "verified"}
