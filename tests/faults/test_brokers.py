"""Brokers that die, lose an answer, cannot be reached, are slow or full: rows 10, 11, 14, 15, 17 and 32."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kit.bank import Bank, Worker
from kit.cluster import OFFSETS, TRANSACTIONS, Cluster
from kit.oracle import Findings, audit
from kit.proxy import END_TXN
from stream.librdkafka import reader
from stream.topics import Topics, topic_specs

pytestmark = [pytest.mark.broker, pytest.mark.slow]
WAIT_S = 90.0
PATIENT = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "30000"}
"""Longer than a broker is away: a static member whose session times out may be fenced by itself (librdkafka's issue
3437). Such a worker ends, and its supervisor starts it again."""
POLL_S = 0.05


@pytest.fixture(scope="module")
def one() -> Iterator[Cluster]:
    """One broker, reached through a proxy."""
    with Cluster(1, proxied=True) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Three brokers; any one of them may die."""
    with Cluster(3) as cluster:
        yield cluster


@contextmanager
def coordinated_by_the_first(**given: object) -> Iterator[Cluster]:
    """Two brokers. The first is the controller and the coordinator of everything: it was alone when Kafka made the
    topics that coordinators lead. The second leads what `lay_out` puts there."""
    with Cluster(2, **given) as cluster:
        cluster.stop(1)
        kafka = {"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0}
        Producer({**kafka, "transactional.id": "any"}).init_transactions(WAIT_S)
        asking = Consumer({**kafka, "group.id": "any"})
        until(lambda: asking.committed([TopicPartition("any", 0)], timeout=5), "a coordinator of groups")
        asking.close()
        cluster.start(1)
        cluster.wait_until_calm()
        assert {*cluster.leaders(TRANSACTIONS), *cluster.leaders(OFFSETS)} == {0}
        yield cluster


def lay_out(cluster: Cluster, name: str, *of_the_second: str) -> None:
    """Make a bank's topics: these, by their field of `Topics`, on the second broker only, all others on the first."""
    topics = Topics.named(prefix=f"{name}.", app=name)
    second = {getattr(topics, field) for field in of_the_second}
    client = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
    made = [
        NewTopic(
            spec.name,
            spec.partitions,
            replica_assignment=[[2 if spec.name in second else 1]] * spec.partitions,
            config=dict(spec.configs),
        )
        for spec in topic_specs(topics, partitions=3)
    ]
    for future in client.create_topics(made).values():
        future.result()
    cluster.wait_until_calm()


def until(condition: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
    """Until it holds; a broker that does not answer just now is asked again."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if condition():
                return
        except KafkaException as error:
            what_else = f" ({error.args[0].str()})"
        else:
            what_else = ""
        assert time.monotonic() < deadline, f"waited in vain for {what}{what_else}"
        time.sleep(POLL_S)


def until_committed(bank: Bank, share: float) -> None:
    """Until so much of what was published is committed."""
    until(lambda: bank.committed() >= share * bank.published, f"{share:.0%} of the payments")


def keep_running(bank: Bank) -> None:
    """What an orchestrator does: a worker that has ended, or says that it is not live, is started again."""
    worker = bank.workers[-1]
    if worker.process.poll() is None and worker.health("live")[0] == 503:
        worker.kill()
    if worker.process.poll() is not None:
        bank.worker(env=PATIENT)


def settled(bank: Bank) -> bool:
    """Whether everything is committed, or becomes so within seconds."""
    keep_running(bank)
    try:
        bank.finish(10)
    except AssertionError:
        return False
    return True


def finished(bank: Bank) -> Findings:
    """Everything is committed, every worker ended well, and the oracle has spoken."""
    bank.finish()
    bank.stop()
    return audit(bank)


def logged(worker: Worker, event: str, **fields: object) -> int:
    """How often it logged this."""
    return sum(each.get("event") == event and fields.items() <= each.items() for each in worker.events())


@pytest.mark.row(10)
def test_a_broker_killed_under_load_is_waited_for_and_nothing_comes_twice(one, make_bank, stream_of, full, row):
    """As a rule one worker outlives all kills. librdkafka may wait for ever for a coordinator that went away (its
    issues 5456 and 5511): the worker is not live then, and is started again."""
    kills = 5 if full else 1
    bank = make_bank(one)
    bank.publish(*stream_of(150_000 if full else 20_000))
    bank.worker(env=PATIENT)

    def committed(share: float) -> bool:
        keep_running(bank)
        return bank.committed() >= share * bank.published

    for kill in range(1, kills + 1):
        until(partial(committed, kill / (kills + 1)), "the next payments", 3 * WAIT_S)
        one.kill()
        one.start()
    until(partial(settled, bank), "every payment and all activity", 3 * WAIT_S)
    findings = finished(bank)
    row(10, findings, kills=kills + bank.kills)
    assert findings.clean, findings


@pytest.mark.row(11)
@pytest.mark.parametrize(
    ("topic", "coordinated", "place", "later"),
    [
        pytest.param(TRANSACTIONS, "{}-0-scoring", "offsets-added", False, id="of the transaction"),
        pytest.param(OFFSETS, "{}-scoring", "produced", True, id="of the group, offsets to come"),
        pytest.param(OFFSETS, "{}-scoring", "offsets-added", True, id="of the group, offsets there"),
    ],
)
@pytest.mark.usefixtures("only_full")
def test_a_coordinator_killed_in_the_midst_of_a_commit_is_replaced(
    three, make_bank, stream_of, full, topic, coordinated, place, later, row
):
    if later and not full:
        pytest.skip("full only")
    bank = make_bank(three, replication=3)
    bank.publish(*stream_of(20_000))
    worker = bank.worker(failpoint=f"scoring/{place}:6=stop")
    worker.wait_paused()
    victim = three.coordinator(topic, coordinated.format(bank.name))
    three.kill(victim)
    worker.resume()
    bank.finish()
    three.start(victim)
    three.wait_until_calm()
    findings = finished(bank)
    row(11, findings, kills=1)
    assert findings.clean, findings


@pytest.mark.row(14)
@pytest.mark.parametrize("answers", [1, 1_000], ids=["once", "for as long as the commit may take"])
@pytest.mark.usefixtures("only_full")
def test_a_commit_whose_answer_is_lost_counts_once(one, make_bank, stream_of, answers, row):
    """One lost answer is asked for again by the client. When none comes at all, nobody knows what became of the
    transaction: the producer is given up, and a new one with its id finds out."""
    bank = make_bank(one)
    bank.publish(*stream_of(10_000))
    worker = bank.worker(env={"FRAUDSTREAM_TRANSACTION_TIMEOUT_MS": "4000"})
    until_committed(bank, 0.2)
    one.proxy().lose_response(END_TXN, answers, containing=b"-scoring")
    if answers > 1:
        worker.wait_event("building the producer anew", agent="scoring")
        one.proxy().lose_no_more()
    findings = finished(bank)
    row(14, findings)
    assert findings.clean, findings
    assert one.proxy().losses_left == 0
    assert bool(logged(worker, "building the producer anew")) == (answers > 1)


@pytest.mark.row(15)
@pytest.mark.usefixtures("only_full")
def test_a_broker_out_of_reach_or_slow_stalls_the_worker_and_it_goes_on_by_itself(one, make_bank, stream_of, row):
    bank = make_bank(one)
    bank.publish(*stream_of(20_000))
    worker = bank.worker(env=PATIENT | {"FRAUDSTREAM_TRANSACTION_TIMEOUT_MS": "4000"})
    proxy = one.proxy()
    for share, begin, end in ((0.2, proxy.hold, proxy.release), (0.4, proxy.cut, proxy.mend)):
        until_committed(bank, share)
        begin()
        try:
            worker.until(lambda: worker.health("ready")[0] == 503, "telling that it is not ready")
        finally:
            end()
        worker.wait_ready()
    until_committed(bank, 0.6)
    proxy.delay_ms = 250
    try:
        until_committed(bank, 0.7)
    finally:
        proxy.delay_ms = 0
    findings = finished(bank)
    row(15, findings)
    assert findings.clean, findings


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The directory of a cluster whose second broker has a disk of its own, of 64 MB."""
    directory = tmp_path / "cluster"
    disk = directory / "1" / "data"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("not run: making a small disk needs root")
    yield directory
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no room for anything."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        space = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)
    return filler


@pytest.mark.row(17)
@pytest.mark.usefixtures("only_full")
def test_a_full_disk_under_a_broker_makes_the_worker_wait_until_there_is_space(
    small_disk, make_bank, stream_of, topic_name, row
):
    """The broker of decisions and changelog, which halts; payments go on arriving at the other one."""
    with coordinated_by_the_first(directory=small_disk) as cluster:
        lay_out(cluster, topic_name, "decisions", "scoring_changelog")
        bank = make_bank(cluster, name=topic_name)
        payments = pl.concat(stream_of(12_000))
        bank.publish(payments.head(4_000))
        worker = bank.worker()
        bank.finish()
        filler = fill(cluster.data(1))
        bank.publish(payments.slice(4_000, 4_000))
        until(lambda: not cluster.alive(1), "the broker to halt")
        worker.until(lambda: worker.health("ready")[0] == 503, "telling that it is not ready")
        behind = worker.metric("lag_records", agent="scoring")
        bank.publish(payments.tail(4_000))
        worker.until(lambda: worker.metric("lag_records", agent="scoring") >= behind + 2_000, "telling how far behind")
        filler.unlink()
        cluster.start(1)
        findings = finished(bank)
        row(17, findings)
        assert findings.clean, findings


def offsets_of(bank: Bank, topic: str, *, committed: bool) -> list[int]:
    """Where each partition ends, for a reader of what is committed or of everything."""
    consumer = Consumer(reader(bank.kafka, committed_only=committed))
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=WAIT_S)[1] for p in range(bank.partitions)]
    consumer.close()
    return ends


@pytest.mark.row(32)
@pytest.mark.usefixtures("only_full")
def test_a_changelogs_commit_marker_that_comes_late_is_waited_for(make_bank, stream_of, topic_name, row):
    """The group's offsets are stable already, the changelog's last commit is on its way to another broker still."""
    with coordinated_by_the_first(proxied_inside=True) as cluster:
        lay_out(cluster, topic_name, "scoring_changelog")
        bank = make_bank(cluster, name=topic_name)
        bank.publish(*stream_of(6_000))
        short = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "6000"}
        first = bank.worker(failpoint="scoring/offsets-added:4=stop,scoring/committed:4", env=short)
        first.wait_paused()
        before = bank.committed()
        cluster.inside(1).hold()
        first.resume()
        first.wait_killed()

        # The trap: who asks for the end as a reader of what is committed, gets one that lacks the last step.
        asking = Consumer(reader(bank.kafka) | {"group.id": f"{bank.name}-scoring"})
        source = [TopicPartition(bank.topics.transactions, p) for p in range(bank.partitions)]
        stable = sum(max(0, each.offset) for each in asking.committed(source, timeout=WAIT_S))
        asking.close()
        assert stable > before
        changelog = bank.topics.scoring_changelog
        shown, written = (offsets_of(bank, changelog, committed=committed) for committed in (True, False))
        assert sum(shown) < sum(written)

        second = bank.worker(1, state=bank.home / "empty", env=short)
        for partition in range(bank.partitions):
            second.wait_event("partition restored", agent="entities", partition=partition)
        assert second.health("ready")[0] == 503
        restored = {each["partition"] for each in second.events() if is_restored(each)}
        assert all(shown[partition] == written[partition] for partition in restored), "it went on without the last step"

        cluster.inside(1).release()
        second.wait_ready()
        findings = finished(bank)
        row(32, findings, kills=1)
        assert findings.clean, findings


def is_restored(event: dict[str, object]) -> bool:
    return event.get("event") == "partition restored" and event.get("agent") == "scoring"
