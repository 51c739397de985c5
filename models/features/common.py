"""Arithmetic that several groups share. Everything here is compiled and free of state."""

import math

import numpy as np

from models.jit import compiled

NAN = np.nan
EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""
INDIA_OFFSET_MS = 19_800_000
"""UTC+05:30, without daylight saving."""
HOUR_MS = 3_600_000
DAY_SECONDS = 86_400


@compiled
def haversine_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great-circle distance in km between two points in degrees; NaN if one is not known.

    R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984).
    """
    if np.isnan(latitude + longitude + other_latitude + other_longitude):
        return NAN
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half = math.sin((other_phi - phi) / 2) ** 2
    half += math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


@compiled
def hour_in_india(time_ms: float) -> int:
    """Hour of the day, 0 to 23."""
    return int((time_ms + INDIA_OFFSET_MS) // HOUR_MS % 24)


@compiled
def deviations(value: float, mean: float, variance: float, seen: int, floor: float) -> float:
    """How far `value` lies from a payer's own mean, in standard deviations of at least `floor`.

    NaN before the third value: a spread of two says nothing.
    """
    if seen < 3:
        return NAN
    return (value - mean) / math.sqrt(variance + floor * floor)


@compiled
def differs(now: int, before: int) -> float:
    """1 if two known digests differ, 0 if they are equal, NaN if one is not known (0)."""
    if now == 0 or before == 0:
        return NAN
    return 1.0 if now != before else 0.0


@compiled
def find(tokens: np.ndarray, used: int, token: int) -> int:
    """Position of `token` among the first `used`, or -1."""
    for k in range(np.int64(used)):
        if tokens[k] == token:
            return k
    return -1


@compiled
def since(time_ms: float, before_seconds: int) -> float:
    """Seconds from an earlier time (epoch seconds) to `time_ms`, never below 0; NaN if there was none."""
    if before_seconds == 0:
        return NAN
    return max(0.0, time_ms / 1000 - before_seconds)


@compiled
def window(index: np.ndarray, values: np.ndarray, used: int, now: int, buckets: int) -> float:
    """Sum of `values` over the last `buckets` buckets up to bucket number `now`."""
    total = 0.0
    for k in range(np.int64(used)):
        if now - buckets < np.int64(index[k]) <= now:
            total += values[k]
    return total


@compiled
def fade(seconds: int, span: int) -> float:
    """What is left of 1 after `seconds`, 1/e after `span`; nothing fades before its time."""
    return math.exp(-max(0, seconds) / span)
