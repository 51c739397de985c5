"""A circuit breaker: when nothing that arrives can be read, the publisher is at fault, or this worker the wrong one.

Setting a few bad records aside keeps the good ones moving. Setting everything aside would empty the topic into the
dead letters while nobody looks, so after so many in a row the worker stops instead.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.errors import Stop

REJECT_LIMIT = 1_000
"""Records in a row that cannot be read, with which a worker stops."""


class CircuitBreaker:
    """Counts unreadable records in a row, over steps and partitions; one good record starts the count anew.

    A record counts once, however often its step is done again.
    """

    def __init__(self, limit: int = REJECT_LIMIT, dead_letters: str = "transactions.dead-letter") -> None:
        """A `limit` of 0 never trips; `dead_letters` is the topic that the error names."""
        assert limit >= 0
        self.in_a_row = 0
        self._limit = limit
        self._dead_letters = dead_letters
        self._next: dict[int, int] = {}

    def see(self, partitions: NDArray[np.int32], offsets: NDArray[np.int64], rejected: Sequence[int]) -> None:
        """Take note of a step's records (n,) in their order; those with the indices `rejected` could not be read.

        Raises `Stop` where the limit is reached. To be called before the step publishes or commits anything.
        """
        is_new = np.zeros(offsets.size, dtype=np.bool_)
        for partition in np.unique(partitions).tolist():
            here = partitions == partition
            start = self._next.get(partition, 0)
            is_new |= here & (offsets >= start)
            self._next[partition] = max(start, int(offsets[here].max()) + 1)
        is_bad = np.zeros(offsets.size, dtype=np.bool_)
        is_bad[np.asarray(rejected, dtype=np.int64)] = True
        for bad in is_bad[is_new].tolist() if len(rejected) else [False][: int(is_new.any())]:
            self.in_a_row = self.in_a_row + 1 if bad else 0
            if 0 < self._limit <= self.in_a_row:
                raise self._tripped()

    def _tripped(self) -> Stop:
        return Stop(
            f"{self.in_a_row:,} records in a row could not be read as payments",
            hint=f"nothing was lost: they stay on the topic, those of earlier steps lie in {self._dead_letters}, with "
            "the reason in their headers; correct the publisher, or this worker, and start it again; "
            "--reject-limit 0 sets all of them aside",
        )
