"""Weights and synthetic frauds change what is fitted, never what calibrates or measures."""

from dataclasses import replace

import numpy as np
import pytest

from models.catalogue import CATALOGUE, position
from models.training import Settings, split, train
from models.training.imbalance import SMOTE_SHARE, synthetic_frauds, treated
from models.training.matrix import Sample

SETTINGS = Settings(trees=20, depth=3, threads=1)
FLAG = position(next(feature.name for feature in CATALOGUE if feature.unit == "flag"))
KM = position(next(feature.name for feature in CATALOGUE if feature.unit == "km"))


@pytest.fixture(scope="module")
def small(history_of):
    return history_of(6_000, fraud_share=0.04)


def test_synthetic_frauds_lie_between_frauds_and_lack_what_the_nearer_one_lacks():
    random = np.random.default_rng(1)
    features = random.normal(size=(400, 85)).astype(np.float32)
    is_fraud = np.arange(400) % 10 == 0
    features[is_fraud, KM] = random.uniform(100, 200, is_fraud.sum())
    features[:, FLAG] = is_fraud
    features[is_fraud, 3] = np.nan
    half = np.flatnonzero(is_fraud)[::2]
    features[half, 5] = np.nan
    made = synthetic_frauds(features, np.arange(400), is_fraud, 300, seed=1)
    assert made.shape == (300, 85)
    assert made.dtype == np.float32
    assert (made[:, KM] >= 99.9).all()
    assert (made[:, KM] <= 200.1).all()
    assert (made[:, FLAG] == 1).all()
    assert np.isnan(made[:, 3]).all()
    assert 0.2 < np.isnan(made[:, 5]).mean() < 0.8
    assert np.array_equal(made, synthetic_frauds(features, np.arange(400), is_fraud, 300, seed=1), equal_nan=True)


def test_smote_reaches_its_share_and_leaves_validation_as_it_is(small):
    parts = split(small, SETTINGS)
    samples = treated(small.features, parts, "smote", 7)
    frauds = int(samples.fitted.is_fraud.sum())
    honest = samples.fitted.is_fraud.size - frauds
    if round(SMOTE_SHARE * honest) > frauds:
        assert frauds + len(samples.fitted.invented) == round(SMOTE_SHARE * honest)
    assert not len(samples.held_out.invented)
    assert samples.held_out.rows is parts.validation


def test_weights_make_both_classes_weigh_the_same():
    sample = Sample(np.zeros((4, 85), np.float32), np.arange(4), np.array([True, False, False, False]), 3.0)
    [(_, labels, weights)] = sample.blocks()
    assert weights.tolist() == [3, 1, 1, 1]
    assert labels.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("treatment", ["weights", "smote"])
def test_probabilities_mean_what_they_say_under_every_treatment(small, treatment):
    trained = train(small, replace(SETTINGS, imbalance=treatment), created_at=1_760_000_000_000)
    assert trained.manifest.imbalance == treatment
    assert trained.evaluation.metrics["auc"] > 0.75
    assert trained.evaluation.metrics["expected_over_observed"] == pytest.approx(1, abs=0.5)
