"""The arena forgets only what it may: against a plain dict, with almost no room."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.keys import Keys, as_keys
from stream.arena import Arena
from stream.errors import Stop

VALUE = np.dtype([("value", "i8")])
KEYS = [b"key%02d" % i for i in range(12)]
WIDTH = 5


def array(*keys: bytes) -> Keys:
    return as_keys(keys, WIDTH)


PARTITIONS = range(3)


class ArenaMachine(RuleBasedStateMachine):
    """Steps load, change and are kept or fail, as `KeyedState` would have it; `kept` plays the database."""

    @initialize(capacity=st.integers(1, 9))
    def make(self, capacity):
        self.arena = Arena(VALUE, capacity, WIDTH)
        self.kept: dict[tuple[int, bytes], int] = {}
        self.unfinished: list[tuple[int, dict[tuple[int, bytes], int]]] = []
        """Numbers of the steps, oldest first, and what each wrote."""
        self.begin()

    def begin(self):
        self.unfinished.append((self.arena.begin(), {}))

    def written(self) -> dict[tuple[int, bytes], int]:
        return {place: value for _, step in self.unfinished for place, value in step.items()}

    @rule(partition=st.sampled_from(PARTITIONS), keys=st.lists(st.sampled_from(KEYS), max_size=6))
    def use(self, partition, keys):
        """Load what is absent, then write a new value into each record."""
        rows = self.arena.find(partition, array(*keys))
        absent = list(dict.fromkeys(key for key, row in zip(keys, rows, strict=True) if row < 0))
        pinned = len(self.written().keys() | {(partition, key) for key in keys})
        try:
            added = self.arena.add(partition, array(*absent))
        except Stop:
            assert pinned > self.arena.records.size, "there was room"
            self.fail()
            return
        assert pinned <= self.arena.records.size
        self.arena.records["value"][added] = [self.kept.get((partition, key), 0) for key in absent]
        rows = self.arena.find(partition, array(*keys))
        assert (rows >= 0).all()
        assert len(set(rows.tolist())) == len(set(keys)), "two keys share a row"
        for key, row in zip(keys, rows.tolist(), strict=True):
            place = (partition, key)
            expected = self.written().get(place, self.kept.get(place, 0))
            assert self.arena.records[row]["value"] == expected
            self.unfinished[-1][1][place] = expected + 1
            self.arena.records[row]["value"] = expected + 1

    @precondition(lambda self: len(self.unfinished) == 1)
    @rule()
    def begin_the_next_before_this_one_is_kept(self):
        self.begin()

    @rule()
    def keep_the_oldest(self):
        number, step = self.unfinished.pop(0)
        self.arena.keep(number)
        self.kept |= step
        if not self.unfinished:
            self.begin()

    @rule()
    def fail(self):
        self.arena.discard()
        self.unfinished = []
        self.begin()

    @rule(partition=st.sampled_from(PARTITIONS))
    def forget(self, partition):
        """Between steps: a partition is given up, another worker moves it on."""
        while self.written():
            self.keep_the_oldest()
        self.arena.forget(partition)
        for place in self.kept:
            if place[0] == partition:
                self.kept[place] += 100

    @invariant()
    def it_holds_no_more_than_it_may(self):
        if hasattr(self, "arena"):
            assert len(self.arena) <= self.arena.records.size


TestAgainstADict = ArenaMachine.TestCase
TestAgainstADict.settings = settings(max_examples=200, stateful_step_count=40)


def test_a_step_that_needs_more_rows_than_there_are_says_what_to_change():
    arena = Arena(VALUE, 2, WIDTH)
    arena.begin()
    with pytest.raises(Stop) as refused:
        arena.add(0, array(b"key_a", b"key_b", b"key_c"))
    assert "arena_rows" in refused.value.hint
    assert len(arena) == 0


def test_rows_of_a_step_that_is_not_kept_stay_while_the_next_one_runs():
    arena = Arena(VALUE, 2, WIDTH)
    first = arena.begin()
    arena.records["value"][arena.add(0, array(b"key_a"))] = 7
    arena.begin()
    arena.add(0, array(b"key_b"))
    with pytest.raises(Stop):
        arena.add(0, array(b"key_c"))
    arena.keep(first)
    arena.add(0, array(b"key_c"))
    assert arena.find(0, array(b"key_a", b"key_b")).tolist()[0] == -1


def test_the_least_recently_used_leave_first():
    arena = Arena(VALUE, 8, WIDTH)
    for step in range(8):
        number = arena.begin()
        arena.add(0, array(b"key%02d" % step))
        arena.keep(number)
    arena.begin()
    arena.find(0, array(b"key00"))
    arena.add(0, array(b"new__"))
    assert arena.find(0, array(b"key00", b"key01", b"key02", b"new__")).tolist().count(-1) == 1
    assert arena.find(0, array(b"key01")).tolist() == [-1]


def test_a_record_that_comes_back_is_empty_until_it_is_loaded():
    arena = Arena(VALUE, 1, WIDTH)
    number = arena.begin()
    arena.records["value"][arena.add(0, array(b"key_a"))] = 7
    arena.keep(number)
    arena.begin()
    row = arena.add(1, array(b"key_a"))
    assert arena.records["value"][row].tolist() == [0]
    assert arena.find(0, array(b"key_a")).tolist() == [-1]
