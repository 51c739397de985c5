"""The filter never forgets a key, and seldom claims to know one it was not given."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bloom import BloomFilter

keys = st.lists(st.tuples(st.integers(1, 3), st.binary(min_size=16, max_size=16)), max_size=200, unique=True)


def matrix(some):
    return np.frombuffer(b"".join(bytes([kind]) + token for kind, token in some), dtype=np.uint8).reshape(-1, 17)


@settings(max_examples=50)
@given(keys)
def test_a_key_that_was_added_may_be_held(some):
    bloom = BloomFilter(bits_log2=12)
    bloom.add(matrix(some))
    assert bloom.may_hold(matrix(some)).all()


def test_most_keys_that_were_not_added_are_known_not_to_be():
    random = np.random.default_rng(5)
    added, others = random.integers(0, 256, (2, 10_000, 17), dtype=np.uint8)
    bloom = BloomFilter(bits_log2=17)  # 13 bits a key
    bloom.add(added)
    assert bloom.may_hold(others).mean() < 0.02


def test_the_same_token_of_another_kind_is_another_key():
    bloom = BloomFilter(bits_log2=17)
    bloom.add(matrix([(1, b"x" * 16)]))
    assert not bloom.may_hold(matrix([(2, b"x" * 16)])).any()
    assert not BloomFilter().may_hold(matrix([])).size
