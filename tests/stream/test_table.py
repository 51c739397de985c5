"""A table is ready when it holds what its topic held at the start, and follows it from then on."""

import threading

import pytest
from confluent_kafka import Producer

from stream.errors import Stop, StreamError
from stream.settings import KafkaSettings
from stream.table import TopicFollower

pytestmark = pytest.mark.broker
WAIT_S = 30.0
TICK_S = 0.02


class Remembered:
    """A table in memory that can be slow, or fail. Implements `stream.table.Table`."""

    def __init__(self, offsets: dict[int, int] | None = None) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.offsets = dict(offsets or {})
        self.seen: list[bytes | None] = []
        self.may_apply = threading.Event()
        self.may_apply.set()
        self.failure: Exception | None = None

    def next_offset(self, partition: int) -> int:
        return self.offsets.get(partition, 0)

    def apply(self, partition, records, next_offset) -> None:
        assert self.may_apply.wait(WAIT_S)
        if self.failure is not None:
            raise self.failure
        for key, value in records:
            self.seen.append(value)
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.offsets[partition] = next_offset


@pytest.fixture
def follow(kafka):
    """`follow(topic, table, partitions=1)`: a follower that was started; stopped when the test ends."""
    followers = []

    def start(topic: str, table: Remembered, partitions: int = 1, at: KafkaSettings = kafka) -> TopicFollower:
        followers.append(TopicFollower(at, topic, partitions, table))
        followers[-1].start()
        return followers[-1]

    yield start
    for follower in followers:
        follower.stop()
        assert not follower._thread.is_alive()


def wait_for(condition) -> None:
    waiting = threading.Event()
    for _ in range(round(WAIT_S / TICK_S)):
        if condition():
            return
        waiting.wait(TICK_S)
    raise AssertionError("waited in vain")


def test_it_is_ready_once_it_holds_what_was_there(make_topic, publish, follow):
    topic = make_topic(partitions=3)
    for partition in range(3):
        publish(topic, [(b"%d-%d" % (partition, n), b"%d" % n) for n in range(2_000)], partition)
    table = Remembered()
    table.may_apply.clear()
    follower = follow(topic, table, 3)
    assert not follower.ready
    table.may_apply.set()
    wait_for(lambda: follower.ready)
    assert len(table.rows) == 6_000
    assert table.offsets == {0: 2_000, 1: 2_000, 2: 2_000}


def test_an_empty_topic_is_ready_and_then_followed(make_topic, publish, follow):
    topic, table = make_topic(partitions=2), Remembered()
    follower = follow(topic, table, 2)
    wait_for(lambda: follower.ready)
    publish(topic, [(b"late", b"1")], 1)
    wait_for(lambda: table.rows == {b"late": b"1"})
    assert follower.ready


def test_the_last_value_counts_and_a_tombstone_removes(make_topic, publish, follow):
    topic, table = make_topic(**{"cleanup.policy": "compact"}), Remembered()
    publish(topic, [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"c", None)], 0)
    follower = follow(topic, table)
    wait_for(lambda: follower.ready)
    assert table.rows == {b"a": b"2"}


def test_it_goes_on_from_its_checkpoint(make_topic, publish, follow):
    topic = make_topic()
    publish(topic, [(b"a", b"%d" % n) for n in range(10)], 0)
    table = Remembered({0: 7})
    follower = follow(topic, table)
    wait_for(lambda: follower.ready)
    assert table.seen == [b"7", b"8", b"9"]


def test_a_checkpoint_at_the_end_is_ready_with_nothing_new(make_topic, publish, follow):
    topic = make_topic()
    publish(topic, [(b"a", b"1")], 0)
    table = Remembered({0: 1})
    follower = follow(topic, table)
    wait_for(lambda: follower.ready)
    assert table.seen == []


def test_a_checkpoint_beyond_the_end_is_of_another_topic(make_topic, publish, follow):
    topic = make_topic()
    publish(topic, [(b"a", b"1")], 0)
    table = Remembered({0: 500})
    follower = follow(topic, table)
    wait_for(lambda: follower.ready)
    assert table.rows == {b"a": b"1"}


@pytest.fixture
def transactions(kafka, topic_name):
    """A transactional producer."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_name, "linger.ms": 1})
    producer.init_transactions(WAIT_S)
    return producer


def test_commit_markers_and_aborted_records_at_the_end_do_not_keep_it_waiting(make_topic, transactions, follow):
    topic, table = make_topic(), Remembered()
    for n, end in enumerate(("commit", "commit", "abort", "abort")):
        transactions.begin_transaction()
        transactions.produce(topic, b"%d" % n, b"key%d" % n, partition=0)
        assert transactions.flush(WAIT_S) == 0
        getattr(transactions, f"{end}_transaction")(WAIT_S)
    follower = follow(topic, table)
    wait_for(lambda: follower.ready)
    assert table.rows == {b"key0": b"0", b"key1": b"1"}


def test_what_is_not_committed_is_not_seen_and_comes_later(make_topic, publish, transactions, follow):
    topic, table = make_topic(), Remembered()
    publish(topic, [(b"a", b"1")], 0)
    transactions.begin_transaction()
    transactions.produce(topic, b"2", b"a", partition=0)
    assert transactions.flush(WAIT_S) == 0
    follower = follow(topic, table)
    wait_for(lambda: follower.ready)
    assert table.rows == {b"a": b"1"}
    transactions.commit_transaction(WAIT_S)
    wait_for(lambda: table.rows == {b"a": b"2"})


@pytest.mark.parametrize("failure", [Stop("the disk is full", hint="empty it"), RuntimeError("a mistake")])
def test_a_table_that_cannot_keep_records_says_so_and_is_not_ready(make_topic, publish, follow, failure):
    topic, table = make_topic(), Remembered()
    table.failure = failure
    publish(topic, [(b"a", b"1")], 0)
    follower = follow(topic, table)
    wait_for(lambda: follower.failure is not None)
    assert isinstance(follower.failure, StreamError)
    assert follower.failure.hint
    assert not follower.ready


def test_a_topic_that_is_not_there_is_an_error_and_no_endless_wait(topic_name, follow):
    follower = follow(topic_name, Remembered())
    wait_for(lambda: follower.failure is not None)
    assert not follower.ready
