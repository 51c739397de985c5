"""What both agents with state promise the step runner, whatever they compute: one suite over scoring and entities.

A record that was applied is never applied again; a step that failed, and one that was computed on top of it, leave no
trace; how records are cut into steps makes no difference to what is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from agents.entities import Entities
from models.entity_state import ENTITY_CODEC, ENTITY_KEY_BYTES
from models.keys import as_bytes, as_keys
from schemas.codec import encode
from schemas.entity_activity import ACTIVITY, FIRST_TIME, encode_activity
from stream.batch import Batch
from stream.changelog import Checkpoint
from stream.keyed_state import KeyedState
from stream.settings import StateSettings
from stream.step import Outputs

NOON = 1_760_077_800_000
RECORDS = 40
Record = tuple[bytes, bytes | None]
"""Value and key."""


@dataclass
class Runner:
    """Does with an agent's state what `stream.step` does, step by step, at the test's pace."""

    state: KeyedState
    compute: Callable[[Batch, dict[int, int]], Outputs]
    records: list[Record]
    kept: dict[bytes, bytes | None] = field(default_factory=dict)
    """The changelog, folded."""

    def begin(self, start: int, stop: int, applied: int = 0) -> tuple[int, list[tuple[bytes, bytes | None]]]:
        """Compute a step over records from `start` on; its number and what it changed."""
        part = self.records[start:stop]
        batch = Batch(
            [value for value, _ in part],
            [key for _, key in part],
            np.zeros(len(part), dtype=np.int32),
            np.arange(start, stop, dtype=np.int64),
            np.full(len(part), NOON, dtype=np.int64),
        )
        number = self.state.begin()
        outputs = self.compute(batch, {0: applied})
        changed, rows = outputs.changed.get(0, (as_keys([]), np.zeros(0, dtype=np.int64)))
        keys = as_bytes(changed)
        assert len(set(keys)) == len(keys), "a key twice in one step"
        return number, list(zip(keys, self.state.encode(rows), strict=True))

    def keep(self, step: tuple[int, Sequence[tuple[bytes, bytes | None]]], offset: int) -> None:
        number, changes = step
        self.state.persist(0, changes, Checkpoint(offset, offset, bytes(16)))
        self.state.keep(number)
        self.kept |= dict(changes)

    def run(self, *cuts: int) -> dict[bytes, bytes | None]:
        """All records, in steps that end at `cuts`."""
        start = 0
        for stop in [*cuts, RECORDS]:
            self.keep(self.begin(start, stop), stop)
            start = stop
        return self.kept


@pytest.fixture(params=["scoring", "entities"])
def make(request, make_desk, payment, tmp_path) -> Callable[[str], Runner]:
    """`make("name")`: a runner with a directory of its own, over the same records."""

    def scoring(_: Path) -> Runner:
        desk = make_desk()
        return Runner(desk.scoring.state, desk.scoring.compute, payments)

    def entities(directory: Path) -> Runner:
        settings = StateSettings(directory, arena_rows=500, write_buffer_bytes=1 << 20)
        state = KeyedState(ENTITY_CODEC, directory / "entities", settings, ENTITY_KEY_BYTES)
        state.open(0)
        return Runner(state, Entities(state, "entity-risk").compute, activity)

    payments: list[Record] = []
    activity: list[Record] = []
    for n in range(RECORDS):
        payer = f"payer{n % 7}@bank"
        one = payment(after_s=60 * n, rupees=100 + n, payer=payer, payee=f"payee{n % 5}@bank", transaction_id=f"id{n}")
        payments.append((encode(one), payer.encode()))
        row = (1, FIRST_TIME * (n % 2), bytes([65 + n % 5]) * 16, n % 7, NOON + 1000 * n, 10_000 + n)
        activity.append((encode_activity(np.array([row], dtype=ACTIVITY)), None))
    runners = []

    def new(name: str) -> Runner:
        runners.append((scoring if request.param == "scoring" else entities)(tmp_path / name))
        return runners[-1]

    yield new
    for runner in runners:
        runner.state.close_all()


@pytest.mark.parametrize("cuts", [(1,), (20,), (7, 13, 14, 33), tuple(range(1, RECORDS))])
def test_how_records_are_cut_into_steps_makes_no_difference(make, cuts):
    assert make("whole").run() == make("cut").run(*cuts)


def test_records_that_are_applied_are_not_applied_again(make):
    once, again = make("once"), make("again")
    once.run()
    again.keep(again.begin(0, 25), 25)
    again.keep(again.begin(10, 35, applied=25), 35)
    again.keep(again.begin(35, RECORDS), RECORDS)
    assert again.kept == once.kept


def test_a_step_that_fails_leaves_no_trace(make):
    failing = make("failing")
    failing.keep(failing.begin(0, 15), 15)
    failing.begin(15, 30)
    failing.state.discard()
    failing.keep(failing.begin(15, RECORDS), RECORDS)
    assert failing.kept == make("smooth").run()


def test_a_step_that_fails_takes_the_one_with_it_that_was_computed_on_top(make):
    failing = make("failing")
    failing.keep(failing.begin(0, 10), 10)
    failing.begin(10, 20)
    failing.begin(20, 30)
    failing.state.discard()
    for start in (10, 20, 30):
        failing.keep(failing.begin(start, start + 10), start + 10)
    assert failing.kept == make("smooth").run()


def test_steps_that_overlap_are_as_steps_one_after_another(make):
    overlapping = make("overlapping")
    first = overlapping.begin(0, 10)
    for start in (10, 20, 30):
        second = overlapping.begin(start, start + 10)
        overlapping.keep(first, start)
        first = second
    overlapping.keep(first, RECORDS)
    smooth = make("smooth")
    assert overlapping.kept == smooth.run()
    assert {key: overlapping.state.get(0, key) for key in smooth.kept} == smooth.kept


def test_what_is_kept_is_there_when_the_database_is_opened_again(make):
    runner = make("again")
    runner.keep(runner.begin(0, 20), 20)
    runner.state.close(0)
    assert runner.state.open(0) == Checkpoint(20, 20, bytes(16))
    runner.keep(runner.begin(20, RECORDS), RECORDS)
    assert runner.kept == make("smooth").run()
