"""A worker dies and another takes its partitions over from a standby copy."""

import pytest

from kit.oracle import audit

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SOON = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "2000", "FRAUDSTREAM_TRANSACTION_TIMEOUT_MS": "2000"}


def restored(worker, agent):
    """What the worker has logged of its restores of an agent."""
    return [e for e in worker.events() if e.get("event") == "partition restored" and e["agent"] == agent]


@pytest.mark.usefixtures("only_full")
def test_after_a_kill_the_other_worker_goes_on_from_its_standby_copy(make_bank, stream_of):
    frames = stream_of(6_000)
    half = len(frames) // 2
    bank = make_bank(partitions=4)
    first, second = (bank.worker(slot, "--standby", "4", env=SOON) for slot in (0, 1))
    for worker in (first, second):
        worker.wait_ready()
    for worker in (first, second):
        worker.until(lambda worker=worker: worker.metric("partitions_assigned", agent="scoring") == 2, "half of it all")
    bank.publish(*frames[:half])
    bank.finish()
    for worker in (first, second):
        worker.until(
            lambda worker=worker: (
                worker.metric("standby_partitions", agent="scoring") == 2
                and worker.metric("standby_lag_records", agent="scoring") == 0
                and worker.metric("standby_lag_records", agent="entities") == 0
            ),
            "current copies",
        )
    already = len(restored(second, "scoring"))
    first.kill()
    bank.publish(*frames[half:])
    bank.finish()
    taken_over = restored(second, "scoring")[already:]
    assert len(taken_over) == 2
    assert sum(e["records"] for e in taken_over) == 0, "the copies were complete"
    bank.stop()
    findings = audit(bank)
    assert findings.clean, findings


def test_workers_with_copies_that_die_in_turn_lose_nothing(only_full, make_bank, stream_of):
    frames = stream_of(12_000)
    bank = make_bank(partitions=4)
    workers = [bank.worker(slot, "--standby", "2", env=SOON) for slot in (0, 1)]
    for worker in workers:
        worker.wait_ready()
    for number, frame in enumerate(frames):
        bank.publish(frame)
        if number % 3 == 1:
            slot = number % 2
            workers[slot].kill()
            workers[slot] = bank.worker(slot, "--standby", "2", env=SOON)
    bank.finish()
    bank.stop()
    findings = audit(bank)
    assert findings.clean, findings
