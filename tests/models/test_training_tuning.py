"""The search: it goes on where it was cut short, never loses to the settings as given, and keeps to its own history."""

import sys
from dataclasses import replace

import pytest

from models.training import Search, Settings, TrainingError, train
from models.training.folds import Fold
from models.training.tuning import fingerprint

SETTINGS = Settings(trees=5, depth=3, folds=2, threads=1)


@pytest.fixture(scope="module")
def small(history_of):
    return history_of(5_000, fraud_share=0.05)


def run(history, study, trials, settings=SETTINGS):
    return train(history, settings, created_at=1_760_000_000_000, search=Search(trials, study)).manifest


def test_the_best_parameters_are_the_models_and_no_worse_than_those_given(small, tmp_path):
    manifest = run(small, tmp_path / "m.study", 4)
    assert manifest.search["trials"] == 4
    assert manifest.search["best_value"] >= manifest.search["value_as_given"]
    assert manifest.out_of_fold["average_precision"].mean == pytest.approx(manifest.search["best_value"])
    assert manifest.parameters["trees"] == SETTINGS.trees


def test_a_search_that_was_interrupted_goes_on_with_the_same_command(small, tmp_path, monkeypatch):
    study = tmp_path / "m.study"
    figures, done = Fold.figures, []

    def interrupted(self, settings):
        if len(done) == 5:  # in the middle of the third trial
            raise KeyboardInterrupt
        done.append(settings)
        return figures(self, settings)

    monkeypatch.setattr(Fold, "figures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(small, study, 3)
    monkeypatch.setattr(Fold, "figures", lambda self, settings: done.append(settings) or figures(self, settings))
    before = len(done)
    manifest = run(small, study, 3)
    assert manifest.search["trials"] == 3
    assert len(done) - before == 2 + 2  # one trial, and measuring the best, on two folds each
    assert len({settings.learning_rate for settings in done[:before]}) == 3
    again = run(small, study, 3)
    assert again.search == manifest.search


def test_a_study_of_another_history_or_of_other_settings_is_refused(small, history_of, tmp_path):
    study = tmp_path / "m.study"
    run(small, study, 1)
    for history, settings in ((small, replace(SETTINGS, trees=6)), (history_of(5_100, 2, 0.05), SETTINGS)):
        with pytest.raises(TrainingError, match="another history or of other settings") as raised:
            run(history, study, 1, settings)
        assert "--study" in raised.value.hint


def test_a_file_that_is_no_study_is_refused(small, tmp_path):
    (tmp_path / "m.study").write_text("not a journal\nat all\n")
    with pytest.raises(TrainingError, match="cannot be read as a study"):
        run(small, tmp_path / "m.study", 1)


def test_without_its_library_a_search_says_what_to_install(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(TrainingError, match="needs optuna") as raised:
        run(small, None, 1)
    assert "fraudstream[train]" in raised.value.hint


def test_what_does_not_change_a_trial_does_not_change_the_fingerprint(small):
    first = fingerprint(small, SETTINGS, 2)
    assert fingerprint(small, replace(SETTINGS, threads=2, seeds=5, name="other"), 2) == first
    assert fingerprint(small, SETTINGS, 3) != first
    assert fingerprint(small, replace(SETTINGS, label_delay_ms=0), 2) != first
