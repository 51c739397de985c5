"""What the bank can bear, turned into the score from which the model alerts.

One of three budgets, each in words that fraud operations use; the score is chosen on validation:

    false-positive rate    the lowest score that no more than this share of honest payments reach
    alerts a day           the lowest score that gives no more alerts, right or wrong, than this on an average day
    cost                   the score with the lowest cost of missed rupees and wasted reviews together

`implied` then says what that score means in the terms of all three.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import MAX_SCORE

DAY_MS = 86_400_000

Scores = NDArray[np.int16]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Budget:
    """Exactly one of the three; a cost needs both of its prices."""

    false_positive_rate: float | None = None
    """Share of honest payments that may raise an alert."""
    alerts_per_day: float | None = None
    """Alerts that can be reviewed on an average day."""
    missed_cost: float | None = None
    """Rupees that a rupee of missed fraud costs: 1 where the bank bears it, more with what follows from it."""
    review_cost: float | None = None
    """Rupees that an alert on an honest payment costs: the analyst's time and the customer's patience."""

    def __post_init__(self) -> None:
        if (self.missed_cost is None) != (self.review_cost is None):
            raise ValueError("a budget by cost needs both prices: of a missed rupee and of a wasted review")
        given = [self.false_positive_rate, self.alerts_per_day, self.missed_cost]
        if sum(value is not None for value in given) != 1:
            raise ValueError("a budget is exactly one of: false-positive rate, alerts a day, cost")
        if self.false_positive_rate is not None and not 0 < self.false_positive_rate < 1:
            raise ValueError("the alert's false-positive rate lies between 0 and 1")
        prices = (self.alerts_per_day, self.missed_cost, self.review_cost)
        if any(value is not None and not value > 0 for value in prices):
            raise ValueError("alerts a day and prices lie above 0")

    def as_dict(self) -> dict[str, float]:
        """What was asked for, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Judged:
    """Payments with their scores and outcomes, over a stretch of time; arrays of one length."""

    score: Scores
    is_fraud: Flags
    rupees: Floats
    days: float
    """How long the stretch is."""


def days_of(times_ms: NDArray[np.int64]) -> float:
    """Length of the stretch that payments span, in days; a day at least."""
    return max(1.0, float(times_ms.max() - times_ms.min()) / DAY_MS) if times_ms.size else 1.0


def alert_score(budget: Budget, judged: Judged) -> int:
    """The score from which to alert, 0 to 1000."""
    if budget.false_positive_rate is not None:
        return score_at(judged.score[~judged.is_fraud], budget.false_positive_rate)
    if budget.alerts_per_day is not None:
        return _lowest(_at_or_above(judged.score) <= budget.alerts_per_day * judged.days)
    assert budget.missed_cost is not None
    assert budget.review_cost is not None
    costs = cost_by_score(judged, budget.missed_cost, budget.review_cost)
    return int(MAX_SCORE - np.argmin(costs[::-1]))


def score_at(honest: Scores, false_positive_rate: float) -> int:
    """The lowest score that no more than this share of honest payments reach; 1000 if there is none."""
    return _lowest(_at_or_above(honest) <= false_positive_rate * honest.size)


def cost_by_score(judged: Judged, missed_cost: float, review_cost: float) -> Floats:
    """Rupees that alerting from each score, 0 to 1000, would have cost in all: (1001,)."""
    frauds = judged.is_fraud
    value = np.bincount(judged.score[frauds], weights=judged.rupees[frauds], minlength=MAX_SCORE + 1)
    missed = np.concatenate([[0.0], np.cumsum(value)[:-1]])
    costs: Floats = missed_cost * missed + review_cost * _at_or_above(judged.score[~frauds])
    return costs


def implied(judged: Judged, alert_from: int, budget: Budget) -> dict[str, float]:
    """What alerting from a score means: alerts, their precision, what they catch and, with prices, the cost a day."""
    flagged = judged.score >= alert_from
    caught, honest = flagged & judged.is_fraud, ~judged.is_fraud
    means = {
        "alerts_per_day": float(flagged.sum()) / judged.days,
        "precision": _share(caught.sum(), flagged.sum()),
        "false_positive_rate": _share((flagged & honest).sum(), honest.sum()),
        "recall": _share(caught.sum(), judged.is_fraud.sum()),
        "value_recall": _share(judged.rupees[caught].sum(), judged.rupees[judged.is_fraud].sum()),
    }
    if budget.missed_cost is not None and budget.review_cost is not None:
        costs = cost_by_score(judged, budget.missed_cost, budget.review_cost)
        means["cost_rupees_per_day"] = float(costs[alert_from]) / judged.days
        everything_missed = budget.missed_cost * float(judged.rupees[judged.is_fraud].sum())
        means["cost_rupees_per_day_without_alerts"] = everything_missed / judged.days
    return means


def _at_or_above(score: Scores) -> NDArray[np.int64]:
    """How many have each score, 0 to 1000, or more."""
    counts: NDArray[np.int64] = np.cumsum(np.bincount(score, minlength=MAX_SCORE + 1)[::-1])[::-1]
    return counts


def _lowest(allowed: Flags) -> int:
    found = np.flatnonzero(allowed)
    return int(found[0]) if found.size else MAX_SCORE


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
