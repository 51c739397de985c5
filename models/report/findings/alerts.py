"""What alerting from a score would mean: work, frauds caught, money saved; and what the model did day by day."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import MAX_SCORE, odds_at
from models.evaluation import RARE
from models.report.measured import DAY_MS, Measured

STEP = 50
"""Points between the thresholds of the table."""
MOST_FLAGGED = 0.05
"""No threshold is shown that flags a larger share of the payments, the model's own apart."""
MOST_DAYS = 92
"""A longer window is counted by weeks."""
INDIA_MS = 19_800_000
"""India's time is 5 h 30 min ahead of UTC."""


@dataclass(frozen=True)
class Threshold:
    """Alerts on every payment from `score`; NaN where there is no fraud or no alert to divide by."""

    score: int
    odds: float
    alerts: int
    alerts_per_day: float
    wrong_per_day: float
    flagged_share: float
    recall: float
    false_positive_rate: float
    precision: float
    rare_precision: float
    """Precision if one payment in 10,000 were fraud."""
    saved_rupees: float
    saved_share: float


@dataclass(frozen=True)
class Band:
    """Payments of one score band, as they turned out."""

    name: str
    from_score: int
    payments: int
    frauds: int
    expected_frauds: float
    """Sum of their probabilities."""
    rupees_of_fraud: float


@dataclass(frozen=True)
class Period:
    """A day or a week in India, from `start` (epoch ms)."""

    start: int
    days: int
    caught: int
    wrong: int
    missed: int


class Ladder:
    """Counts at or above each score, so that any threshold is a look-up."""

    def __init__(self, measured: Measured) -> None:
        self._days = measured.days
        score, is_fraud = measured.scores.score, measured.is_fraud
        self._frauds = _at_or_above(score[is_fraud])
        self._honest = _at_or_above(score[~is_fraud])
        self._rupees = _at_or_above(score[is_fraud], measured.rupees[is_fraud])

    def at(self, score: int) -> Threshold:
        """What alerts from this score on would have done."""
        caught, wrong, saved = int(self._frauds[score]), int(self._honest[score]), float(self._rupees[score])
        recall = _share(caught, self._frauds[0])
        false_positive_rate = _share(wrong, self._honest[0])
        alerts = caught + wrong
        return Threshold(
            score=score,
            odds=odds_at(score),
            alerts=alerts,
            alerts_per_day=alerts / self._days,
            wrong_per_day=wrong / self._days,
            flagged_share=_share(alerts, self._frauds[0] + self._honest[0]),
            recall=recall,
            false_positive_rate=false_positive_rate,
            precision=_share(caught, alerts),
            rare_precision=_share(recall * RARE, recall * RARE + false_positive_rate * (1 - RARE)),
            saved_rupees=saved,
            saved_share=_share(saved, self._rupees[0]),
        )


def thresholds(measured: Measured) -> list[Threshold]:
    """The model's own alert score and bands, and round scores between them, from the most alerts to the fewest."""
    ladder, manifest = Ladder(measured), measured.manifest
    own = {manifest.alert_score, *(band.from_score for band in manifest.bands[1:])}
    found = [ladder.at(score) for score in sorted(own | set(range(0, MAX_SCORE + 1, STEP)))]
    return [t for t in found if t.score in own or (t.alerts and t.flagged_share <= MOST_FLAGGED)]


def bands(measured: Measured) -> list[Band]:
    """How each band of the manifest turned out."""
    found = []
    for i, band in enumerate(measured.manifest.bands):
        within = measured.scores.band == i
        frauds = within & measured.is_fraud
        found.append(
            Band(
                name=band.name,
                from_score=band.from_score,
                payments=int(within.sum()),
                frauds=int(frauds.sum()),
                expected_frauds=float(measured.scores.probability[within].sum(dtype=np.float64)),
                rupees_of_fraud=float(measured.rupees[frauds].sum()),
            )
        )
    return found


def periods(measured: Measured) -> list[Period]:
    """Alerts and missed frauds by day, or by week where that makes too many."""
    if not len(measured):
        return []
    day = (measured.times + INDIA_MS) // DAY_MS
    length = 1 if day.max() - day.min() < MOST_DAYS else 7
    number = (day - day.min()) // length
    flagged, is_fraud = measured.flagged, measured.is_fraud
    counts = [
        np.bincount(number[rows], minlength=int(number.max()) + 1).tolist()
        for rows in (flagged & is_fraud, flagged & ~is_fraud, ~flagged & is_fraud)
    ]
    first = int(day.min())
    return [
        Period((first + length * i) * DAY_MS - INDIA_MS, length, *three)
        for i, three in enumerate(zip(*counts, strict=True))
    ]


def _at_or_above(score: NDArray[np.int16], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    counts = np.bincount(score, weights=weights, minlength=MAX_SCORE + 1).astype(np.float64)
    return np.cumsum(counts[::-1])[::-1]


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else math.nan
