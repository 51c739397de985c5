"""Arithmetic of measurements: pure functions."""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50.0, 99.0, 99.9)
CONFIDENCE = 0.95


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


def t_interval(values: Sequence[float]) -> dict[str, float | None]:
    """Mean of independent runs with its 95 % interval by Student's t; None where runs are too few for one.

    A run without the figure (NaN) makes it none at all: a mean over the others would flatter.
    """
    found = np.asarray(values, dtype=np.float64)
    if not found.size or np.isnan(found).any():
        return {"mean": None, "low": None, "high": None}
    mean = float(found.mean())
    if found.size < 2:
        return {"mean": mean, "low": None, "high": None}
    from scipy.stats import t

    reach = float(t.ppf((1 + CONFIDENCE) / 2, found.size - 1)) * float(found.std(ddof=1)) / math.sqrt(found.size)
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """95 % interval of a share by E. B. Wilson (1927), for independent trials; None for no trials."""
    if not trials:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return middle - reach, middle + reach
