"""Arithmetic of measurements: pure functions."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50.0, 99.0, 99.9)


def percentile(values: NDArray[np.float64], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank): always one measured."""
    assert values.size
    ordered = np.sort(values)
    rank = math.ceil(round(percent * ordered.size / 100, 6))  # 99.9 % of 1,000 is 999, whatever floats make of it
    return float(ordered[max(0, rank - 1)])


def latencies_ms(
    received_ns: NDArray[np.int64], scheduled_ms: NDArray[np.int64], first_ms: int, dropped_s: float
) -> NDArray[np.float64]:
    """From scheduled send time to receipt, of the payments due `dropped_s` or more after `first_ms` (epoch)."""
    kept = scheduled_ms >= first_ms + dropped_s * 1000
    return received_ns[kept] / 1e6 - scheduled_ms[kept]


def summary(values: NDArray[np.float64]) -> dict[str, float | int]:
    """Count, percentiles and maximum, to hundredths."""
    if not values.size:
        return {"count": 0}
    shown = {f"p{percent:g}": round(percentile(values, percent), 2) for percent in PERCENTILES}
    return {"count": values.size, **shown, "max": round(float(values.max()), 2)}


def histogram(values: NDArray[np.float64]) -> dict[str, list[float]]:
    """How many values lie in each of ten steps a decade, from the one with the least to the one with the greatest.

    `from` is each step's lower end, `count` how many; what is below 0.1 counts as 0.1.
    """
    steps = np.floor(np.log10(np.maximum(values, 0.1)) * 10).astype(np.int64)
    if not steps.size:
        return {"from": [], "count": []}
    shown = np.arange(steps.min(), steps.max() + 1)
    return {
        "from": [round(float(10 ** (step / 10)), 3) for step in shown],
        "count": np.bincount(steps - shown[0], minlength=shown.size).tolist(),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range of runs."""
    return {"median": float(median(values)), "lowest": float(min(values)), "highest": float(max(values))}


def microseconds_each(seconds: Mapping[str, float], count: int) -> dict[str, float]:
    """Seconds of stages as microseconds per payment, to hundredths."""
    return {name: round(value / count * 1e6, 2) for name, value in seconds.items()}


def slope(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Least-squares change of `values` a second; 0 for fewer than two points."""
    if len(times_s) < 2:
        return 0.0
    return float(np.polyfit(np.asarray(times_s), np.asarray(values), 1)[0])
