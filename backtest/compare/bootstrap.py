"""What chance in the choice of payers could make of a figure: a Poisson bootstrap over payers.

Payers are drawn, not payments: the frauds of one payer stand or fall together. Each payer counts as often as a draw of
a Poisson distribution of mean 1 says, which for many payers is drawing with replacement (B. Efron, R. Tibshirani, "An
Introduction to the Bootstrap", 1993; N. Chamandy et al., "Estimating Uncertainty for Massive Data Streams", 2012). The
middle 95 % of the figures so made are the interval. Models are compared within the same draw.

Payers without a fraud or an alert change no figure here, so they are not drawn. Thresholds are not chosen anew.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest.compare.comparison import Interval, Intervals
from backtest.compare.reading import Flags, Rows
from backtest.compare.settings import CompareSettings

MOST_WEIGHTS = 4_000_000
"""Weights in memory at once, 8 bytes each."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """Sums over payers of the frauds, their rupees, and of each set of alerts; arrays (draws,)."""

    frauds: Floats
    rupees: Floats
    alerts: tuple[Floats, ...]
    caught: tuple[Floats, ...]
    saved: tuple[Floats, ...]


class Bootstrap:
    """Sets of alerts on the same rows, resampled together."""

    def __init__(self, rows: Rows, sets: list[Flags], settings: CompareSettings) -> None:
        self._settings = settings
        sums = by_payer(rows, sets)
        random = np.random.default_rng(settings.seed)
        step = max(1, MOST_WEIGHTS // max(1, len(sums)))
        drawn = [
            resampled(sums, random.poisson(1.0, (min(step, settings.draws - start), len(sums))))
            for start in range(0, settings.draws, step)
        ]
        self._drawn = _named(np.concatenate(drawn))
        self._all = _named(resampled(sums, np.ones((1, len(sums)))))

    def of(self, i: int) -> Intervals:
        """Intervals of the i-th set."""
        drawn, whole = (_measures(sums, i, self._settings) for sums in (self._drawn, self._all))
        return Intervals(**{name: _interval(whole[name], values) for name, values in drawn.items()})

    def between(self, i: int, j: int) -> Intervals:
        """Intervals of the i-th set's figures less the j-th's."""
        intervals = {}
        one, whole = (_measures(sums, i, self._settings) for sums in (self._drawn, self._all))
        other, whole_other = (_measures(sums, j, self._settings) for sums in (self._drawn, self._all))
        for name in one:
            intervals[name] = _interval(whole[name] - whole_other[name], one[name] - other[name])
        return Intervals(**intervals)


def by_payer(rows: Rows, sets: list[Flags]) -> Floats:
    """(payers, 2 + 3 sets): frauds, their rupees; of each set alerts, frauds caught, and the rupees of these."""
    payers, which = np.unique(rows.frame["payer"].to_numpy(), return_inverse=True)
    fraud = rows.is_fraud.astype(np.float64)
    columns = [fraud, fraud * rows.rupees]
    for flagged in sets:
        columns += [flagged.astype(np.float64), fraud * flagged, fraud * flagged * rows.rupees]
    return np.stack([np.bincount(which, column, payers.size) for column in columns], axis=1)


def resampled(sums: Floats, weights: NDArray[np.number]) -> Floats:
    """Sums (draws, columns) of payers (payers, columns) counted by weights (draws, payers)."""
    return weights.astype(np.float64) @ sums


def _named(sums: Floats) -> Drawn:
    columns = sums.T
    return Drawn(columns[0], columns[1], *(tuple(columns[2 + k :: 3]) for k in range(3)))


def _measures(sums: Drawn, i: int, settings: CompareSettings) -> dict[str, Floats]:
    caught, alerts, saved = sums.caught[i], sums.alerts[i], sums.saved[i]
    recovered = saved * settings.recovered_share
    return {
        "recall": _ratio(caught, sums.frauds),
        "precision": _ratio(caught, alerts),
        "saved_share": _ratio(recovered, sums.rupees),
        "net_saved": recovered - alerts * settings.review_cost,
        "caught": caught,
        "rupees_caught": saved,
    }


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _interval(whole: Floats, drawn: Floats) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if np.isnan(whole[0]) or not known.size:
        return Interval(estimate=None, low=None, high=None)
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(estimate=float(whole[0]), low=float(low), high=float(high))
