"""Figures of merit against scikit-learn's and against counts by hand."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import Calibration
from models.evaluation import card_precision, evaluate, feature_auc, highest, roc
from models.scoring import scores_of

metrics = pytest.importorskip("sklearn.metrics")
DAY_MS = 86_400_000
BANDS = np.array([300, 500, 700], dtype=np.int16)

outcomes = st.lists(st.tuples(st.integers(-6, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({fraud for _, fraud in rows}) == 2
)


@given(rows=outcomes)
def test_ranking_figures_are_scikit_learns_ties_included(rows):
    score, is_fraud = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    curve = roc(score, is_fraud)
    assert curve.auc() == pytest.approx(metrics.roc_auc_score(is_fraud, score))
    assert curve.average_precision() == pytest.approx(metrics.average_precision_score(is_fraud, score))
    false_positive, true_positive, _ = metrics.roc_curve(is_fraud, score, drop_intermediate=False)
    for rate in (0.001, 0.1, 0.35, 1.0):
        allowed = true_positive[np.searchsorted(false_positive, rate, side="right") - 1]
        assert curve.recall_at(rate) == pytest.approx(allowed)


def payments(**columns):
    rows = len(columns["is_fraud"])
    frame = {
        "event_time": [i * DAY_MS // 10 for i in range(rows)],
        "payer": [f"p{i}" for i in range(rows)],
        "amount": [10_000] * rows,
        "kind": ["sim_swap" if fraud else "" for fraud in columns["is_fraud"]],
    }
    return pl.DataFrame({**frame, **columns})


def scored(*log_odds):
    return scores_of(np.array(log_odds, dtype=np.float32), Calibration(), BANDS)


def test_alerts_and_their_worth_by_hand():
    # scores: 500 + 125 log10(odds); alerts from 500, so from log-odds 0
    frame = payments(
        is_fraud=[True, True, True, False, False, False],
        amount=[100_000, 30_000, 70_000, 500, 500, 500],
        kind=["app_scam", "sim_swap", "app_scam", "", "", ""],
        event_time=[0, 1, 2, 3, 4, 2 * DAY_MS],
    )
    result = evaluate(scored(3, 1, -1, 2, -3, -4), frame, 500)
    assert result.recall_by_kind == {"app_scam": 0.5, "sim_swap": 1.0}
    assert result.metrics["alerts_per_day"] == 1.5
    assert result.metrics["alert_recall"] == pytest.approx(2 / 3)
    assert result.metrics["alert_false_positive_rate"] == pytest.approx(1 / 3)
    assert result.metrics["alert_precision"] == pytest.approx(2 / 3)
    assert result.metrics["value_saved_rupees"] == 1300
    assert result.metrics["value_saved_share"] == pytest.approx(0.65)
    rare = (2 / 3 * 1e-4) / (2 / 3 * 1e-4 + 1 / 3 * (1 - 1e-4))
    assert result.metrics["alert_precision_1_in_10000"] == pytest.approx(rare)


def test_calibration_figures_are_scikit_learns():
    random = np.random.default_rng(3)
    log_odds = random.normal(-3, 2, 50_000)
    is_fraud = random.random(50_000) < 1 / (1 + np.exp(-log_odds))
    result = evaluate(scored(*log_odds), payments(is_fraud=is_fraud.tolist()), 500).metrics
    probability = 1 / (1 + np.exp(-log_odds))
    assert result["brier"] == pytest.approx(metrics.brier_score_loss(is_fraud, probability), rel=1e-4)
    assert result["calibration_slope"] == pytest.approx(1, abs=0.05)
    assert result["expected_over_observed"] == pytest.approx(1, abs=0.05)
    assert 0 < result["brier_skill"] < 1


def test_calibration_within_the_top_1_percent_is_that_of_those_payments_alone():
    random = np.random.default_rng(4)
    log_odds = random.normal(-5, 2, 40_000)
    is_fraud = random.random(40_000) < 1 / (1 + np.exp(-log_odds))
    result = evaluate(scored(*log_odds), payments(is_fraud=is_fraud.tolist()), 500).metrics
    top = np.argsort(-log_odds)[:400]
    alone = evaluate(scored(*log_odds[top]), payments(is_fraud=is_fraud[top].tolist()), 500).metrics
    for name in ("brier", "brier_skill", "calibration_slope", "expected_over_observed"):
        assert result[f"{name}_top_1_percent"] == pytest.approx(alone[name], rel=1e-4)


def test_calibration_of_a_top_that_is_all_fraud_does_not_exist():
    result = evaluate(scored(3, *[-3] * 99), payments(is_fraud=[True] + [False] * 99), 500).metrics
    assert math.isnan(result["calibration_slope_top_1_percent"])
    assert math.isnan(result["brier_skill_top_1_percent"])
    assert result["brier_top_1_percent"] == pytest.approx((1 / (1 + np.exp(3))) ** 2, rel=1e-4)


def test_the_highest_share_takes_in_those_that_tie_with_its_last():
    assert highest(np.array([1, 5, 3, 3, 2]), 0.4).tolist() == [False, True, True, True, False]
    assert highest(np.array([1, 5, 3]), 0.01).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("values", "area"),
    [
        ([1, 2, 3, 4], 1.0),  # frauds are the higher two
        ([4, 3, 2, 1], 1.0),  # or the lower two
        ([1, 3, 2, 4], 0.75),
        ([1, 2, math.nan, 3], 1.0),  # what is missing counts as high,
        ([2, 3, math.nan, 1], 1.0),  # or as low
        ([math.nan, math.nan, math.nan, 0], 0.75),
        ([math.nan] * 4, 0.5),
        ([7] * 4, 0.5),
    ],
)
def test_a_features_own_auc_takes_the_better_direction_and_the_better_end_for_what_is_missing(values, area):
    is_fraud = np.array([False, False, True, True])
    assert feature_auc(np.array(values, dtype=np.float32), is_fraud) == pytest.approx(area)


@pytest.mark.parametrize("fraud", [False, True])
def test_a_window_of_one_class_has_no_ranking_but_is_judged(fraud):
    result = evaluate(scored(1, 2), payments(is_fraud=[fraud, fraud]), 500).metrics
    assert "auc" not in result
    assert result["frauds"] == 2 * fraud
    assert math.isnan(result["alert_false_positive_rate"] if fraud else result["alert_recall"])


def test_card_precision_counts_payers_a_day_and_drops_those_found():
    frame = pl.DataFrame(
        {
            "event_time": [0, 1, 2, 3, DAY_MS, DAY_MS + 1, DAY_MS + 2],
            "payer": ["a", "a", "b", "c", "a", "b", "d"],
            "is_fraud": [False, True, False, True, True, True, False],
        }
    )
    # day 1, best two payers: a (9, defrauded) and b (8, not); day 2, without a: b (defrauded) and d (not)
    score = np.array([9, 1, 8, 7, 9, 5, 4])
    assert card_precision(score, frame, top=2) == (0.5 + 0.5) / 2
