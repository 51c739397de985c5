"""Records of any number of keys in memory, for runs without Kafka or disk: training, replay, the oracle of tests."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class GrowingArena:
    """A structured array that grows, and the row of each key. A key never seen gets a row of zeros."""

    def __init__(self, dtype: np.dtype[np.void], capacity: int = 1024) -> None:
        self.records = np.zeros(capacity, dtype=dtype)
        self._rows: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """(n,) rows of `keys`, which may repeat; `records` may be another array afterwards."""
        known = self._rows
        rows = np.fromiter((known.setdefault(key, len(known)) for key in keys), dtype=np.int64, count=len(keys))
        if len(known) > self.records.size:
            grown = np.zeros(max(len(known), 2 * self.records.size), dtype=self.records.dtype)
            grown[: self.records.size] = self.records
            self.records = grown
        return rows

    def find(self, keys: Sequence[bytes]) -> NDArray[np.int64]:
        """(n,) rows of `keys`, -1 for one never seen."""
        return np.fromiter((self._rows.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))

    def items(self) -> list[tuple[bytes, int]]:
        """Every key with its row."""
        return list(self._rows.items())
