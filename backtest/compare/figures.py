"""Figures of thresholds: any of them is a look-up, since counts at or above each score are all they are made of."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.compare.comparison import Figures, Sweep
from backtest.compare.reading import ALWAYS, FREE, Totals
from backtest.compare.settings import CompareSettings
from models.calibration import MAX_SCORE

NOTHING = MAX_SCORE + 1
"""A threshold that no score reaches."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ladder:
    """What alerts from each score on would do; arrays (1002,), of thresholds from 0 to `NOTHING`."""

    alerts: Floats
    caught: Floats
    rupees: Floats
    """Of the frauds caught."""

    @classmethod
    def of(cls, histogram: pl.DataFrame) -> "Ladder":
        """From `reading.histogram`."""
        frauds = histogram.filter("is_fraud")
        return cls(
            _from(histogram, histogram["payments"].to_numpy()),
            _from(frauds, frauds["payments"].to_numpy()),
            _from(frauds, frauds["amount"].to_numpy() / 100),
        )

    def within(self, alerts: float) -> int:
        """The lowest threshold with no more alerts than these; `NOTHING` where lists and rules alone make more."""
        return int(np.append(np.flatnonzero(self.alerts <= alerts + 1e-9), NOTHING)[0])

    def at(self, threshold: int, totals: Totals, settings: CompareSettings) -> Figures:
        """Figures of a threshold."""
        alerts, caught = int(self.alerts[threshold]), int(self.caught[threshold])
        return figures(threshold, alerts, caught, float(self.rupees[threshold]), totals, settings)

    def sweep(self, totals: Totals, settings: CompareSettings) -> Sweep:
        """Every threshold."""
        found = [self.at(threshold, totals, settings) for threshold in range(NOTHING + 1)]
        return Sweep(
            threshold=tuple(f.threshold for f in found),
            alerts_per_day=tuple(f.alerts_per_day for f in found),
            recall=tuple(f.recall for f in found),
            precision=tuple(f.precision for f in found),
            rupees_caught=tuple(f.rupees_caught for f in found),
            net_saved=tuple(f.net_saved for f in found),
            best=max(found, key=lambda f: (f.net_saved, f.threshold)).threshold,
        )


def figures(
    threshold: int, alerts: int, caught: int, rupees: float, totals: Totals, settings: CompareSettings
) -> Figures:
    """Everything that follows from counts of alerts and frauds caught, and the rupees of these."""
    cost, saved, wrong = alerts * settings.review_cost, rupees * settings.recovered_share, alerts - caught
    return Figures(
        threshold=threshold,
        alerts=alerts,
        alerts_per_day=alerts / totals.days,
        caught=caught,
        missed=totals.frauds - caught,
        false_alerts=wrong,
        recall=share(caught, totals.frauds),
        precision=share(caught, alerts),
        false_positive_rate=share(wrong, totals.payments - totals.frauds),
        rupees_caught=rupees,
        rupees_missed=totals.rupees - rupees,
        saved_share=share(saved, totals.rupees),
        reviews_cost=cost,
        net_saved=saved - cost,
    )


def share(part: float, whole: float) -> float | None:
    """None where there is nothing to divide by."""
    return float(part) / float(whole) if whole else None


def _from(histogram: pl.DataFrame, weights: NDArray[np.number]) -> Floats:
    """Sums of the weights flagged from each threshold on."""
    reach, state = histogram["reach"].to_numpy(), histogram["state"].to_numpy()
    free = state == FREE
    by_reach = np.bincount(reach[free], weights[free], NOTHING + 1).astype(np.float64)
    return np.cumsum(by_reach[::-1], dtype=np.float64)[::-1] + float(weights[state == ALWAYS].sum())
