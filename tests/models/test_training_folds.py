"""Folds: each knows only what was known by its own cutoff; treatments are compared on them."""

from dataclasses import replace

import numpy as np
import pytest

from models.bundle import Spread
from models.training import Settings, TrainingError, split, train
from models.training.folds import OBJECTIVE, best_treatment
from models.training.splitting import fold_splits
from models.training.spread import spread_of

SETTINGS = Settings(trees=8, depth=3, folds=3, threads=1)


@pytest.fixture(scope="module")
def small(history_of):
    return history_of(6_000, fraud_share=0.04)


def test_a_fold_uses_nothing_that_was_not_known_at_its_cutoff(small):
    times = small.payments["event_time"].to_numpy()
    known_at = small.payments["known_at"].fill_null(2**62).to_numpy()
    for fold in fold_splits(small, SETTINGS, 3):
        used = np.concatenate([fold.train, fold.validation])
        assert times[used].max() < fold.cutoff - SETTINGS.label_delay_ms
        assert times[fold.test].min() >= fold.cutoff
        assert (known_at[fold.is_known_fraud] <= fold.cutoff).all()


def test_folds_expand_and_what_they_measure_follows_one_another_up_to_the_delay(small):
    folds, whole = fold_splits(small, SETTINGS, 3), split(small, SETTINGS)
    sizes = [fold.train.size for fold in folds]
    assert sizes == sorted(sizes)
    assert sizes[-1] < whole.train.size
    measured = np.concatenate([fold.test for fold in folds])
    assert (np.diff(measured) > 0).all()
    assert measured[-1] <= whole.validation[-1]
    assert measured.size == pytest.approx(0.5 * (whole.train.size + whole.validation.size), rel=0.01)


def test_a_fold_that_is_too_small_is_named(history_of):
    with pytest.raises(TrainingError, match="fold 1 of 3") as raised:
        fold_splits(history_of(1_500, fraud_share=0.04), SETTINGS, 3)
    assert "fewer --folds" in raised.value.hint


def test_out_of_fold_figures_and_those_of_several_seeds_are_in_the_manifest(small):
    manifest = train(small, replace(SETTINGS, seeds=3), created_at=1_760_000_000_000).manifest
    assert len(manifest.out_of_fold["auc"].values) == 3
    assert manifest.out_of_fold["auc"].mean > 0.7
    losses = manifest.over_seeds["validation_loss"]
    assert len(losses.values) == 3
    assert losses.low < losses.mean < losses.high
    kept = int(manifest.parameters["seed"]) - SETTINGS.seed
    assert losses.values[kept] == sorted(losses.values)[1]
    assert manifest.over_seeds["auc"].values[kept] == manifest.metrics["auc"]


def test_a_comparison_of_treatments_is_kept_and_its_choice_used(small):
    manifest = train(small, replace(SETTINGS, imbalance="auto", folds=0), created_at=1_760_000_000_000).manifest
    assert set(manifest.imbalance_compared) == {"none", "weights", "smote"}
    assert all(len(figures[OBJECTIVE].values) == 3 for figures in manifest.imbalance_compared.values())
    assert manifest.imbalance == best_treatment(manifest.imbalance_compared)


def test_a_treatment_must_be_better_by_more_than_chance():
    def figures(**values):
        return {name: {OBJECTIVE: spread_of(each)} for name, each in values.items()}

    plain = [0.5, 0.6, 0.7]
    noisy = figures(none=plain, weights=[0.6, 0.5, 0.72], smote=[0.4, 0.5, 0.6])
    clear = figures(none=plain, weights=[0.51, 0.61, 0.71], smote=[0.53, 0.64, 0.72])
    assert (best_treatment(noisy), best_treatment(clear)) == ("none", "smote")


def test_a_spread_by_hand():
    spread = spread_of([1.0, 2.0, 3.0, float("nan")])
    assert (spread.mean, spread.sd, spread.values) == (2.0, 1.0, (1.0, 2.0, 3.0))
    assert spread.high == pytest.approx(2 + 4.303 / 3**0.5)
    assert spread_of([4.0]) == Spread(mean=4.0, sd=None, low=None, high=None, values=(4.0,))
    assert spread_of([]).mean is None
