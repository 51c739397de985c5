"""A bounded number of decoded records in memory, over all partitions of one agent; least recently used ones leave.

A row is pinned while a step that used it is unfinished: `begin` starts a step, `keep` ends it and all before it,
`discard` takes back what every unfinished one touched. Rows leave in bulk, because finding the oldest costs the same
for one as for many.
"""

import numpy as np

from models.keys import KeyIndex, Keys, Rows
from stream.errors import Stop

EVICT_SHARE = 8
"""One row in so many leaves when room is needed."""
FREE = -1


class Arena:
    """Rows of `dtype` by partition and key of `width` bytes. Not for use by two threads at once."""

    def __init__(self, dtype: np.dtype[np.void], capacity: int, width: int) -> None:
        self.records = np.zeros(capacity, dtype=dtype)
        self._raw = self.records.view(np.uint8).reshape(capacity, dtype.itemsize)
        self._index = KeyIndex(capacity, width)
        self._partition = np.full(capacity, FREE, dtype=np.int32)
        self._used_in = np.zeros(capacity, dtype=np.int64)
        self._free = np.arange(capacity - 1, -1, -1)
        """A stack of rows; the first `_left` count."""
        self._left = capacity
        self._step = 0
        self._kept = 0

    def __len__(self) -> int:
        return self.records.size - self._left

    def begin(self) -> int:
        """A new step; its number."""
        self._step += 1
        return self._step

    def keep(self, step: int) -> None:
        """A step is finished, and with it all before it: rows that no later one used may leave from now on."""
        self._kept = max(self._kept, step)

    def find(self, partition: int, keys: Keys) -> Rows:
        """(n,) rows of `keys`, -1 for those not here. Those found are pinned to this step."""
        rows = self._index.find(partition, keys)
        self._used_in[rows[rows >= 0]] = self._step
        return rows

    def add(self, partition: int, keys: Keys) -> Rows:
        """Rows of zeros for `keys`, which must be distinct and not here."""
        if self._left < len(keys):
            self._evict(len(keys))
        rows = self._free[self._left - len(keys) : self._left].copy()
        self._left -= len(keys)
        self._index.put(partition, keys, rows)
        self._partition[rows] = partition
        self._used_in[rows] = self._step
        self._raw[rows] = 0  # field by field would take five times as long
        return rows

    def discard(self) -> None:
        """Forget every row that an unfinished step used; there is none afterwards."""
        self._drop(np.flatnonzero((self._used_in > self._kept) & (self._partition != FREE)))
        self._kept = self._step

    def forget(self, partition: int) -> None:
        """Forget every row of a partition."""
        self._drop(np.flatnonzero(self._partition == partition))

    def _evict(self, wanted: int) -> None:
        unpinned = np.flatnonzero((self._used_in <= self._kept) & (self._partition != FREE))
        count = max(wanted - self._left, self.records.size // EVICT_SHARE)
        if unpinned.size + self._left < wanted:
            raise Stop(
                f"unfinished steps need {wanted} more rows, the arena has {self.records.size}",
                hint="raise arena_rows to at least three times max_batch",
            )
        if count < unpinned.size:
            unpinned = unpinned[np.argpartition(self._used_in[unpinned], count)[:count]]
        self._drop(unpinned)

    def _drop(self, rows: Rows) -> None:
        self._index.remove(rows)
        self._partition[rows] = FREE
        self._free[self._left : self._left + rows.size] = rows
        self._left += rows.size
