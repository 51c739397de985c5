"""Training: what was not known at the cutoff is not used, and what the manifest claims can be recomputed."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.bundle import Bundle
from models.engine import DUPLICATE
from models.evaluation import roc
from models.history import History
from models.training import DAY_MS, Settings, TrainingError, score_at, split, train, usual_values

HOUR_MS = 3_600_000
T = 1_760_000_000_000


def small_history(*payments):
    """A history of (event time in hours before the cutoff T, fraud, hours from event to verdict or None)."""
    rows = sorted(payments, key=lambda row: -row[0])
    times = [T - round(hours * HOUR_MS) for hours, _, _ in rows]
    frame = pl.DataFrame(
        {
            "transaction_id": [str(i) for i in range(len(rows))],
            "event_time": times,
            "payer": ["p"] * len(rows),
            "payee": ["q"] * len(rows),
            "amount": [100] * len(rows),
            "is_fraud": [fraud for _, fraud, _ in rows],
            "kind": ["" for _ in rows],
            "known_at": [
                time + round(delay * HOUR_MS) if delay is not None else None
                for time, (_, _, delay) in zip(times, rows, strict=True)
            ],
        },
        schema_overrides={"known_at": pl.Int64},
    )
    return History(np.zeros((len(rows), 85), np.float32), frame, np.zeros(len(rows), np.uint8))


@pytest.fixture
def few_frauds_will_do(monkeypatch):
    monkeypatch.setattr("models.training.splitting.LEAST_FRAUDS", 1)


@pytest.mark.usefixtures("few_frauds_will_do")
def test_the_label_delay_by_hand():
    history = small_history(
        (100, True, 1),  # 0 train: known long ago
        (90, True, 89),  # 1 train: known an hour before T
        (80, True, 81),  # 2 train: fraud, known an hour after T: honest, as it was taken for then
        (70, True, None),  # 3 train: fraud, never known: honest
        (60, False, None),  # 4 train
        (50, False, None),  # 5 train
        (40, False, None),  # 6 validation
        (30, True, 30),  # 7 validation: known at T itself
        (24, True, 1),  # 8 exactly the label delay before T: left out, though known
        (2, True, 1),  # 9 left out
        (0, True, 1),  # 10 test: at T
        (-5, False, None),  # 11 test
    )
    parts = split(history, Settings(cutoff_ms=T, label_delay_ms=DAY_MS, validation_share=0.25))
    assert parts.train.tolist() == [0, 1, 2, 3, 4, 5]
    assert parts.validation.tolist() == [6, 7]
    assert parts.test.tolist() == [10, 11]
    assert parts.is_known_fraud.tolist() == [i in (0, 1, 7, 8, 9) for i in range(12)]


@pytest.mark.usefixtures("few_frauds_will_do")
def test_without_delay_the_last_payment_before_the_cutoff_counts_if_it_is_known():
    history = small_history((9, True, 1), (8, False, None), (3, False, None), (1, True, 1), (0.5, True, 1))
    parts = split(history, Settings(cutoff_ms=T, label_delay_ms=0, validation_share=0.5))
    assert [*parts.train, *parts.validation] == [0, 1, 2, 3, 4]
    assert parts.is_known_fraud.tolist() == [True, False, False, True, False]


@pytest.mark.usefixtures("few_frauds_will_do")
def test_fitting_begins_at_its_start_and_duplicates_are_left_out():
    verdicts = {9: True, 8: True, 7: False, 6: False, 5: True, 4: False, -1: True, -2: False}
    history = small_history(*((hours, fraud, 1) for hours, fraud in verdicts.items()))
    history.status[[2, 7]] = DUPLICATE
    settings = Settings(start_ms=T - 8 * HOUR_MS, cutoff_ms=T, label_delay_ms=0, validation_share=0.5)
    parts = split(history, settings)
    assert (parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()) == ([1, 3], [4, 5], [6])


def test_too_few_known_frauds_are_told_with_what_to_do():
    history = small_history(*((hours, hours == 50, 1) for hours in range(100)))
    with pytest.raises(TrainingError, match="1 frauds known by the cutoff") as raised:
        split(history, Settings(cutoff_ms=T))
    assert "longer history" in raised.value.hint


def test_a_history_without_labels_is_refused(history):
    without = replace(history, payments=history.payments.drop("is_fraud", "known_at"))
    with pytest.raises(TrainingError, match="no labels"):
        split(without, Settings())


def test_the_parts_follow_each_other_in_time(history, trained):
    manifest = trained.manifest
    assert manifest.train.end <= manifest.validation.start
    assert manifest.validation.end <= manifest.cutoff - manifest.label_delay_ms
    assert manifest.test is not None
    assert manifest.cutoff <= manifest.test.start
    assert manifest.test.payments == round(0.15 * len(history))
    assert manifest.test.frauds == history.payments["is_fraud"][-manifest.test.payments :].sum()


def test_the_model_ranks_well_on_payments_it_never_saw(trained):
    assert trained.evaluation.metrics["auc"] > 0.85
    assert trained.evaluation.metrics["average_precision"] > 0.15
    assert set(trained.evaluation.recall_by_kind) == {"app_scam", "sim_swap"}
    assert trained.manifest.metrics == pytest.approx(trained.evaluation.metrics)


def test_metrics_in_the_manifest_are_those_of_the_bundle_as_loaded(history, trained, scorer):
    rows = slice(len(history) - trained.manifest.test.payments, None)
    margin, is_fraud = scorer.score(history.features[rows]).margin, history.payments["is_fraud"].to_numpy()[rows]
    assert roc(margin, is_fraud).auc() == pytest.approx(trained.manifest.metrics["auc"])


def test_the_rates_of_bands_and_alerts_are_those_of_the_validation_window(history, trained, scorer):
    manifest = trained.manifest
    times = history.payments["event_time"].to_numpy()
    rows = np.flatnonzero((times >= manifest.validation.start) & (times < manifest.validation.end))
    assert rows.size == manifest.validation.payments
    known_at = history.payments["known_at"].fill_null(2**62).to_numpy()
    is_fraud = (history.payments["is_fraud"].to_numpy() & (known_at <= manifest.cutoff))[rows]
    score = scorer.score(history.features[rows]).score
    for band, most in zip(manifest.bands, (1, 0.013, 0.005, 0.001), strict=True):
        assert band.false_positive_rate == pytest.approx(np.mean(score[~is_fraud] >= band.from_score))
        assert band.recall == pytest.approx(np.mean(score[is_fraud] >= band.from_score))
        assert band.false_positive_rate <= most
    assert manifest.alert_false_positive_rate == pytest.approx(np.mean(score[~is_fraud] >= manifest.alert_score))
    assert np.mean(score[~is_fraud] >= manifest.alert_score - 1) > 0.005


def test_the_same_seed_gives_the_same_model(history, trained):
    settings = Settings(name="test", trees=60)
    again = train(history, settings, created_at=trained.manifest.created_at)
    assert again.model == trained.model
    assert again.manifest == trained.manifest
    assert train(history, replace(settings, seed=8), created_at=0 + T).model != trained.model


def test_early_stopping_saves_trees_and_can_be_left_out(history):
    done: list[int] = []
    settings = Settings(trees=120, learning_rate=0.5, depth=3)
    stopped = train(history, settings, created_at=T).manifest
    full = train(history, replace(settings, early_stopping=False), created_at=T, progress=done.append).manifest
    assert stopped.trees < full.trees == sum(done) == 120


def test_without_later_payments_validation_is_measured_and_said_to_be(history):
    end = int(history.payments["event_time"][-1]) + 1
    manifest = train(history, Settings(trees=5, cutoff_ms=end), created_at=T).manifest
    assert manifest.test is None
    assert manifest.metrics["frauds"] == manifest.validation.frauds
    assert manifest.metrics["payments"] == manifest.validation.payments


def test_usual_values_are_medians_of_what_is_known():
    features = np.full((4, 85), np.nan, dtype=np.float32)
    features[:, 0], features[1:, 1] = [1, 2, 3, 100], [5, 7, 0.1]
    assert usual_values(features, np.array([0, 1, 2]))[:3] == (2.0, 6.0, None)


def test_a_threshold_lets_no_more_through_than_asked():
    honest = np.arange(1000, dtype=np.int16)
    assert score_at(honest, 0.01) == 990
    assert score_at(honest, 0.0005) == 1000
    assert score_at(np.full(10, 1000, dtype=np.int16), 0.1) == 1000


@pytest.mark.parametrize("wrong", [{"validation_share": 0}, {"before_cutoff": 1.5}, {"alert_false_positive_rate": 0}])
def test_settings_that_make_no_sense_die_at_once(wrong):
    with pytest.raises(ValueError, match="lie"):
        Settings(**wrong)


def test_the_usual_values_reach_the_bundle(kept_bundle: Bundle, history):
    manifest = kept_bundle.manifest
    times = history.payments["event_time"].to_numpy()
    known_at = history.payments["known_at"].fill_null(2**62).to_numpy()
    known_fraud = history.payments["is_fraud"].to_numpy() & (known_at <= manifest.cutoff)
    rows = (times >= manifest.train.start) & (times < manifest.train.end) & ~known_fraud
    assert manifest.usual == pytest.approx(np.nanmedian(history.features[rows], axis=0), rel=1e-6)
