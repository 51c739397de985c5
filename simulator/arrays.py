"""Array types, and hashes that stand in for stored tables: the same numbers in, the same draw out.

A customer's third favourite shop or the phone he had in June is a hash of who and when, not a row kept
somewhere. That is what lets any stretch of the world's time be produced on its own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
AnyArray = NDArray[Any]

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def _words(part: AnyArray | int) -> Words:
    return (
        np.asarray(part).astype(np.int64, copy=False).view(np.uint64)
        if np.asarray(part).dtype != np.uint64
        else np.asarray(part)
    )


def mix(*parts: AnyArray | int) -> Words:
    """splitmix64 over the parts in turn, each an integer or an array of them; returns 64 random bits per row."""
    with np.errstate(over="ignore"):
        state: Words = np.zeros(1, dtype=np.uint64)
        for part in parts:
            state = (state ^ _words(part)) + _GOLDEN
            state = (state ^ (state >> _SHIFTS[0])) * _M1
            state = (state ^ (state >> _SHIFTS[1])) * _M2
            state = state ^ (state >> _SHIFTS[2])
    return state


def uniform(*parts: AnyArray | int) -> Floats:
    """As `mix`, as numbers from [0, 1)."""
    return (mix(*parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(limit: AnyArray | int, *parts: AnyArray | int) -> Ints:
    """As `mix`, as integers from [0, limit)."""
    return np.minimum((uniform(*parts) * limit).astype(np.int64), np.asarray(limit) - 1)


def kilometres(lat1: Floats, lon1: Floats, lat2: Floats, lon2: Floats) -> Floats:
    """Great-circle distance (Haversine), degrees in, km out."""
    lat1, lon1, lat2, lon2 = (np.radians(a) for a in (lat1, lon1, lat2, lon2))
    a = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 12_742.0 * np.arcsin(np.sqrt(np.clip(a, 0, 1)))
