"""Records of any number of keys in memory, for runs without Kafka or disk: training, replay, the oracle of tests."""

import numpy as np
from numpy.typing import NDArray

from models.keys import TOKEN_BYTES, GrowingIndex, Keys, Rows


class GrowingArena:
    """A structured array that grows, and the row of each key. A key never seen gets a row of zeros."""

    def __init__(self, dtype: np.dtype[np.void], width: int = TOKEN_BYTES) -> None:
        self.records: NDArray[np.void] = np.zeros(1024, dtype=dtype)
        self._index = GrowingIndex(width)

    def __len__(self) -> int:
        return len(self._index)

    def rows(self, keys: Keys) -> Rows:
        """(n,) rows of `keys`, which may repeat; `records` may be another array afterwards."""
        rows = self._index.add(keys)
        if len(self) > self.records.size:
            grown = np.zeros(max(len(self), 2 * self.records.size), dtype=self.records.dtype)
            grown[: self.records.size] = self.records
            self.records = grown
        return rows

    def find(self, keys: Keys) -> Rows:
        """(n,) rows of `keys`, -1 for one never seen."""
        return self._index.find(keys)

    def keys(self) -> Keys:
        """Every key, in order of its row."""
        return self._index.keys()

    def kept(self) -> tuple[Keys, NDArray[np.void]]:
        """All there is: keys and records, each in order of rows."""
        return self.keys(), self.records[: len(self)]

    def restore(self, keys: Keys, records: NDArray[np.void]) -> None:
        """Take over what `kept` gave; this arena is empty."""
        assert not len(self), "an arena is filled once"
        rows = self.rows(keys)
        self.records[rows] = records
