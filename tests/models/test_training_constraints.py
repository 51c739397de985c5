"""Constraints: risk never falls as a constrained feature rises, in XGBoost's trees and in the compiled ones."""

from dataclasses import replace

import numpy as np
import pytest

from models.catalogue import FEATURE_NAMES, position
from models.forest import Forest
from models.training import Settings, train
from models.training.constraints import DIRECTIONS, as_parameter, check, in_words

SETTINGS = Settings(trees=20, depth=4, threads=1, learning_rate=0.15, colsample_bytree=1.0, min_child_weight=1.0)
NAME = "payee_frauds"


@pytest.fixture(scope="module")
def misleading(history_of):
    """A sample in which confirmed frauds seem to speak for a payment."""
    history = history_of(6_000, fraud_share=0.04)
    features = history.features.copy()
    features[:, position(NAME)] = np.where(history.payments["is_fraud"].to_numpy(), 0, 1)
    features[::3, position(NAME)] = 2
    return replace(history, features=features)


def lowest_step(forest: Forest, features, name: str) -> float:
    """The most that a margin falls when the feature rises by one."""
    steps = []
    for value in range(4):
        low, high = features.copy(), features.copy()
        low[:, position(name)], high[:, position(name)] = value, value + 1
        steps.append((forest.margin(high) - forest.margin(low)).min())
    return float(min(steps))


def test_a_constrained_model_never_takes_more_frauds_for_less_risk(misleading):
    features = misleading.features[:500]
    free = Forest.of(train(misleading, replace(SETTINGS, constraints=False), created_at=0).booster)
    held = Forest.of(train(misleading, SETTINGS, created_at=0).booster)
    assert lowest_step(free, features, NAME) < -0.1
    assert lowest_step(held, features, NAME) >= -1e-5


def test_compiled_trees_agree_with_xgboosts_under_constraints(misleading):
    booster = train(misleading, SETTINGS, created_at=0).booster
    theirs = booster.inplace_predict(misleading.features[:300], predict_type="margin")
    assert np.array_equal(Forest.of(booster).margin(misleading.features[:300]), theirs)


def test_the_manifest_says_which_features_are_held(misleading):
    manifest = train(misleading, SETTINGS, created_at=0).manifest
    assert NAME in str(manifest.parameters["risk_rises_with"]).split(", ")
    without = train(misleading, replace(SETTINGS, constraints=False), created_at=0).manifest
    assert "risk_rises_with" not in without.parameters


def test_a_direction_for_a_feature_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="does not have: payee_moods"):
        check({"payee_moods": 1})
    with pytest.raises(ValueError, match=NAME):
        check({NAME: 2})


def test_directions_reach_xgboost_in_the_catalogues_order():
    numbers = [int(number) for number in as_parameter({NAME: 1, "rooted": -1}).strip("()").split(",")]
    assert len(numbers) == len(FEATURE_NAMES)
    assert (numbers[position(NAME)], numbers[position("rooted")], sum(map(abs, numbers))) == (1, -1, 2)
    assert in_words({NAME: 1}) == {"risk_rises_with": NAME}
    assert set(DIRECTIONS) <= set(FEATURE_NAMES)
