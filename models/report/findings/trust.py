"""Whether a probability means what it says, over all payments and where it matters: among the highest scores."""

from dataclasses import dataclass

import numpy as np

from models.calibration import MAX_SCORE, slope_of
from models.report.findings.rates import Rate
from models.report.measured import Flags, Measured

STEP = 50
"""Points of score that a bin of the curve spans, at least."""
LEAST_PAYMENTS = 50
"""Neighbouring bins are joined until each has as many."""
TOP = 0.01
"""The share of payments, by score, that is also judged by itself."""


@dataclass(frozen=True)
class Bin:
    """Payments with scores from `low` up to and with `high`."""

    low: int
    high: int
    predicted: float
    """Mean probability."""
    observed: Rate


@dataclass(frozen=True)
class Trust:
    """Calibration of some payments."""

    payments: int
    frauds: int
    slope: float
    """Of the outcome on the log-odds: 1 is right, below 1 overconfident."""
    brier: float
    """Mean squared error of the probability."""
    brier_skill: float
    """Share of the squared error that the probabilities save over saying the mean of every payment."""
    expected_frauds: float


def bins(measured: Measured) -> list[Bin]:
    """The calibration curve, by score, from the highest down; each bin holds `LEAST_PAYMENTS` where there are."""
    score = measured.scores.score
    probability = measured.scores.probability.astype(np.float64)
    found: list[Bin] = []
    high = MAX_SCORE
    for low in range(MAX_SCORE // STEP * STEP, -1, -STEP):
        within = (score >= low) & (score <= high)
        if within.sum() < LEAST_PAYMENTS and low > 0:
            continue
        if within.any():
            frauds = int(measured.is_fraud[within].sum())
            found.append(Bin(low, high, float(probability[within].mean()), Rate(frauds, int(within.sum()))))
        high = low - 1
    return found


def trust(measured: Measured) -> Trust | None:
    """Calibration over all payments; None where one of the outcomes is absent."""
    return _trust(measured, np.ones(len(measured), dtype=np.bool_))


def trust_at_the_top(measured: Measured) -> Trust | None:
    """The same within the highest `TOP` of the scores, those of the same score as the last of them included."""
    if not len(measured):
        return None
    count = max(1, round(TOP * len(measured)))
    lowest = np.partition(measured.scores.margin, len(measured) - count)[len(measured) - count]
    return _trust(measured, measured.scores.margin >= lowest)


def _trust(measured: Measured, rows: Flags) -> Trust | None:
    is_fraud = measured.is_fraud[rows]
    if not is_fraud.any() or is_fraud.all():
        return None
    probability = np.clip(measured.scores.probability[rows].astype(np.float64), 1e-9, 1 - 1e-9)
    share, brier = float(is_fraud.mean()), float(np.mean((probability - is_fraud) ** 2))
    return Trust(
        payments=is_fraud.size,
        frauds=int(is_fraud.sum()),
        slope=slope_of(np.log(probability) - np.log1p(-probability), is_fraud),
        brier=brier,
        brier_skill=1 - brier / (share * (1 - share)),
        expected_frauds=float(probability.sum()),
    )
