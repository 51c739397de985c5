"""The compiled trees against XGBoost's own predictions and SHAP contributions."""

import numpy as np
import pytest
import xgboost

from models.bundle import BundleError, write_bundle
from models.catalogue import FEATURE_NAMES
from models.forest import BLOCK, SHAP_BLOCK, Forest
from models.scoring import Scorer

COLUMNS = 6
"""So few features that a path meets the same one again and again."""


def grow(depth=5, trees=20, seed=0, rows=3000, **parameters):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, COLUMNS)).astype(np.float32).round(1)
    x[random.random(x.shape) < 0.2] = np.nan
    y = np.nansum(x * [2, -1, 1, 0.5, 0, 0], axis=1) + np.isnan(x[:, 4]) + random.normal(size=rows) > 1
    settings = {"objective": "binary:logistic", "max_depth": depth, "subsample": 0.8, "seed": seed, **parameters}
    return xgboost.train(settings, xgboost.DMatrix(x, y), num_boost_round=trees), x


def theirs(booster, x):
    margins = booster.inplace_predict(x, predict_type="margin")
    return margins, booster.predict(xgboost.DMatrix(x), pred_contribs=True)


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 12])
def test_margins_and_contributions_are_xgboosts_at_every_depth(depth):
    booster, x = grow(depth)
    forest, rows = Forest.of(booster), x[:300]
    margins, contributions = theirs(booster, rows)
    np.testing.assert_allclose(forest.margin(rows), margins, atol=1e-6)
    np.testing.assert_allclose(forest.contributions(rows), contributions, atol=1e-5)


@pytest.mark.parametrize(
    "parameters", [{"grow_policy": "lossguide", "max_leaves": 40, "depth": 0}, {"tree_method": "exact"}, {"gamma": 1e9}]
)
def test_lopsided_trees_and_trees_of_one_leaf_are_xgboosts(parameters):
    booster, x = grow(**parameters)
    forest, rows = Forest.of(booster), x[:100]
    margins, contributions = theirs(booster, rows)
    np.testing.assert_allclose(forest.margin(rows), margins, atol=1e-6)
    np.testing.assert_allclose(forest.contributions(rows), contributions, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 1, SHAP_BLOCK - 1, SHAP_BLOCK + 1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_blocks_that_are_not_full_hold_what_they_should(rows):
    booster, x = grow()
    forest = Forest.of(booster)
    assert forest.margin(x[:rows]).tobytes() == forest.margin(x[:500])[:rows].tobytes()
    assert forest.contributions(x[:rows]).tobytes() == forest.contributions(x[:500])[:rows].tobytes()


def test_values_on_a_threshold_missing_and_without_end_take_xgboosts_way():
    booster, _ = grow()
    forest, random = Forest.of(booster), np.random.default_rng(1)
    thresholds = forest.nodes["threshold"][np.isfinite(forest.nodes["threshold"])]
    x = random.choice([*thresholds, np.nan, np.inf, -np.inf, 0.0, -0.0], (500, COLUMNS)).astype(np.float32)
    np.testing.assert_allclose(forest.margin(x), booster.inplace_predict(x, predict_type="margin"), atol=1e-6)


def test_contributions_are_shapley_values_by_their_definition():
    """Two features, all four coalitions by hand: the value of one that is left out is averaged over training."""
    x = np.repeat(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32), [40, 30, 20, 10], axis=0)
    y = np.array([0.0, 1.0, 2.0, 9.0])[(x[:, 0] * 2 + x[:, 1]).astype(int)]
    booster = xgboost.train(
        {"objective": "reg:squarederror", "max_depth": 2, "learning_rate": 1, "lambda": 0, "base_score": 0.5},
        xgboost.DMatrix(x, y),
        num_boost_round=1,
    )
    value = {(a, b): booster.inplace_predict(np.array([[a, b]], np.float32))[0] for a in (0, 1) for b in (0, 1)}
    forest = Forest.of(booster)
    # the first split is on feature 0; feature 1 is split below it, with each branch's own shares
    given_a = (20 * value[1, 0] + 10 * value[1, 1]) / 30
    given_b = (70 * value[0, 1] + 30 * value[1, 1]) / 100
    neither = (40 * value[0, 0] + 30 * value[0, 1] + 20 * value[1, 0] + 10 * value[1, 1]) / 100
    phi_a = ((given_a - neither) + (value[1, 1] - given_b)) / 2
    phi_b = ((given_b - neither) + (value[1, 1] - given_a)) / 2
    found = forest.contributions(np.array([[1, 1]], np.float32))[0, :2]
    np.testing.assert_allclose(found, [phi_a, phi_b], atol=1e-5)


@pytest.mark.parametrize(
    "parameters", [{"booster": "dart"}, {"booster": "gblinear"}, {"objective": "multi:softprob", "num_class": 2}]
)
def test_trees_of_another_kind_are_refused(parameters):
    booster, _ = grow(**parameters, verbosity=0)
    with pytest.raises(ValueError, match=r"gradient_booster|learner_model_param"):
        Forest.of(booster)


def test_a_bundle_of_other_trees_is_refused_with_what_to_do(history, trained, tmp_path):
    labels = history.payments["is_fraud"].to_numpy()[:2000]
    data = xgboost.DMatrix(history.features[:2000], labels, feature_names=list(FEATURE_NAMES))
    dart = xgboost.train({"objective": "binary:logistic", "booster": "dart"}, data, trained.manifest.trees)
    bundle = write_bundle(tmp_path / "dart", trained.manifest, bytes(dart.save_raw("ubj")))
    with pytest.raises(BundleError, match="cannot be compiled") as raised:
        Scorer(bundle)
    assert "fraudstream train" in raised.value.hint
