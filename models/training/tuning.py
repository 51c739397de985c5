"""A search for better tree parameters: Optuna over the folds, resumable, giving up early on what will not be best.

    sampler     TPE, all parameters together; the settings as given are the first trial, so that nothing gets worse
    objective   mean average precision over the folds, see `models.training.folds`
    pruning     after each fold, a trial whose mean so far is below the median of the earlier trials' at that fold ends
    storage     a journal file, appended to after every fold; a search that was cut short goes on where it was

A study belongs to one history and one set of settings: another is refused, since its values could not be compared.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.catalogue import CATALOGUE_HASH
from models.history import History
from models.training import constraints
from models.training.errors import TrainingError, required
from models.training.folds import OBJECTIVE, Fold
from models.training.settings import Settings
from models.training.stages import Begin

STUDY = "fraudstream"
STARTUP_TRIALS = 10
"""Trials at random before TPE has something to go by, and before anything is pruned."""
_NOT_COMPARED = {
    *("name", "threads", "device", "external_memory", "scratch", "seeds"),
    *("budget", "alert_false_positive_rate"),
}
"""Settings that do not change a trial's value."""


@dataclass(frozen=True)
class Search:
    """How many trials, and where they are kept; None: nowhere."""

    trials: int
    study: Path | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError("a search takes at least one trial")


@dataclass(frozen=True)
class Found:
    """The best settings of a search, and how it went."""

    settings: Settings
    record: dict[str, str | int | float | bool]


def search(history: History, folds: Sequence[Fold], settings: Settings, wanted: Search, begin: Begin) -> Found:
    """Bring the study to `wanted.trials` trials and return its best. Ctrl-C leaves what was done in the study."""
    optuna = required("optuna", "a search for parameters")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # Ctrl-C is no news
    study = _opened(wanted, settings, fingerprint(history, settings, len(folds)))
    done = len(_finished(study))
    advance = begin("searching", wanted.trials)
    advance(min(done, wanted.trials), _best(study))
    if not done:
        study.enqueue_trial(_given(settings), user_attrs={"as_given": True})
    study.sampler = optuna.samplers.TPESampler(
        seed=settings.seed + len(study.trials), multivariate=True, n_startup_trials=STARTUP_TRIALS
    )
    study.optimize(
        lambda trial: _value(trial, folds, settings),
        n_trials=max(0, wanted.trials - done),
        callbacks=[lambda study, trial: advance(1, _best(study))],
    )
    pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)
    return Found(
        replace(settings, **study.best_params),
        {
            "objective": f"{OBJECTIVE} over {len(folds)} folds",
            "trials": len(_finished(study)),
            "trials_pruned": pruned,
            "best_value": float(study.best_value),
            "value_as_given": next(trial.value for trial in _finished(study) if trial.user_attrs.get("as_given")),
        },
    )


def fingerprint(history: History, settings: Settings, folds: int) -> str:
    """Stands for everything that a trial's value depends on but the parameters searched for."""
    compared = {
        field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in _NOT_COMPARED
    }
    times, frauds = history.payments["event_time"].to_numpy(), history.payments["is_fraud"].to_numpy()
    told = json.dumps(compared | {"folds": folds, "directions": constraints.DIRECTIONS}, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{CATALOGUE_HASH} {told}".encode())
    digest.update(times.tobytes())
    digest.update(np.flatnonzero(frauds).tobytes())
    return digest.hexdigest()


def _opened(wanted: Search, settings: Settings, of: str) -> Any:
    """The study, with trials that were cut short taken out of the count. Raises TrainingError for another's."""
    import optuna

    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS)
    if wanted.study is None:
        return optuna.create_study(direction="maximize", pruner=pruner)
    hint = "give another file with --study, or delete this one to begin again"
    try:
        wanted.study.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(wanted.study)))
        study = optuna.create_study(
            study_name=STUDY, storage=storage, direction="maximize", pruner=pruner, load_if_exists=True
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{wanted.study} cannot be read as a study: {error}", hint=hint) from error
    if study.user_attrs.setdefault("of", of) != of:
        raise TrainingError(f"{wanted.study} is the study of another history or of other settings", hint=hint)
    study.set_user_attr("of", of)
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _value(trial: Any, folds: Sequence[Fold], settings: Settings) -> float:
    import optuna

    tried = replace(settings, **_suggested(trial))
    values: list[float] = []
    for step, fold in enumerate(folds):
        values.append(fold.figures(tried)[OBJECTIVE])
        trial.report(float(np.mean(values)), step)
        if step + 1 < len(folds) and trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(values))


def _suggested(trial: Any) -> dict[str, Any]:
    """The space that is searched. The others only shift or bend what calibration straightens."""
    return {
        "depth": trial.suggest_int("depth", 3, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.4, log=True),
        "subsample": trial.suggest_float("subsample", 0.4, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.2, 1.0),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.01, 100.0, log=True),
        "gamma": trial.suggest_float("gamma", 0.0, 5.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 100.0, log=True),
    }


def _given(settings: Settings) -> dict[str, float | int]:
    names = ("depth", "learning_rate", "subsample", "colsample_bytree", "min_child_weight", "gamma", "reg_lambda")
    return {name: getattr(settings, name) for name in names}


def _finished(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    return [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def _best(study: Any) -> str:
    from optuna.trial import TrialState

    values = [trial.value for trial in study.trials if trial.state == TrialState.COMPLETE]
    return f"best {OBJECTIVE.replace('_', ' ')} {max(values):.4f}" if values else ""
