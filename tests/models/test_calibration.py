"""Calibration keeps the order, stays within bounds and recovers what was distorted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import LEAST_SLOPE, Calibration, fit, odds_at, probability_of, score_of, slope_of

slopes = st.floats(LEAST_SLOPE, 50)
margins = st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=50)


def draw(log_odds, random):
    """Outcomes of payments with these log-odds."""
    return random.random(log_odds.size) < 1 / (1 + np.exp(-log_odds))


@given(a=slopes, b=slopes, c=st.floats(-30, 30), values=margins)
def test_calibration_never_turns_the_order_and_stays_in_bounds(a, b, c, values):
    log_odds = Calibration(a=a, b=b, c=c).log_odds(np.sort(np.array(values, dtype=np.float32)))
    probability, score = probability_of(log_odds), score_of(log_odds)
    assert np.all(np.diff(log_odds) >= 0)
    assert np.all(np.diff(probability) >= 0)
    assert np.all(np.diff(score) >= 0)
    assert np.all((probability >= 0) & (probability <= 1))
    assert np.all((score >= 0) & (score <= 1000))


@given(values=margins)
def test_without_parameters_a_margin_stays_as_it_is(values):
    wide = np.array(values, dtype=np.float64)
    np.testing.assert_allclose(Calibration().log_odds(wide), wide, atol=1e-12)


@pytest.mark.parametrize(
    ("odds", "score"), [(1, 500), (10, 625), (100, 750), (1 / 10, 375), (1e4, 1000), (1e9, 1000), (1e-4, 0), (1e-9, 0)]
)
def test_125_points_are_ten_times_the_odds(odds, score):
    assert score_of(np.log([odds * (1 + 1e-12)])) == [score]


@given(score=st.integers(0, 999))
def test_the_odds_of_a_score_are_where_it_begins(score):
    log_odds = np.log(odds_at(score))
    below, above = score_of(np.array([log_odds - 1e-6, log_odds + 1e-6]))
    assert (below, above) == (max(score - 1, 0), score)


@pytest.mark.parametrize("truth", [Calibration(a=0.5, b=1.5, c=-1.0), Calibration(a=1.3, b=0.4, c=0.5)])
def test_a_distortion_is_recovered(truth):
    random = np.random.default_rng(4)
    margin = random.normal(-3, 2.5, 400_000).astype(np.float32)
    fitted = fit(margin, draw(truth.log_odds(margin), random))
    grid = np.linspace(-8, 3, 12)
    np.testing.assert_allclose(fitted.log_odds(grid), truth.log_odds(grid), atol=0.25)


def test_a_calibrated_model_has_slope_one_and_an_overconfident_one_less():
    random = np.random.default_rng(5)
    log_odds = random.normal(-5, 2, 300_000)
    is_fraud = draw(log_odds, random)
    assert slope_of(log_odds, is_fraud) == pytest.approx(1, abs=0.05)
    assert slope_of(2 * log_odds, is_fraud) == pytest.approx(0.5, abs=0.03)


def test_the_share_of_fraud_is_met_at_three_in_a_thousand():
    random = np.random.default_rng(6)
    margin = random.normal(0, 3, 200_000)
    is_fraud = draw(margin - 9.5, random)
    assert 0.001 < is_fraud.mean() < 0.006
    assert probability_of(fit(margin, is_fraud).log_odds(margin)).mean() == pytest.approx(is_fraud.mean(), rel=0.01)


def test_classes_that_do_not_overlap_stay_finite():
    margin = np.concatenate([np.linspace(-9, -5, 1000), np.linspace(2, 4, 20)])
    fitted = fit(margin, margin > 0)
    assert np.all(np.isfinite([fitted.a, fitted.b, fitted.c]))
    assert probability_of(fitted.log_odds(np.array([-6.0])))[0] < 0.01
    assert probability_of(fitted.log_odds(np.array([3.0])))[0] > 0.9


def test_a_margin_that_ranks_the_wrong_way_keeps_the_least_slope():
    random = np.random.default_rng(8)
    margin = random.normal(0, 3, 5000)
    fitted = fit(margin, draw(-2 - margin, random))
    assert (fitted.a, fitted.b) == (LEAST_SLOPE, LEAST_SLOPE)


@pytest.mark.parametrize("outcome", [False, True])
def test_one_class_alone_cannot_be_calibrated(outcome):
    with pytest.raises(ValueError, match="frauds and honest"):
        fit(np.zeros(10), np.full(10, outcome))
