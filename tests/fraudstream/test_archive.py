"""The archiver as a process: what lies in the lake after kills is what was on the topics, each record once."""

import random
import re

import polars as pl
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from kit.decisions import decisions
from kit.object_store import BUCKET
from kit.world import frames_of
from schemas.codec import check_key, decode_label, decode_transaction, encode
from schemas.decision import decode_decisions
from schemas.errors import DecodeError
from schemas.label import Label
from schemas.lake import TOPICS, gaps
from schemas.transaction import Transaction
from simulator.publish import PublishSettings, publish
from stream.lake import Lake
from stream.librdkafka import reader
from stream.settings import KafkaSettings
from stream.topics import Topics, TopicSpec, create_topics, recreate_topic

pytestmark = [pytest.mark.broker, pytest.mark.slow]
PARTITIONS = 3
START_MS = 1_764_547_200_000
SOMEBODYS = Transaction(transaction_id="t", event_time=START_MS, payer="a", payee="b", amount=1)
SMALL = ("--block-rows", "200", "--max-open-s", "0.3", "--max-batch", "300")


@pytest.fixture
def topics(broker, topic_name) -> Topics:
    topics = Topics.named(prefix=f"{topic_name}.", app=topic_name)
    create_topics(KafkaSettings(broker.bootstrap_servers), topics, partitions=PARTITIONS)
    return topics


@pytest.fixture(scope="module")
def payments() -> pl.DataFrame:
    """Some thousands, a second apart, over an hour and a half."""
    return pl.concat(frames_of(6_000, seed=5)).with_columns(event_time=START_MS + pl.int_range(pl.len()) * 1_000)


class Platform:
    """What publishes: payments, some of them damaged, verdicts, and decisions in transactions."""

    def __init__(self, broker, topics: Topics, payments: pl.DataFrame) -> None:
        self._servers = broker.bootstrap_servers
        self._topics = topics
        self._payments = payments
        self._sent = 0
        self._plain = Producer({"bootstrap.servers": self._servers})
        self._deciding = Producer({"bootstrap.servers": self._servers, "transactional.id": topics.decisions})
        self._deciding.init_transactions()

    def go_on(self, count: int) -> None:
        some = self._payments[self._sent : self._sent + count]
        publish([some], PublishSettings(self._servers, self._topics.transactions))
        for value in (b"junk", encode(SOMEBODYS)):
            self._plain.produce(self._topics.transactions, value, b"somebody else")
        for row in some.sample(count // 10, seed=1).iter_rows(named=True):
            self._plain.produce(self._topics.labels, encode(self._label(row)), row["payer"])
        assert self._plain.flush(30) == 0
        for partition in range(PARTITIONS):
            self._deciding.begin_transaction()
            self._deciding.produce(self._topics.decisions, b"never committed", partition=partition)
            self._deciding.flush()
            self._deciding.abort_transaction()
            self._deciding.begin_transaction()
            for step in range(4):
                value = decisions(partition, self._sent + step * 10, 10, int(some["event_time"][step]), risk_x=0.5)
                self._deciding.produce(self._topics.decisions, value, partition=partition)
            self._deciding.commit_transaction()
        self._sent += count

    @staticmethod
    def _label(row) -> Label:
        known_at = row["event_time"] + 86_400_000
        named = {name: row[name] for name in ("transaction_id", "payer", "payee", "event_time")}
        return Label(**named, is_fraud=True, kind="x", known_at=known_at)


def records(broker, topic):
    """Every committed record of a topic, in the order of each partition."""
    consumer = Consumer(reader(KafkaSettings(broker.bootstrap_servers)))
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    ended, messages = set(), []
    while len(ended) < PARTITIONS:
        for message in consumer.consume(10_000, timeout=1):
            if message.error():
                ended.add(message.partition())
            else:
                messages.append(message)
    consumer.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def readable(decode, messages):
    """Place, time of publication and content of each record that is one; a payment's key is its payer."""
    for message in messages:
        try:
            content = decode(message.value())
            if isinstance(content, Transaction):
                check_key(content, message.key())
        except DecodeError:
            continue
        yield message.partition(), message.offset(), message.timestamp()[1], content


def in_lake(lake, topic):
    frames = [frame for partition in range(PARTITIONS) for frame in lake.read(topic, partition)]
    return pl.concat(frames, how="diagonal")


def assert_equal(lake, broker, topics):
    """The lake holds every record of the three topics once, in order, with all its fields."""
    for topic, decode in (("transactions", decode_transaction), ("labels", decode_label)):
        rows = in_lake(lake, topic).to_dicts()
        expected = list(readable(decode, records(broker, getattr(topics, topic))))
        assert len(rows) == len(expected)
        for row, (partition, offset, published, content) in zip(rows, expected, strict=True):
            place = {"partition": partition, "offset": offset, "published": published}
            assert row == {**{name: getattr(content, name) for name in content.__struct_fields__}, **place}
    rows = in_lake(lake, "decisions")
    expected = list(readable(decode_decisions, records(broker, topics.decisions)))
    assert rows["offset"].to_list() == [offset for *_, (_, frame) in expected for offset in frame["offset"]]
    assert rows["decision_offset"].to_list() == [
        offset for _, offset, _, (_, frame) in expected for _ in range(len(frame))
    ]
    assert set(rows["risk_x"]) == {0.5}
    for topic in TOPICS:
        assert set(lake.takes(topic)) == set(range(PARTITIONS))
        assert [gap for takes in lake.takes(topic).values() for gap in gaps(takes)] == []


@pytest.fixture(params=["directory", "object store"])
def place(request, tmp_path, topic_name):
    """A lake's URL, and the environment in which it is found."""
    if request.param == "directory":
        return str(tmp_path / "lake"), {}
    return f"s3://{BUCKET}/{topic_name}", request.getfixturevalue("store")


def test_an_archiver_that_is_killed_again_and_again_neither_loses_nor_doubles(
    broker, topics, payments, place, start_archiver, run_cli
):
    url, env = place
    platform = Platform(broker, topics, payments)
    rng = random.Random(7)
    for failpoint in (
        "archive-transactions/written:1",
        "archive-decisions/written:2",
        f"archive-transactions/written:3=kill:{rng.randrange(1, 200)}",
        "archive-labels/written:1",
        f"archive-labels/written:2=kill:{rng.randrange(1, 200)}",
        f"archive-decisions/written:1=kill:{rng.randrange(1, 20)}",
    ):
        platform.go_on(rng.randrange(500, 900))
        archiver = start_archiver(url, *SMALL, failpoint=failpoint, env=env)
        assert archiver.process.wait(90) == -9, archiver.output()
    archiver = start_archiver(url, "--until-end", env=env)
    assert archiver.process.wait(90) == 0, archiver.output()
    lake = Lake(url)
    assert_equal(lake, broker, topics)

    before = sum(len(lake.blocks(topic)) for topic in TOPICS)
    outcome = run_cli("lake", "compact", "--lake", url, "--all")
    assert outcome.code == 0, outcome.err
    assert sum(len(lake.blocks(topic)) for topic in TOPICS) < before
    assert_equal(lake, broker, topics)
    outcome = run_cli("lake", "info", "--lake", url)
    assert outcome.code == 0, outcome.err
    first = sum(map(len, lake.read("transactions", 0)))
    assert re.search(rf"transactions +0 +0 to [\d,]+ +none +{first:,} ", outcome.out), outcome.out


def test_an_archiver_that_is_told_to_stop_leaves_everything_in_the_lake(
    broker, topics, payments, tmp_path, start_archiver, eventually
):
    Platform(broker, topics, payments).go_on(300)
    archiver = start_archiver(str(tmp_path / "lake"))
    eventually(lambda: archiver.health("ready")[0] == 200, "the archiver to be ready")
    eventually(lambda: open_rows(archiver) == 300 + 30 + 120, "all to be read")
    assert not (tmp_path / "lake").exists()
    assert archiver.stop() == 0, archiver.output()
    assert_equal(Lake(str(tmp_path / "lake")), broker, topics)


def open_rows(archiver):
    """Rows that the archiver holds and has not written."""
    lines = archiver.metrics().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("fraudstream_lake_open_rows{"))


def test_two_archivers_share_the_partitions_and_one_takes_over(
    broker, topics, payments, tmp_path, start_archiver, eventually
):
    lake = Lake(str(tmp_path / "lake"))
    platform = Platform(broker, topics, payments)
    first, second = (start_archiver(lake.url, *SMALL, "--slot", str(slot)) for slot in (0, 1))
    for archiver in (first, second):
        eventually(lambda archiver=archiver: archiver.health("ready")[0] == 200, "both to be ready")
    platform.go_on(600)
    eventually(lambda: sum(map(len, lake.read("transactions", 0))) > 50, "blocks")
    second.kill()
    platform.go_on(600)
    assert first.stop() == 0, first.output()
    last = start_archiver(lake.url, "--until-end")  # it waits for the partitions of the one that was killed
    assert last.process.wait(90) == 0, last.output()
    assert_equal(lake, broker, topics)


def test_a_lake_that_cannot_be_written_for_a_while_is_tried_again_from_the_committed_offsets(
    broker, topics, payments, tmp_path, start_archiver, eventually
):
    Platform(broker, topics, payments).go_on(300)
    lake = tmp_path / "lake"
    lake.write_text("a file, not a directory")
    archiver = start_archiver(str(lake), "--until-end")
    eventually(lambda: "archiving failed" in archiver.output(), "a failure")
    lake.unlink()
    assert archiver.process.wait(90) == 0, archiver.output()
    assert_equal(Lake(str(lake)), broker, topics)


def test_a_block_that_is_written_and_not_committed_when_something_fails_is_not_doubled(
    broker, topics, payments, tmp_path, start_archiver
):
    Platform(broker, topics, payments).go_on(600)
    archiver = start_archiver(
        str(tmp_path / "lake"), *SMALL, "--until-end", failpoint="archive-transactions/written:2=raise"
    )
    assert archiver.process.wait(90) == 0, archiver.output()
    assert "archiving failed" in archiver.output()
    assert_equal(Lake(str(tmp_path / "lake")), broker, topics)


def test_a_topic_that_was_made_again_is_not_mixed_with_what_it_was(broker, topics, payments, tmp_path, start_archiver):
    Platform(broker, topics, payments).go_on(300)
    lake = str(tmp_path / "lake")
    assert start_archiver(lake, "--until-end").process.wait(90) == 0
    kafka = KafkaSettings(broker.bootstrap_servers)
    recreate_topic(kafka, TopicSpec(topics.labels, PARTITIONS), like=topics.labels)
    archiver = start_archiver(lake, "--until-end")
    assert archiver.process.wait(90) == 1
    assert "archive to another lake" in archiver.output()


def test_what_is_asked_wrongly_is_said(run_cli):
    outcome = run_cli("archive", "--lake", "lake", "--topic", "alerts")
    assert outcome.code == 1
    assert "transactions, decisions, labels" in outcome.err
    assert "--lake" in run_cli("archive").err
