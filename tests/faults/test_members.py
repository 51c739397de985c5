"""Workers that stand still, take each other's place, come and go, or fail in a callback; rows 12, 13, 26, 27 and 29."""

import random
import time

import pytest

from kit.bank import Bank, Worker
from kit.oracle import audit

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SHORT = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "2000", "FRAUDSTREAM_TRANSACTION_TIMEOUT_MS": "3000"}
"""What the brokers wait for before they give a silent worker up."""


@pytest.fixture
def bank(make_bank, stream_of, full) -> Bank:
    bank = make_bank()
    bank.publish(*stream_of(30_000 if full else 8_000))
    return bank


def ended_with(worker: Worker, words: str) -> None:
    """It ended on its own, and its last error says why and what to do."""
    assert worker.wait() == 1, worker.last_lines()
    ends = [event for event in worker.events() if event["event"] == "worker ends"]
    assert ends, worker.last_lines()
    assert words in ends[0]["error"] + ends[0]["hint"], ends


def takes_over(worker: Worker, bank: Bank) -> None:
    """Wait until a worker has every partition and goes on with them."""
    before = bank.committed()
    agents = ("scoring", "entities")
    worker.until(
        lambda: (
            all(worker.metric("partitions_assigned", agent=agent) == bank.partitions for agent in agents)
            and bank.committed() > before
        ),
        "its taking over",
    )


@pytest.mark.row(12)
@pytest.mark.parametrize("place", ["offsets-added", "computed", "produced", "committed", "persisted"])
@pytest.mark.parametrize("agent", ["scoring", "entities"])
@pytest.mark.usefixtures("only_full")
def test_a_zombie_changes_nothing_when_it_wakes(request, bank, row, full, agent, place):
    if not full and (agent, place) != ("scoring", "offsets-added"):
        pytest.skip("full only")
    zombie = bank.worker(0, failpoint=f"{agent}/{place}:4=stop", env=SHORT)
    zombie.wait_paused()
    successor = bank.worker(1, env=SHORT)
    takes_over(successor, bank)
    zombie.resume()
    bank.finish()
    if zombie.process.poll() is not None:
        ended_with(zombie, "slot")
    bank.stop()
    findings = audit(bank)
    row(12, findings)
    assert findings.clean, findings


@pytest.mark.row(13)
def test_a_second_process_on_the_same_directory_ends_and_leaves_the_first_alone(bank, row):
    first = bank.worker()
    first.wait_ready()
    second = bank.worker()
    assert second.wait() == 1
    assert "another worker uses the state directory" in second.output()
    bank.finish()
    assert first.metric("step_failures_total") == 0
    assert [event for event in first.events() if event["level"] in ("warning", "error")] == []
    bank.stop()
    findings = audit(bank)
    row(13, findings)
    assert findings.clean, findings


@pytest.mark.row(13)
@pytest.mark.usefixtures("only_full")
def test_of_two_processes_with_one_slot_and_two_directories_the_older_ends(bank, row):
    older = bank.worker()
    older.wait_ready()
    bank.worker(state=bank.home / "elsewhere")
    ended_with(older, "another worker runs with the same slot")
    bank.finish()
    bank.stop()
    findings = audit(bank)
    row(13, findings)
    assert findings.clean, findings


@pytest.mark.row(26)
@pytest.mark.usefixtures("only_full")
def test_workers_come_and_go_and_the_work_goes_on(make_bank, stream_of, full, row, seed):
    lasts_s, payments = (300, 400_000) if full else (16, 20_000)
    bank, chance = make_bank(), random.Random(seed)
    bank.publish(*stream_of(payments))
    slots: dict[int, Worker] = {0: bank.worker(0, env=SHORT)}
    slots[0].wait_ready()
    before, until = bank.committed(), time.monotonic() + lasts_s
    while time.monotonic() < until:
        slot = chance.choice((0, 1, 2))
        worker = slots.get(slot)
        if worker is None or worker.process.poll() is not None:
            slots[slot] = bank.worker(slot, env=SHORT)
        elif chance.random() < 0.3:
            worker.kill()
        else:
            worker.process.terminate()
        time.sleep(2)
    for worker in bank.running:
        worker.process.terminate()
        assert worker.wait() == 0 or not worker.events(), worker.last_lines()
    assert bank.committed() > before
    bank.worker(0, env=SHORT)
    bank.finish(600 if full else 120)
    bank.stop()
    findings = audit(bank)
    row(26, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.row(27)
@pytest.mark.parametrize("place", ["computed", "produced"])
@pytest.mark.usefixtures("only_full")
def test_a_step_that_takes_too_long_is_given_up_and_done_again(bank, row, full, place):
    if not full and place != "computed":
        pytest.skip("full only")
    impatient = {**SHORT, "FRAUDSTREAM_MAX_POLL_INTERVAL_MS": "3000", "FRAUDSTREAM_TRANSACTION_TIMEOUT_MS": "20000"}
    slow = bank.worker(0, failpoint=f"scoring/{place}:4=sleep:9000", env=impatient)
    slow.wait_event("partitions given up", reason="lost")
    bank.finish()
    assert slow.process.poll() is None, slow.last_lines()
    bank.stop()
    findings = audit(bank)
    row(27, findings)
    assert findings.clean, findings


@pytest.mark.row(29)
@pytest.mark.usefixtures("only_full")
def test_an_exception_in_the_callback_of_an_assignment_ends_the_worker_and_loses_nothing(bank, row):
    ended_with(bank.worker(failpoint="scoring/assigned=raise"), "failpoint assigned")
    bank.worker()
    bank.finish()
    bank.stop()
    findings = audit(bank)
    row(29, findings)
    assert findings.clean, findings


@pytest.mark.row(29)
@pytest.mark.usefixtures("only_full")
def test_an_exception_in_the_callback_of_a_revocation_ends_the_worker_and_loses_nothing(bank, row):
    first = bank.worker(0, failpoint="scoring/revoked=raise", env=SHORT)
    first.wait_ready()
    bank.worker(1, env=SHORT)
    ended_with(first, "failpoint revoked")
    bank.finish()
    bank.stop()
    findings = audit(bank)
    row(29, findings)
    assert findings.clean, findings


@pytest.mark.row(29)
def test_an_exception_in_the_callback_of_a_delivery_loses_nothing(bank, row):
    bank.worker(failpoint="scoring/delivered:5=raise")
    bank.finish()
    bank.stop()
    findings = audit(bank)
    row(29, findings)
    assert findings.clean, findings
