"""A bounded number of decoded records in memory, over all partitions of one agent; least recently used ones leave.

A row is pinned while a step that used it is unfinished: `begin` starts a step, `keep` ends it and all before it,
`discard` takes back what every unfinished one touched. Rows leave in bulk, because finding the oldest costs the same
for one as for many.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.errors import Stop

EVICT_SHARE = 8
"""One row in so many leaves when room is needed."""
FREE = -1


class Arena:
    """Rows of `dtype` by partition and key. Not for use by two threads at once."""

    def __init__(self, dtype: np.dtype[np.void], capacity: int) -> None:
        self.records = np.zeros(capacity, dtype=dtype)
        self._index: dict[int, dict[bytes, int]] = {}
        self._keys: list[bytes] = [b""] * capacity
        self._partition = np.full(capacity, FREE, dtype=np.int32)
        self._used_in = np.zeros(capacity, dtype=np.int64)
        self._free = list(range(capacity - 1, -1, -1))
        self._step = 0
        self._kept = 0

    def __len__(self) -> int:
        return self.records.size - len(self._free)

    def begin(self) -> int:
        """A new step; its number."""
        self._step += 1
        return self._step

    def keep(self, step: int) -> None:
        """A step is finished, and with it all before it: rows that no later one used may leave from now on."""
        self._kept = max(self._kept, step)

    def find(self, partition: int, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """(n,) rows of `keys`, -1 for those not here. Those found are pinned to this step."""
        index = self._index.setdefault(partition, {})
        rows = np.fromiter((index.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))
        self._used_in[rows[rows >= 0]] = self._step
        return rows

    def add(self, partition: int, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """Rows of zeros for `keys`, which must be distinct and not here."""
        if len(self._free) < len(keys):
            self._evict(len(keys))
        rows = self._free[-len(keys) :] if keys else []
        del self._free[len(self._free) - len(keys) :]
        index = self._index.setdefault(partition, {})
        for key, row in zip(keys, rows, strict=True):
            index[key] = row
            self._keys[row] = key
        added = np.array(rows, dtype=np.int64)
        self._partition[added] = partition
        self._used_in[added] = self._step
        self.records[added] = np.zeros(1, dtype=self.records.dtype)
        return added

    def discard(self) -> None:
        """Forget every row that an unfinished step used; there is none afterwards."""
        self._drop(np.flatnonzero((self._used_in > self._kept) & (self._partition != FREE)))
        self._kept = self._step

    def forget(self, partition: int) -> None:
        """Forget every row of a partition."""
        self._drop(np.flatnonzero(self._partition == partition))
        self._index.pop(partition, None)

    def _evict(self, wanted: int) -> None:
        unpinned = np.flatnonzero((self._used_in <= self._kept) & (self._partition != FREE))
        count = max(wanted - len(self._free), self.records.size // EVICT_SHARE)
        if unpinned.size + len(self._free) < wanted:
            raise Stop(
                f"unfinished steps need {wanted} more rows, the arena has {self.records.size}",
                hint="raise arena_rows to at least three times max_batch",
            )
        if count < unpinned.size:
            unpinned = unpinned[np.argpartition(self._used_in[unpinned], count)[:count]]
        self._drop(unpinned)

    def _drop(self, rows: NDArray[np.int64]) -> None:
        for row, partition in zip(rows.tolist(), self._partition[rows].tolist(), strict=True):
            del self._index[partition][self._keys[row]]
            self._keys[row] = b""
        self._partition[rows] = FREE
        self._free.extend(rows.tolist())
