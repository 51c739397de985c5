"""What the collector finds, and what it leaves alone."""

import numpy as np
import pytest

from models.keys import as_keys
from stream.changelog import Checkpoint
from stream.expiry import Collector, ExpirySettings
from stream.keyed_state import KeyedState
from stream.settings import StateSettings
from stream.step import Outputs

TOPIC = b"t" * 16
SETTINGS = ExpirySettings(after_ms=100, keys_per_s=10, keys_per_step=1_000, pass_every_s=60)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(k: int) -> bytes:
    return b"%016d" % k


@pytest.fixture
def state(counting, tmp_path):
    state = KeyedState(counting.CountCodec(), tmp_path, StateSettings(tmp_path, arena_rows=500))
    state.open(0)
    yield state
    state.close_all()


def step(
    state: KeyedState,
    seen: dict[int, int],
    collector: Collector | None = None,
    *,
    commit: bool = True,
    partition: int = 0,
) -> Outputs:
    """A step after which each key was last seen at a time; what it makes."""
    number = state.begin()
    keys = [key(k) for k in seen]
    rows = state.rows(partition, as_keys(keys))
    state.records["last"][rows] = list(seen.values())
    outputs = Outputs(changed={partition: (as_keys(keys), rows)})
    if collector:
        collector.collect(outputs)
    if commit:
        state.persist(partition, list(zip(keys, state.encode(rows), strict=True)), Checkpoint(1, 1, TOPIC))
        state.keep(number)
    return outputs


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collector(state, clock) -> Collector:
    return Collector(state, lambda records: records["last"], SETTINGS, clock)


def test_only_what_expired_by_the_newest_event_time_is_named(state, clock, collector):
    step(state, {1: 50, 2: 99, 3: 101, 4: 150})
    clock.now = 10
    outputs = step(state, {5: 200}, collector)
    assert outputs.deleted == {0: [key(1), key(2)]}
    assert outputs.counts == {"expired": 2}


def test_it_looks_at_so_many_keys_a_second_and_goes_on_from_there(state, clock, collector):
    step(state, dict.fromkeys(range(25), 1))
    found = []
    for clock.now in (1, 2, 3):
        found.append(step(state, {99: 1000}, collector).deleted.get(0, []))
    assert [len(keys) for keys in found] == [10, 10, 5]
    assert sorted(each for keys in found for each in keys) == [key(k) for k in range(25)]


def test_a_pass_that_is_done_is_not_begun_again_at_once(state, clock, collector):
    clock.now = 10
    step(state, {99: 1000}, collector)
    step(state, {1: 1})
    clock.now = 20
    assert step(state, {99: 1001}, collector).deleted == {}
    clock.now = 80
    assert step(state, {99: 1002}, collector).deleted == {0: [key(1)]}


def test_what_an_unfinished_step_has_seen_again_stays(state, clock, collector):
    step(state, {1: 1, 2: 1})
    step(state, {1: 990}, commit=False)  # on disk the key is still the old one
    clock.now = 10
    assert step(state, {99: 1000}, collector).deleted == {0: [key(2)]}


def test_nothing_is_expired_before_a_payment_tells_the_time(state, clock, collector):
    step(state, {1: 1})
    clock.now = 10
    outputs = Outputs(changed={0: (as_keys([]), np.zeros(0, dtype=np.int64))})
    state.begin()
    collector.collect(outputs)
    assert outputs.deleted == {}


def test_partitions_are_looked_at_in_turn(state, clock, collector):
    state.open(1)
    found: list[list[int]] = []
    step(state, {1: 1})
    step(state, {1: 1}, partition=1)
    for clock.now in (1, 1, 1.5, 70, 70.1):
        outputs = Outputs()
        number = state.begin()
        for partition in (0, 1):
            rows = state.rows(partition, as_keys([key(99)]))
            state.records["last"][rows] = 1000
            outputs.changed[partition] = (as_keys([key(99)]), rows)
        collector.collect(outputs)
        found.append(list(outputs.deleted))
        state.keep(number)
    assert found == [[0], [1], [], [0], [1]]


def test_a_partition_is_left_alone_while_much_of_it_is_not_on_disk(state, clock, collector, monkeypatch):
    monkeypatch.setattr("stream.keyed_state.SCAN_SORTS", 10)
    step(state, dict.fromkeys(range(20), 1))
    clock.now = 10
    assert step(state, {99: 1000}, collector).deleted == {}
    state.close(0)
    state.open(0)
    clock.now = 20
    assert len(step(state, {99: 1001}, collector).deleted[0]) == 20
