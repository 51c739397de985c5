"""One contract over both producers, and what only the transactional one promises."""

import os
import signal
import time

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream import librdkafka
from stream.errors import Fenced, Retry, Stop, translated
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings, SettingsError
from stream.transactions import AtLeastOnce, OutputProducer, make_producer

pytestmark = pytest.mark.broker
WAIT_S = 30.0


class Group:
    """A consumer group of one that is a member: only a member's offsets can join a transaction."""

    def __init__(self, kafka: KafkaSettings, source: str) -> None:
        self.source = source
        self.consumer = Consumer(librdkafka.group_consumer(kafka, ConsumerSettings(), "agent"))
        self.consumer.subscribe([source])
        while not self.consumer.assignment():
            self.consumer.poll(0.1)

    @property
    def group_metadata(self):
        return self.consumer.consumer_group_metadata()

    def commit_later(self, offsets) -> None:
        self.consumer.commit(offsets=list(offsets), asynchronous=False)

    def at(self, offset: int) -> list[TopicPartition]:
        return [TopicPartition(self.source, 0, offset)]

    def committed(self) -> int:
        """Waits for a coordinator that has just come back."""
        until = time.monotonic() + WAIT_S
        while True:
            try:
                return self.consumer.committed([TopicPartition(self.source, 0)], timeout=WAIT_S)[0].offset
            except KafkaException as error:
                if not isinstance(translated(error, "asking"), Retry) or time.monotonic() > until:
                    raise
                time.sleep(0.1)


@pytest.fixture
def source(make_topic) -> str:
    return make_topic("-source")


@pytest.fixture
def results(make_topic) -> str:
    return make_topic("-results")


@pytest.fixture
def changelog(make_topic) -> str:
    return make_topic("-changelog")


@pytest.fixture
def group(kafka, source):
    group = Group(kafka, source)
    yield group
    group.consumer.close()


@pytest.fixture(params=["exactly_once", "at_least_once"])
def producer(request, kafka, changelog):
    producer = make_producer(kafka, ProducerSettings(guarantee=request.param), "agent", changelog)
    yield producer
    producer.close()


@pytest.fixture
def exactly_once(kafka, changelog):
    producer = make_producer(kafka, ProducerSettings(), "agent", changelog)
    yield producer
    producer.close()


def step(producer: OutputProducer, group: Group, results: str, value: bytes, offset: int) -> None:
    producer.begin()
    producer.send(results, b"k", value)
    producer.commit(group, group.at(offset))


def values(messages) -> list[bytes]:
    return [message.value() for message in messages]


def test_what_is_committed_is_there_with_its_offsets(producer, group, results, changelog, read_committed):
    places: list[int] = []
    for n in range(3):
        producer.begin()
        producer.send(results, b"k", b"%d" % n, headers=[("h", b"1")])
        producer.send_bulk(results, [{"key": b"b", "value": b"bulk", "partition": 0}] * 2)
        producer.send_changes(changelog, [(b"a", b"changed"), (b"b", None)], partition=0)
        producer.send(changelog, b"c", b"%d" % n, partition=0, sent=places.append)
        producer.commit(group, group.at(n + 1))
    assert values(read_committed(results)) == [b"0", b"bulk", b"bulk", b"1", b"bulk", b"bulk", b"2", b"bulk", b"bulk"]
    stored = read_committed(changelog)
    assert [(message.key(), message.value()) for message in stored[-3:]] == [
        (b"a", b"changed"),
        (b"b", None),
        (b"c", b"2"),
    ]
    assert [message.offset() for message in stored[2::3]] == places
    assert group.committed() == 3


def test_an_aborted_step_moves_no_offset_and_the_next_one_works(producer, group, results, changelog, read_committed):
    producer.begin()
    producer.send(results, b"k", b"aborted")
    producer.send(changelog, b"k", b"aborted", partition=0)
    producer.abort()
    assert group.committed() < 0
    assert values(read_committed(changelog)) == []
    step(producer, group, results, b"kept", 1)
    found = values(read_committed(results))
    assert found[-1] == b"kept"
    assert found.count(b"kept") == 1
    assert group.committed() == 1
    if not isinstance(producer, AtLeastOnce):
        assert found == [b"kept"]


@pytest.mark.parametrize("bulk", [False, True])
def test_a_record_that_no_broker_takes_is_an_error_and_no_endless_wait(producer, group, results, bulk, read_committed):
    huge = b"x" * (9 * 2**20)
    producer.begin()

    def send() -> None:
        if bulk:
            producer.send_bulk(results, [{"key": None, "value": b"small"}, {"key": None, "value": huge}])
        else:
            producer.send(results, None, huge)

    with pytest.raises(Stop, match="too large"):
        send()
    producer.abort()
    step(producer, group, results, b"next", 1)
    assert values(read_committed(results))[-1] == b"next"


def test_each_record_of_a_batch_goes_to_the_partition_it_names(producer, group, make_topic, read_committed):
    results = make_topic("-parts", partitions=4)
    producer.begin()
    for _ in range(5):
        producer.send_bulk(results, [{"key": None, "value": b"%d" % p, "partition": p} for p in (3, 0, 2, 1)])
    producer.commit(group, group.at(1))
    found = read_committed(results, 4)
    assert sorted((message.partition(), message.value()) for message in found) == [
        (p, b"%d" % p) for p in range(4) for _ in range(5)
    ]


def test_more_records_than_the_queue_holds_are_all_sent(kafka, group, results, read_committed):
    settings = ProducerSettings(queue_messages=1_000)
    producer = make_producer(kafka, settings, "agent", None)
    producer.begin()
    producer.send_bulk(results, [{"key": None, "value": b"%d" % n, "partition": 0} for n in range(3_500)])
    producer.commit(group, group.at(1))
    assert values(read_committed(results)) == [b"%d" % n for n in range(3_500)]
    producer.close()


def test_results_are_acknowledged_before_the_changelog_is_written(kafka, group, results, changelog, read_committed):
    """In at-least-once; a crash between the two repeats a result and loses none."""
    producer = make_producer(kafka, ProducerSettings(guarantee="at_least_once"), "agent", changelog)
    producer.begin()
    producer.send(changelog, b"k", b"state", partition=0)
    producer.send(results, b"k", os.urandom(2 * 2**20))  # above what the topic takes: refused by the broker
    with pytest.raises(Stop):
        producer.commit(group, group.at(1))
    producer.abort()
    assert read_committed(changelog) == []
    assert group.committed() < 0
    producer.close()


def test_a_successor_with_the_same_slot_fences_the_first(kafka, exactly_once, group, results, read_committed):
    exactly_once.begin()
    exactly_once.send(results, b"k", b"zombie")
    successor = make_producer(kafka, ProducerSettings(), "agent", None)
    with pytest.raises(Fenced) as raised:
        exactly_once.commit(group, group.at(1))
    assert "slot" in raised.value.hint
    exactly_once.abort()
    step(successor, group, results, b"successor", 1)
    assert values(read_committed(results)) == [b"successor"]
    successor.close()


def test_offsets_of_a_consumer_that_lost_its_place_are_refused(kafka, exactly_once, source, results, read_committed):
    zombie = Group(kafka, source)
    exactly_once.begin()
    exactly_once.send(results, b"k", b"zombie")
    heir = Group(kafka, source)  # the same group.instance.id takes the place over
    with pytest.raises((Retry, Fenced)):
        exactly_once.commit(zombie, zombie.at(1))
    exactly_once.abort()
    assert read_committed(results) == []
    assert heir.committed() < 0
    step(exactly_once, heir, results, b"heir", 1)
    assert values(read_committed(results)) == [b"heir"]
    for group in (zombie, heir):
        group.consumer.close()


@pytest.mark.slow
def test_after_a_commit_of_unknown_outcome_the_committed_offsets_tell(
    broker, kafka, changelog, group, results, read_committed
):
    settings = ProducerSettings(transaction_timeout_ms=3_000, message_timeout_ms=2_000)
    producer = make_producer(kafka, settings, "agent", changelog)
    step(producer, group, results, b"first", 1)
    producer.begin()
    producer.send(results, b"k", b"second")
    os.killpg(broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Retry):
            producer.commit(group, group.at(2))
        producer.abort()
    finally:
        os.killpg(broker.pid, signal.SIGCONT)
    known = group.committed()
    assert values(read_committed(results)) == [b"first", b"second"][:known]
    step(producer, group, results, b"third", known + 1)
    assert values(read_committed(results)) == [*[b"first", b"second"][:known], b"third"]
    assert group.committed() == known + 1
    producer.close()


def test_records_must_fail_before_their_transaction_does():
    with pytest.raises(SettingsError, match="message_timeout_ms"):
        ProducerSettings(transaction_timeout_ms=5_000, message_timeout_ms=5_000)
