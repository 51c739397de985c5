"""Budgets: the score that is chosen keeps them, no lower one does, and what it means is counted as one would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.budget import Budget, Judged, alert_score, cost_by_score, days_of, implied

payments = st.lists(
    st.tuples(st.integers(0, 1000), st.booleans(), st.floats(0, 1e6, allow_nan=False)), min_size=1, max_size=60
)


def judged(rows, days=2.0) -> Judged:
    score, is_fraud, rupees = zip(*rows, strict=True)
    return Judged(np.array(score, dtype=np.int16), np.array(is_fraud), np.array(rupees, dtype=np.float64), days)


@given(payments, st.floats(0.1, 30))
def test_alerts_a_day_are_kept_and_the_score_is_the_lowest_that_keeps_them(rows, most):
    found = judged(rows)
    score = alert_score(Budget(alerts_per_day=most), found)
    alerts = int((found.score >= score).sum())
    assert alerts <= most * found.days or score == 1000
    assert score == 0 or (found.score >= score - 1).sum() > most * found.days


@given(payments, st.floats(0.001, 0.5))
def test_a_false_positive_rate_is_kept_and_the_score_is_the_lowest_that_keeps_it(rows, rate):
    found = judged(rows)
    honest = found.score[~found.is_fraud]
    score = alert_score(Budget(false_positive_rate=rate), found)
    assert (honest >= score).sum() <= rate * honest.size or score == 1000
    assert score == 0 or (honest >= score - 1).sum() > rate * honest.size


@given(payments, st.floats(0.1, 10), st.floats(1, 1e5))
def test_no_score_costs_less_than_the_one_chosen_by_cost(rows, missed, review):
    found = judged(rows)
    budget = Budget(missed_cost=missed, review_cost=review)
    score = alert_score(budget, found)

    def cost(alert_from: int) -> float:
        flagged = found.score >= alert_from
        return float(
            missed * found.rupees[found.is_fraud & ~flagged].sum() + review * (flagged & ~found.is_fraud).sum()
        )

    costs = [cost(alert_from) for alert_from in range(1001)]
    assert cost(score) == pytest.approx(min(costs))
    assert cost_by_score(found, missed, review) == pytest.approx(costs)
    assert implied(found, score, budget)["cost_rupees_per_day"] == pytest.approx(cost(score) / found.days)


def test_what_a_score_means_by_hand():
    found = judged([(900, True, 5000), (600, False, 10), (500, True, 1000), (400, False, 20), (100, True, 4000)])
    assert implied(found, 500, Budget(alerts_per_day=2, missed_cost=None)) == pytest.approx(
        {"alerts_per_day": 1.5, "precision": 2 / 3, "false_positive_rate": 0.5, "recall": 2 / 3, "value_recall": 0.6}
    )
    priced = implied(found, 500, Budget(missed_cost=1, review_cost=150))
    assert priced["cost_rupees_per_day"] == pytest.approx((4000 + 150) / 2)
    assert priced["cost_rupees_per_day_without_alerts"] == pytest.approx(10_000 / 2)


def test_dear_reviews_give_fewer_alerts_than_cheap_ones():
    rows = [(900, True, 50_000), (800, False, 1), (700, True, 400), (600, False, 1), (500, True, 60), (400, False, 1)]
    cheap, dear = (alert_score(Budget(missed_cost=1, review_cost=price), judged(rows)) for price in (10, 1000))
    assert (cheap, dear) == (500, 900)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"false_positive_rate": 0.01, "alerts_per_day": 5},
        {"missed_cost": 1.0},
        {"review_cost": 150},
        {"false_positive_rate": 0},
        {"alerts_per_day": 0},
        {"missed_cost": 1.0, "review_cost": -1},
    ],
)
def test_a_budget_is_exactly_one_of_three(wrong):
    with pytest.raises(ValueError, match=r"budget|lies?"):
        Budget(**wrong)


def test_a_stretch_is_a_day_at_least():
    assert days_of(np.array([0, 3 * 86_400_000])) == 3
    assert days_of(np.array([5])) == days_of(np.array([], dtype=np.int64)) == 1
