"""A share with its interval: what a count of a few dozen can and cannot tell."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959964
"""95 %."""


@dataclass(frozen=True)
class Rate:
    """`hits` of `total`, with Wilson's 95 % interval (E. Wilson, 1927): it stays within 0 and 1 at any count."""

    hits: int
    total: int

    @property
    def share(self) -> float:
        return self.hits / self.total if self.total else math.nan

    @property
    def low(self) -> float:
        return max(0.0, self._centre - self._reach) if self.total else math.nan

    @property
    def high(self) -> float:
        return min(1.0, self._centre + self._reach) if self.total else math.nan

    @property
    def _centre(self) -> float:
        return (self.share + Z * Z / (2 * self.total)) / (1 + Z * Z / self.total)

    @property
    def _reach(self) -> float:
        spread = self.share * (1 - self.share) / self.total + (Z / (2 * self.total)) ** 2
        return Z * math.sqrt(spread) / (1 + Z * Z / self.total)


def rate(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Rate:
    """The share of `among` that is also in `hits`, both (n,)."""
    return Rate(int(np.count_nonzero(hits & among)), int(np.count_nonzero(among)))
