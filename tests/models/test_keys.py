"""The index of keys: against a plain dict, nearly full, with keys that collide."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.keys import NONE, GrowingIndex, KeyIndex, as_bytes, as_keys, distinct

CAPACITY = 12
PARTITIONS = st.integers(0, 2)
WIDTHS = (3, 16, 17)


def key(k: int, width: int) -> bytes:
    return k.to_bytes(width, "little")


class IndexMachine(RuleBasedStateMachine):
    """Puts, finds and removes; `rows` is what the index should know."""

    @initialize(width=st.sampled_from(WIDTHS))
    def make(self, width):
        self.width = width
        self.index = KeyIndex(CAPACITY, width)
        self.rows: dict[tuple[int, bytes], int] = {}

    def keys(self, numbers: list[int]) -> np.ndarray:
        return as_keys([key(k, self.width) for k in numbers], self.width)

    @rule(partition=PARTITIONS, numbers=st.lists(st.integers(0, 20), unique=True))
    def put(self, partition, numbers):
        free = sorted(set(range(CAPACITY)) - set(self.rows.values()))
        new = [k for k in numbers if (partition, key(k, self.width)) not in self.rows][: len(free)]
        rows = np.array(free[: len(new)], dtype=np.int64)
        self.index.put(partition, self.keys(new), rows)
        self.rows |= {(partition, key(k, self.width)): row for k, row in zip(new, rows.tolist(), strict=True)}

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove(self, data):
        places = data.draw(st.lists(st.sampled_from(sorted(self.rows)), unique=True))
        self.index.remove(np.array([self.rows.pop(place) for place in places], dtype=np.int64))

    @invariant()
    def it_finds_what_is_there_and_nothing_else(self):
        if hasattr(self, "rows"):
            for partition in range(3):
                found = self.index.find(partition, self.keys(list(range(21)))).tolist()
                assert found == [self.rows.get((partition, key(k, self.width)), NONE) for k in range(21)]


TestAgainstADict = IndexMachine.TestCase
TestAgainstADict.settings = settings(max_examples=100, stateful_step_count=40)


@given(numbers=st.lists(st.integers(0, 9)), width=st.sampled_from(WIDTHS))
def test_distinct_names_each_key_once_in_order(numbers, width):
    first, which = distinct(as_keys([key(k, width) for k in numbers], width))
    assert [numbers[i] for i in first] == list(dict.fromkeys(numbers))
    assert [numbers[first[k]] for k in which] == numbers


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_are_the_same_as_bytes(width):
    keys = [key(k, width) for k in (0, 1, 255)]
    assert as_bytes(as_keys(keys, width)) == keys
    assert as_bytes(as_keys(keys, width)[1:]) == keys[1:]
    assert as_bytes(as_keys([], width)) == []


def test_keys_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="reshape"):
        as_keys([b"four", b"five!"], 4)


def test_a_large_index_finds_every_key_after_most_were_removed():
    rng = np.random.default_rng(1)
    keys = np.unique(rng.integers(0, 256, (5_000, 16), dtype=np.uint8), axis=0)
    index = KeyIndex(len(keys), 16)
    rows = rng.permutation(len(keys))
    index.put(7, keys, rows)
    assert (index.find(7, keys) == rows).all()
    assert (index.find(6, keys) == NONE).all()
    gone = rng.random(len(keys)) < 0.9
    index.remove(rows[gone])
    assert (index.find(7, keys) == np.where(gone, NONE, rows)).all()


@given(parts=st.lists(st.lists(st.integers(0, 5_000), max_size=1_500), max_size=4), width=st.sampled_from(WIDTHS))
@settings(max_examples=50)
def test_a_growing_index_gives_rows_in_the_order_of_first_sight(parts, width):
    index, known = GrowingIndex(width), {}
    for numbers in parts:
        keys = [key(k, width) for k in numbers]
        before = index.find(as_keys(keys, width)).tolist()
        assert before == [known.get(each, NONE) for each in keys]
        assert index.add(as_keys(keys, width)).tolist() == [known.setdefault(each, len(known)) for each in keys]
    assert as_bytes(index.keys()) == list(known)
    assert len(index) == len(known)
