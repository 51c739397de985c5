"""Scores: the same whatever the batch, and what the manifest says of them holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scoring import Scorer

ARRAYS = ("margin", "probability", "score", "band")


@settings(max_examples=30)
@given(cuts=st.sets(st.integers(1, 699), max_size=20))
def test_the_batch_a_payment_came_in_never_changes_its_score(history, scorer, cuts):
    features = history.features[:700]
    whole = scorer.score(features)
    parts = [scorer.score(part) for part in np.split(features, sorted(cuts))]
    for name in ARRAYS:
        together = np.concatenate([getattr(part, name) for part in parts])
        assert together.tobytes() == getattr(whole, name).tobytes()


def test_each_payment_alone_scores_as_in_company(history, scorer):
    alone = np.array([scorer.score(history.features[i : i + 1]).margin[0] for i in range(200)])
    assert alone.tobytes() == scorer.score(history.features[:200]).margin.tobytes()


def test_two_scorers_of_one_bundle_agree_to_the_bit(history, kept_bundle, scorer):
    other = Scorer(kept_bundle)
    assert other.score(history.features).margin.tobytes() == scorer.score(history.features).margin.tobytes()


def test_rows_scattered_over_memory_score_the_same(history, scorer):
    apart = np.asfortranarray(history.features[:300:2])
    assert scorer.score(apart).margin.tobytes() == scorer.score(history.features[:300:2].copy()).margin.tobytes()


def test_no_payments_have_no_scores(history, scorer):
    assert [getattr(scorer.score(history.features[:0]), name).size for name in ARRAYS] == [0, 0, 0, 0]


def test_types_and_bounds_are_those_of_the_records(history, scorer):
    scores = scorer.score(history.features)
    assert [getattr(scores, name).dtype.name for name in ARRAYS] == ["float32", "float32", "int16", "uint8"]
    assert 0 <= scores.probability.min() <= scores.probability.max() <= 1
    assert 0 <= scores.score.min() <= scores.score.max() <= 1000
    assert len(scores) == len(history)


def test_a_band_begins_at_its_score(history, scorer):
    scores = scorer.score(history.features)
    for i, band in enumerate(scorer.bundle.manifest.bands):
        assert np.array_equal(scores.score >= band.from_score, scores.band >= i)
    assert scorer.bands == ("low", "elevated", "high", "critical")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.finfo(np.float32).max])
def test_the_strangest_values_are_scored(scorer, value):
    features = np.full((3, 85), value, dtype=np.float32)
    assert np.all(np.isfinite(scorer.score(features).margin))
