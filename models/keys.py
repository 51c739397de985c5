"""Keys of records as arrays, (n, width) of bytes, and an index from them to rows: looked up a batch at a time.

The index is an open-addressing hash table with linear probing; what is removed closes the gap behind it (D. E. Knuth,
The Art of Computer Programming, volume 3, section 6.4, algorithm R). Keys are tokens, so nobody can choose ones that
collide without the key of the tokens.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.jit import compiled

TOKEN_BYTES = 16
NONE = -1
Keys = NDArray[np.uint8]
"""(n, width)"""
Rows = NDArray[np.int64]
Words = NDArray[np.uint64]
Slots = NDArray[np.uint32]


def as_keys(keys: Sequence[bytes], width: int = TOKEN_BYTES) -> Keys:
    """Keys of `width` bytes each as an array."""
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), width)


def as_bytes(keys: Keys) -> list[bytes]:
    """The same keys one by one."""
    return np.ascontiguousarray(keys).view(f"V{keys.shape[1]}").ravel().tolist()


def of_tokens(tokens: NDArray[np.void]) -> Keys:
    """Tokens (n,) of 16 bytes as keys."""
    return np.ascontiguousarray(tokens).view(np.uint8).reshape(-1, TOKEN_BYTES)


def distinct(keys: Keys) -> tuple[Rows, Rows]:
    """Where each different key stands first, (m,), and for every key which of those it is, (n,)."""
    words = _words(0, keys)
    first, which = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64)
    count = _distinct(_slots(len(keys)), words, first, which)
    return first[:count], which


class KeyIndex:
    """The row of each partition's keys, at most one a row. Not for use by two threads at once."""

    def __init__(self, capacity: int, width: int) -> None:
        self._width = width
        self._words = np.zeros((capacity, _words(0, np.zeros((0, width), dtype=np.uint8)).shape[1]), dtype=np.uint64)
        self._slots = _slots(capacity)

    def find(self, partition: int, keys: Keys) -> Rows:
        """(n,) rows of `keys`, `NONE` for those not here."""
        assert keys.shape[1] == self._width, "the index is of other keys"
        rows = np.empty(len(keys), dtype=np.int64)
        _find(self._slots, self._words, _words(partition, keys), rows)
        return rows

    def put(self, partition: int, keys: Keys, rows: Rows) -> None:
        """Set the rows of `keys`, which must be distinct and not here."""
        assert keys.shape[1] == self._width, "the index is of other keys"
        self._words[rows] = _words(partition, keys)
        _put(self._slots, self._words, rows)

    def remove(self, rows: Rows) -> None:
        """Take away the keys of `rows`, which must be here."""
        _remove(self._slots, self._words, rows)


class GrowingIndex:
    """The row of each key, rows given in the order in which keys are first seen."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._words = _words(0, np.zeros((1_024, width), dtype=np.uint8))
        self._slots = _slots(1_024)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, keys: Keys) -> Rows:
        """(n,) rows of `keys`, `NONE` for one never seen."""
        assert keys.shape[1] == self._width, "the index is of other keys"
        rows = np.empty(len(keys), dtype=np.int64)
        _find(self._slots, self._words, _words(0, keys), rows)
        return rows

    def add(self, keys: Keys) -> Rows:
        """(n,) rows of `keys`, which may repeat; a key never seen gets the next row."""
        assert keys.shape[1] == self._width, "the index is of other keys"
        if self._count + len(keys) > len(self._words):
            self._words = np.resize(self._words, (2 * (self._count + len(keys)), self._words.shape[1]))
            self._slots = _slots(len(self._words))
            _put(self._slots, self._words, np.arange(self._count))
        rows = np.empty(len(keys), dtype=np.int64)
        self._count = _add(self._slots, self._words, self._count, _words(0, keys), rows)
        return rows

    def keys(self) -> Keys:
        """(n, width) every key, in order of its row."""
        return self._words[: self._count].view(np.uint8)[:, : self._width]


def _words(partition: int, keys: Keys) -> Words:
    """Key and partition side by side, filled up to whole words."""
    count, width = keys.shape
    words = np.zeros((count, (width + 4 + 7) // 8), dtype=np.uint64)
    raw = words.view(np.uint8)
    raw[:, :width] = keys
    raw[:, width : width + 4] = np.frombuffer(np.int32(partition).tobytes(), dtype=np.uint8)
    return words


def _slots(keys: int) -> Slots:
    """An empty table for so many keys, at most half full: of each slot a digest, and its row + 1 or 0 for none."""
    return np.zeros((1 << max(3, (2 * keys - 1).bit_length()), 2), dtype=np.uint32)


@compiled
def _digest(words: Words, i: int | np.int64) -> np.uint32:
    digest = np.uint64(0x9E3779B97F4A7C15)
    for k in range(words.shape[1]):
        digest = (digest ^ words[i, k]) * np.uint64(0xFF51AFD7ED558CCD)
        digest ^= digest >> np.uint64(32)
    return np.uint32(digest)


@compiled
def _same(words: Words, i: int | np.int64, others: Words, j: int | np.int64) -> bool:
    for k in range(words.shape[1]):  # noqa: SIM110  # numba compiles no generators
        if words[i, k] != others[j, k]:
            return False
    return True


@compiled
def _find(slots: Slots, words: Words, wanted: Words, rows: Rows) -> None:
    mask = slots.shape[0] - 1
    for i in range(wanted.shape[0]):
        digest = _digest(wanted, i)
        at = digest & mask
        rows[i] = NONE
        while slots[at, 1]:
            row = np.int64(slots[at, 1]) - 1
            if slots[at, 0] == digest and _same(words, row, wanted, i):
                rows[i] = row
                break
            at = (at + 1) & mask


@compiled
def _add(slots: Slots, words: Words, count: int, wanted: Words, rows: Rows) -> int:
    mask = slots.shape[0] - 1
    for i in range(wanted.shape[0]):
        digest = _digest(wanted, i)
        at = digest & mask
        while slots[at, 1]:
            row = np.int64(slots[at, 1]) - 1
            if slots[at, 0] == digest and _same(words, row, wanted, i):
                break
            at = (at + 1) & mask
        if not slots[at, 1]:
            words[count] = wanted[i]
            count += 1
            slots[at, 0], slots[at, 1] = digest, count
        rows[i] = np.int64(slots[at, 1]) - 1
    return count


@compiled
def _put(slots: Slots, words: Words, rows: Rows) -> None:
    mask = slots.shape[0] - 1
    for row in rows:
        digest = _digest(words, row)
        at = digest & mask
        while slots[at, 1]:
            at = (at + 1) & mask
        slots[at, 0], slots[at, 1] = digest, row + 1


@compiled
def _remove(slots: Slots, words: Words, rows: Rows) -> None:
    mask = slots.shape[0] - 1
    for row in rows:
        at = _digest(words, row) & mask
        while slots[at, 1] != row + 1:
            at = (at + 1) & mask
        gap = at
        at = (at + 1) & mask
        while slots[at, 1]:
            home = slots[at, 0] & mask
            if ((at - home) & mask) >= ((at - gap) & mask):  # it may stand where the gap is
                slots[gap, 0], slots[gap, 1] = slots[at, 0], slots[at, 1]
                gap = at
            at = (at + 1) & mask
        slots[gap, 1] = 0


@compiled
def _distinct(slots: Slots, words: Words, first: Rows, which: Rows) -> int:
    mask = slots.shape[0] - 1
    count = 0
    for i in range(words.shape[0]):
        digest = _digest(words, i)
        at = digest & mask
        while slots[at, 1]:
            known = np.int64(slots[at, 1]) - 1
            if slots[at, 0] == digest and _same(words, first[known], words, i):
                break
            at = (at + 1) & mask
        if not slots[at, 1]:
            first[count] = i
            count += 1
            slots[at, 0], slots[at, 1] = digest, count
        which[i] = np.int64(slots[at, 1]) - 1
    return count
