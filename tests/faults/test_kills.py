"""A worker killed anywhere in a step, while it restores, while it gives partitions up; rows 1 to 5, 8 and 9."""

import random
import time
from collections.abc import Sequence

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from kit.bank import Bank, Worker
from kit.oracle import audit
from stream.librdkafka import reader

pytestmark = [pytest.mark.broker, pytest.mark.slow]
STEPS = ("computed", "produced", "offsets-added", "committing", "committed", "persisted")
QUICK_SESSION = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "2000"}
"""A killed worker that does not come back soon loses its partitions soon."""
LARGE = ("--max-batch", "4000", "--arena-rows", "16384")
"""For those who do what the killed left."""
POLL_S = 0.02


def survived(bank: Bank, *failpoints: str, options: Sequence[str] = ()) -> Worker:
    """One worker after another, each until its failpoint kills it; then a last one, which does the rest."""
    spare = bank.worker(0, *options, failpoint=failpoints[0], held=True)
    for following in (*failpoints[1:], ""):
        worker, spare = spare, bank.worker(0, *options, failpoint=following, held=True)
        worker.release()
        worker.wait_killed()
    spare.release()
    bank.finish()
    bank.stop()
    return spare


def passings(place: str, action: str = "", counts: Sequence[int] = (1, 3, 8)) -> list[str]:
    """Failpoints at a place, in the steps of both agents."""
    return [f"{agent}/{place}:{n}{action}" for n in counts for agent in ("scoring", "entities")]


@pytest.fixture
def bank(make_bank, stream_of, full) -> Bank:
    bank = make_bank()
    bank.publish(*stream_of(60_000 if full else 6_000))
    return bank


def records(bank: Bank, topic: str, *, committed_only: bool) -> int:
    """How many records a topic shows to a reader."""
    consumer = Consumer(reader(bank.kafka, committed_only=committed_only))
    consumer.assign([TopicPartition(topic, p, 0) for p in range(bank.partitions)])
    seen, ended = 0, set()
    while len(ended) < bank.partitions:
        for message in consumer.consume(10_000, timeout=1):
            if message.error() is None:
                seen += 1
            else:
                ended.add(message.partition())
    consumer.close()
    return seen


@pytest.mark.row(1, 2, 3, 4, 5)
def test_killed_at_every_stage_of_a_step_in_turn(bank, row):
    stages = ("scoring/computed:2", "scoring/produced:2", "scoring/committing:2", "scoring/committed:2")
    # The entities' one comes last: until they have gathered a step, the payments may all be judged.
    survived(bank, *stages, "entities/offsets-added:1")
    findings = audit(bank)
    for number in range(1, 6):
        row(number, findings, kills=1)
    assert findings.clean, findings


@pytest.mark.row(1)
def test_killed_before_the_transaction_begins_the_step_is_done_again(only_full, bank, row):
    survived(bank, *passings("computed"))
    findings = audit(bank)
    row(1, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.parametrize(
    "place",
    [pytest.param("produced", marks=pytest.mark.row(2)), pytest.param("offsets-added", marks=pytest.mark.row(3))],
)
def test_killed_in_the_transaction_nobody_sees_what_was_sent(only_full, bank, row, place):
    survived(bank, *passings(place))
    findings = audit(bank)
    row(2 if place == "produced" else 3, findings, kills=bank.kills)
    assert findings.clean, findings
    topic = bank.topics.decisions
    assert records(bank, topic, committed_only=False) > records(bank, topic, committed_only=True)


@pytest.mark.row(4)
def test_killed_during_the_commit_the_successor_learns_how_it_ended(only_full, bank, row):
    delays_ms = (0, 2, 4, 8, 12)
    survived(bank, *(each for ms in delays_ms for each in passings("committing", f"=kill:{ms}", (2,))))
    findings = audit(bank)
    row(4, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.row(5)
def test_killed_between_commit_and_rocksdb_the_changelog_brings_it_forward(only_full, bank, row):
    last = survived(bank, *passings("committed"))
    findings = audit(bank)
    row(5, findings, kills=bank.kills)
    assert findings.clean, findings
    assert sum(event["records"] for event in last.events() if event["event"] == "partition restored") > 0


def test_at_least_once_nothing_is_lost_and_repeats_have_the_same_ids(only_full, bank):
    survived(bank, *passings("produced"), *passings("offsets-added"), options=("--guarantee", "at_least_once"))
    findings = audit(bank, exactly_once=False)
    assert findings.clean, findings
    assert audit(bank).doubled > 0


@pytest.mark.row(8)
@pytest.mark.parametrize("agent", ["scoring", "entities"])
@pytest.mark.usefixtures("only_full")
def test_killed_while_it_gives_partitions_up_the_new_owner_is_right(bank, row, agent):
    first = bank.worker(0, failpoint=f"{agent}/revoked", env=QUICK_SESSION)
    first.wait_ready()
    bank.worker(1, env=QUICK_SESSION)  # which is due a part of the partitions
    first.wait_killed()
    bank.finish()
    bank.stop()
    findings = audit(bank)
    row(8, findings, kills=bank.kills)
    assert findings.clean, findings


class Killer:
    """Kills workers at places and times that a seed chooses."""

    STARTING, LONGEST_S, AWAITED_S = 0.15, 3.0, 5.0
    """Share of the plain kills that come while the process starts; how long after that they come at the latest; and
    how long a failpoint is waited for."""

    def __init__(self, bank: Bank, seed: int) -> None:
        self.bank = bank
        self.random = random.Random(seed)
        self._failpoints: dict[Worker, str] = {}

    def spare(self, slot: int = 0) -> Worker:
        """A worker that waits for its release, and has its fate in it."""
        failpoint = self._failpoint()
        worker = self.bank.worker(slot, failpoint=failpoint, env=QUICK_SESSION, held=True)
        self._failpoints[worker] = failpoint
        return worker

    def _failpoint(self) -> str:
        """A place in a step or a restore; sometimes none."""
        agent = self.random.choice(("scoring", "scoring", "entities"))
        kind = self.random.random()
        if kind < 0.25:
            return ""
        if kind < 0.35:
            return f"{agent}/restoring"
        place = self.random.choice(STEPS)
        after = f"=kill:{self.random.uniform(0.5, 12):.1f}" if place == "committing" else ""
        return f"{agent}/{place}:{self.random.randint(1, 14)}{after}"

    def end(self, worker: Worker) -> None:
        """By its failpoint or, when that does not come or there is none, by us."""
        if self._failpoints[worker]:
            self._wait(worker, self.AWAITED_S, started=True)
        elif self.random.random() < self.STARTING:
            self._wait(worker, self.random.random(), started=False)
        else:
            self._wait(worker, self.random.uniform(0, self.LONGEST_S), started=True)
        if worker.process.poll() is None:
            worker.kill()
        else:
            worker.wait_killed()

    @staticmethod
    def _wait(worker: Worker, seconds: float, *, started: bool) -> None:
        """So long, or until it has ended; counted from its first word, if it is to be `started`."""
        while started and not worker.output() and worker.process.poll() is None:
            time.sleep(POLL_S)
        until = time.monotonic() + seconds
        while worker.process.poll() is None and time.monotonic() < until:
            time.sleep(POLL_S)


class Backlog:
    """Payments that are published while they are worked off, so that there is always work, and never too much."""

    def __init__(self, bank: Bank, frames: list[pl.DataFrame], ahead: int, rows: int = 20_000) -> None:
        self._bank = bank
        self._ahead = ahead
        self._left = iter([part for frame in frames for part in frame.iter_slices(rows)])

    def refill(self) -> None:
        """Publish until enough is there to be worked off, or nothing is left to publish."""
        while self._bank.published - self._bank.committed() < self._ahead:
            if (part := next(self._left, None)) is None:
                return
            self._bank.publish(part)

    def rest(self) -> None:
        self._bank.publish(*self._left)


@pytest.mark.row(9)
def test_killed_at_random_again_and_again_nothing_is_lost_or_doubled(make_bank, stream_of, full, row, seed):
    kills, payments, ahead = (150, 900_000, 60_000) if full else (4, 14_000, 14_000)
    bank = make_bank()
    killer, backlog = Killer(bank, seed), Backlog(bank, stream_of(payments), ahead)
    spare = killer.spare()
    while bank.kills < kills:
        backlog.refill()
        worker, spare = spare, killer.spare()
        worker.release()
        killer.end(worker)
    backlog.rest()
    bank.worker(0, *LARGE)
    bank.finish(600)
    bank.stop()
    findings = audit(bank)
    row(9, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.row(9)
@pytest.mark.usefixtures("only_full")
def test_two_workers_killed_at_random_hand_partitions_to_each_other(make_bank, stream_of, full, row, seed):
    kills, payments, ahead = (50, 300_000, 60_000) if full else (2, 6_000, 6_000)
    bank = make_bank()
    killer, backlog = Killer(bank, seed), Backlog(bank, stream_of(payments), ahead)
    running = {slot: killer.spare(slot) for slot in (0, 1)}
    for worker in running.values():
        worker.release()
    while bank.kills < kills:
        backlog.refill()
        slot = killer.random.choice((0, 1))
        spare = killer.spare(slot)
        killer.end(running[slot])
        running[slot] = spare
        spare.release()
    for worker in running.values():
        worker.kill()
    backlog.rest()
    bank.worker(0, *LARGE)
    bank.finish(600)
    bank.stop()
    findings = audit(bank)
    row(9, findings, kills=bank.kills)
    assert findings.clean, findings
