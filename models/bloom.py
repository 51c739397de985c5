"""A Bloom filter over entities' keys: tells of most unknown entities, without a look at memory or disk, that they are.

B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970. The keys end in 16 bytes of a keyed
hash, so their two halves serve as the two hash functions (A. Kirsch and M. Mitzenmacher, 2006).
"""

import numpy as np
from numpy.typing import NDArray

from models.jit import compiled
from models.keys import Keys

HASHES = 4


class BloomFilter:
    """Remembers keys in a fixed number of bits; 2^27, 16 MiB, hold 13 million at 1 % false positives."""

    def __init__(self, bits_log2: int = 27) -> None:
        self._words = np.zeros(1 << (bits_log2 - 6), dtype=np.uint64)

    def add(self, keys: Keys) -> None:
        """Remember keys (n, 17), see `models.entity_state.entity_keys`, for ever."""
        _add(self._words, *_halves(keys))

    def may_hold(self, keys: Keys) -> NDArray[np.bool_]:
        """(n,): False for a key that was certainly never added."""
        return _may_hold(self._words, *_halves(keys))


def _halves(keys: Keys) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    halves = np.ascontiguousarray(keys[:, 1:]).view(np.uint64).reshape(-1, 2)
    # The same token may stand for entities of two kinds.
    kinds = keys[:, 0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return halves[:, 0] ^ kinds, halves[:, 1] | np.uint64(1)


@compiled
def _add(words: NDArray[np.uint64], first: NDArray[np.uint64], second: NDArray[np.uint64]) -> None:
    mask = np.uint64(words.size * 64 - 1)
    for i in range(first.size):
        for k in range(HASHES):
            bit = (first[i] + np.uint64(k) * second[i]) & mask
            words[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))


@compiled
def _may_hold(words: NDArray[np.uint64], first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.bool_]:
    mask = np.uint64(words.size * 64 - 1)
    result = np.ones(first.size, dtype=np.bool_)
    for i in range(first.size):
        for k in range(HASHES):
            bit = (first[i] + np.uint64(k) * second[i]) & mask
            if words[bit >> np.uint64(6)] & (np.uint64(1) << (bit & np.uint64(63))) == 0:
                result[i] = False
                break
    return result
