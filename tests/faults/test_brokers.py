"""Brokers that die, lose an answer, cannot be reached, are slow or full: rows 10, 11, 14, 15, 17 and 32."""

import os
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import KafkaException

from kit.bank import Bank, Worker
from kit.cluster import OFFSETS, TRANSACTIONS, Cluster
from kit.oracle import Findings, audit
from kit.proxy import END_TXN

pytestmark = [pytest.mark.broker, pytest.mark.slow]
WAIT_S = 90.0
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


def until_stopped(worker: Worker) -> None:
    """Until its failpoint has stopped it."""
    look = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
    until(lambda: os.waitid(os.P_PID, worker.process.pid, look), "the worker to stop itself")


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
    kills = 5 if full else 1
    bank = make_bank(one)
    bank.publish(*stream_of(150_000 if full else 20_000))
    worker = bank.worker()
    for kill in range(1, kills + 1):
        until_committed(bank, kill / (kills + 1))
        one.kill()
        one.start()
    findings = finished(bank)
    row(10, findings, kills=kills)
    assert findings.clean, findings
    assert len(bank.workers) == 1, "it outlived the broker"
    assert worker


@pytest.mark.row(11)
@pytest.mark.parametrize(
    ("topic", "coordinated", "place"),
    [
        (TRANSACTIONS, "{}-0-scoring", "offsets-added"),
        (OFFSETS, "{}-scoring", "produced"),
        (OFFSETS, "{}-scoring", "offsets-added"),
    ],
    ids=["transaction", "group, offsets to come", "group, offsets there"],
)
def test_a_coordinator_killed_in_the_midst_of_a_commit_is_replaced(
    three, make_bank, stream_of, topic, coordinated, place, row
):
    bank = make_bank(three, replication=3)
    bank.publish(*stream_of(20_000))
    worker = bank.worker(failpoint=f"scoring/{place}:6=stop")
    until_stopped(worker)
    victim = three.coordinator(topic, coordinated.format(bank.name))
    three.kill(victim)
    worker.resume()
    bank.finish()
    three.start(victim)
    three.wait_until_calm()
    findings = finished(bank)
    row(11, findings, kills=1)
    assert findings.clean, findings
    assert len(bank.workers) == 1


@pytest.mark.row(14)
@pytest.mark.parametrize("answers", [1, 1_000], ids=["once", "for as long as the commit may take"])
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
