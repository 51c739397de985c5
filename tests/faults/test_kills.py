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


def killed(bank: Bank, *failpoints: str) -> None:
    """One worker after another, each until its failpoint kills it."""
    for failpoint in failpoints:
        bank.worker(failpoint=failpoint).wait_killed()


def finished(bank: Bank) -> Worker:
    """A last worker, which does the rest and ends well."""
    worker = bank.worker()
    bank.finish()
    bank.stop()
    return worker


def passings(place: str, action: str = "", counts: Sequence[int] = (1, 2, 3, 5, 8)) -> list[str]:
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
    for number, place in enumerate(("computed", "produced", "offsets-added", "committing", "committed"), 1):
        killed(bank, f"{'entities' if number == 3 else 'scoring'}/{place}:2")
    finished(bank)
    findings = audit(bank)
    for number in range(1, 6):
        row(number, findings, kills=1)
    assert findings.clean, findings


@pytest.mark.row(1)
def test_killed_before_the_transaction_begins_the_step_is_done_again(only_full, bank, row):
    killed(bank, *passings("computed"))
    finished(bank)
    findings = audit(bank)
    row(1, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.parametrize(
    "place",
    [pytest.param("produced", marks=pytest.mark.row(2)), pytest.param("offsets-added", marks=pytest.mark.row(3))],
)
def test_killed_in_the_transaction_nobody_sees_what_was_sent(only_full, bank, row, place):
    killed(bank, *passings(place))
    finished(bank)
    findings = audit(bank)
    row(2 if place == "produced" else 3, findings, kills=bank.kills)
    assert findings.clean, findings
    topic = bank.topics.decisions
    assert records(bank, topic, committed_only=False) > records(bank, topic, committed_only=True)


@pytest.mark.row(4)
def test_killed_during_the_commit_the_successor_learns_how_it_ended(only_full, bank, row):
    for delay_ms in (0, 1, 2, 4, 8, 12):
        killed(bank, *passings("committing", f"=kill:{delay_ms}", (2,)))
    finished(bank)
    findings = audit(bank)
    row(4, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.row(5)
def test_killed_between_commit_and_rocksdb_the_changelog_brings_it_forward(only_full, bank, row):
    killed(bank, *passings("committed"))
    last = finished(bank)
    findings = audit(bank)
    row(5, findings, kills=bank.kills)
    assert findings.clean, findings
    assert sum(event["records"] for event in last.events() if event["event"] == "partition restored") > 0


@pytest.mark.row(8)
@pytest.mark.parametrize("agent", ["scoring", "entities"])
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

    PLAIN_S, WAIT_S = 5.0, 8.0
    """A plain kill comes within so long after the start of the process; a failpoint is waited for somewhat longer."""

    def __init__(self, bank: Bank, seed: int) -> None:
        self.bank = bank
        self.random = random.Random(seed)

    def start(self, slot: int = 0) -> tuple[Worker, float]:
        """A worker, and how long it may live at most."""
        failpoint = self._failpoint()
        worker = self.bank.worker(slot, failpoint=failpoint, env=QUICK_SESSION)
        return worker, self.WAIT_S if failpoint else self.random.uniform(0.5, self.PLAIN_S)

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

    def end(self, worker: Worker, lives_s: float) -> None:
        """By its failpoint or, when that does not come, by us."""
        until = time.monotonic() + lives_s
        while worker.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if worker.process.poll() is None:
            worker.kill()
        else:
            worker.wait_killed()


class Backlog:
    """Payments that are published while they are worked off, so that there is always work, and never too much."""

    def __init__(self, bank: Bank, frames: list[pl.DataFrame], ahead: int, rows: int = 20_000) -> None:
        self._bank = bank
        self._ahead = ahead
        self._left = iter([part for frame in frames for part in frame.iter_slices(rows)])

    def refill(self) -> None:
        while self._bank.published - self._bank.committed() < self._ahead:
            part = next(self._left, None)
            assert part is not None, "there are too few payments for so many kills"
            self._bank.publish(part)

    def rest(self) -> None:
        self._bank.publish(*self._left)


@pytest.mark.row(9)
def test_killed_at_random_again_and_again_nothing_is_lost_or_doubled(make_bank, stream_of, full, row, seed):
    kills, payments, ahead = (150, 900_000, 60_000) if full else (4, 14_000, 0)
    bank = make_bank()
    killer, backlog = Killer(bank, seed), Backlog(bank, stream_of(payments), ahead)
    if not full:
        backlog.rest()
    while bank.kills < kills:
        backlog.refill()
        killer.end(*killer.start())
    backlog.rest()
    finished(bank)
    findings = audit(bank)
    row(9, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.row(9)
def test_two_workers_killed_at_random_hand_partitions_to_each_other(make_bank, stream_of, full, row, seed):
    kills, payments, ahead = (60, 300_000, 60_000) if full else (2, 6_000, 0)
    bank = make_bank()
    killer, backlog = Killer(bank, seed), Backlog(bank, stream_of(payments), ahead)
    if not full:
        backlog.rest()
    running = {slot: killer.start(slot) for slot in (0, 1)}
    while bank.kills < kills:
        backlog.refill()
        slot = killer.random.choice((0, 1))
        killer.end(*running[slot])
        running[slot] = killer.start(slot)
    for slot in running:
        running[slot][0].kill()
    backlog.rest()
    finished(bank)
    findings = audit(bank)
    row(9, findings, kills=bank.kills)
    assert findings.clean, findings
