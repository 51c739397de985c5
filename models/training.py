"""Training: a history's features and what was known of them become a bundle's manifest and trees.

Everything is split by time, as if one stood at the cutoff T:

    start ── train ──┬── validation ──┐ T − label delay    T ┌── test ── end
                     │                │  (left out: verdicts │
             trees fitted on   stops the growing,   due yet) │  measured with all verdicts known by now
                               calibrates, bands

Up to T a payment counts as fraud only if its verdict was known by T; a fraud not known then counts as honest, as it
would have on that day. Features carry verdicts of other payments only from when they became known (`models.history`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import calibration, second_fit
from models.bundle import BAND_NAMES, SECOND_MODEL, Band, Manifest, Window, known
from models.calibration import Calibration
from models.catalogue import FEATURE_NAMES
from models.contrast import ContrastSettings
from models.engine import DUPLICATE
from models.evaluation import Evaluation, evaluate
from models.forest import Matrix
from models.history import History
from models.scoring import Scores, band_starts, scores_of
from schemas.errors import FraudStreamError

DAY_MS = 86_400_000
BAND_FALSE_POSITIVE_RATES = (0.013, 0.005, 0.001)
"""Where elevated, high and critical begin: shares of honest payments."""
LEAST_FRAUDS = 10
"""Known frauds that training and validation each need: with fewer nothing can be learned or measured."""
STOP_AFTER = 30
"""Rounds without a better validation loss after which trees stop growing."""


class TrainingError(FraudStreamError):
    """A history that no model can be trained on."""


@dataclass(frozen=True)
class Settings:
    """How to train. The tree parameters are the paper's; measure before changing them."""

    name: str = "fraud"
    label_delay_ms: int = DAY_MS
    start_ms: int | None = None
    """Fit on payments from here on; earlier ones only make up the payers' past."""
    cutoff_ms: int | None = None
    """T. None: the time by which `before_cutoff` of the payments have passed."""
    before_cutoff: float = 0.85
    validation_share: float = 0.2
    """Share of the payments between start and T − label delay that is kept for validation, the latest."""
    alert_false_positive_rate: float = 0.005
    trees: int = 300
    depth: int = 5
    learning_rate: float = 0.15
    subsample: float = 0.8
    early_stopping: bool = True
    second_opinion: ContrastSettings | None = None
    """How to learn the second opinion; None: none is learned."""
    seed: int = 7
    threads: int = 0
    """0: all cores."""

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1 or not 0 < self.before_cutoff <= 1:
            raise ValueError("shares lie between 0 and 1")
        if not 0 < self.alert_false_positive_rate < 1:
            raise ValueError("the alert's false-positive rate lies between 0 and 1")


@dataclass(frozen=True)
class Split:
    """Rows of a history, as index arrays in order of event time."""

    cutoff: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    is_known_fraud: NDArray[np.bool_]
    """For every payment of the history: a fraud whose verdict was known at the cutoff."""


@dataclass(frozen=True)
class Trained:
    """A model, ready for `models.bundle.write_bundle`."""

    manifest: Manifest
    model: bytes
    evaluation: Evaluation
    extra: Mapping[str, bytes] = field(default_factory=dict)
    """Further files of the bundle: the second opinion's trees, if there is one."""


def split(history: History, settings: Settings) -> Split:
    """Cut a history by time. Raises TrainingError when a part is too small to be of use."""
    if "is_fraud" not in history.payments.columns:
        raise TrainingError("the history has no labels", hint="give a directory with labels.parquet")
    if not len(history):
        raise TrainingError("the history holds no payments", hint="check --data, and --to")
    times = history.payments["event_time"].to_numpy()
    last = times.size - 1
    cutoff = settings.cutoff_ms
    if cutoff is None:
        cutoff = int(times[min(last, int(settings.before_cutoff * times.size))])
    start = settings.start_ms if settings.start_ms is not None else int(times[0])
    counted = (history.status & DUPLICATE) == 0
    before = np.flatnonzero(counted & (times >= start) & (times < cutoff - settings.label_delay_ms))
    first_validated = round(before.size * (1 - settings.validation_share))
    train, validation = before[:first_validated], before[first_validated:]
    known_at = history.payments["known_at"].fill_null(np.iinfo(np.int64).max).to_numpy()
    is_known_fraud = history.payments["is_fraud"].to_numpy() & (known_at <= cutoff)
    for part, rows in (("training", train), ("validation", validation)):
        frauds = int(is_known_fraud[rows].sum())
        if frauds < LEAST_FRAUDS or frauds == rows.size:
            raise TrainingError(
                f"{part} has {rows.size:,} payments with {frauds} frauds known by the cutoff, which is too few",
                hint="take a longer history, a shorter --label-delay, or another --train-to",
            )
    return Split(cutoff, train, validation, np.flatnonzero(counted & (times >= cutoff)), is_known_fraud)


def train(
    history: History, settings: Settings, *, created_at: int, progress: Callable[[int], None] | None = None
) -> Trained:
    """Train on a history; `created_at` in epoch ms; `progress` is called with 1 for every tree, of both forests."""
    parts = split(history, settings)
    booster, parameters = _grow(history.features, parts, settings, progress)
    margins = booster.inplace_predict(_rows(history.features, parts.validation), predict_type="margin")
    is_fraud = parts.is_known_fraud[parts.validation]
    calibrated = calibration.fit(margins, is_fraud)
    validated = calibration.score_of(calibrated.log_odds(margins))
    bands = _bands(validated, is_fraud)
    alert_score = score_at(validated[~is_fraud], settings.alert_false_positive_rate)
    measured = parts.test if parts.test.size else parts.validation
    scores = scores_of(
        booster.inplace_predict(_rows(history.features, measured), predict_type="margin"),
        calibrated,
        band_starts(bands),
    )
    evaluation = _evaluate(scores, history, parts, measured, alert_score)
    second = _second(history, parts, settings, booster, calibrated, alert_score, progress)
    manifest = Manifest(
        name=settings.name,
        created_at=created_at,
        train=_window(history, parts.train, parts.is_known_fraud),
        validation=_window(history, parts.validation, parts.is_known_fraud),
        test=_window(history, parts.test, history.payments["is_fraud"].to_numpy()) if parts.test.size else None,
        cutoff=parts.cutoff,
        label_delay_ms=settings.label_delay_ms,
        calibration=calibrated,
        bands=bands,
        alert_score=alert_score,
        alert_false_positive_rate=float(np.mean(validated[~is_fraud] >= alert_score)),
        usual=usual_values(history.features, parts.train[~parts.is_known_fraud[parts.train]]),
        metrics={name: known(value) for name, value in evaluation.metrics.items()},
        recall_by_kind=evaluation.recall_by_kind,
        parameters=parameters,
        trees=booster.num_boosted_rounds(),
        second_opinion=second.about if second else None,
    )
    extra = {SECOND_MODEL: second.model} if second else {}
    return Trained(manifest, bytes(booster.save_raw("ubj")), evaluation, extra)


def _second(
    history: History,
    parts: Split,
    settings: Settings,
    booster: Any,
    calibrated: Calibration,
    alert_score: int,
    progress: Callable[[int], None] | None,
) -> second_fit.Fitted | None:
    """The second opinion, beside the model as it alerts; of the test all verdicts count that are known by now."""
    if settings.second_opinion is None:
        return None

    def part(rows: NDArray[np.int64], is_fraud: NDArray[np.bool_]) -> second_fit.Part:
        margins = booster.inplace_predict(_rows(history.features, rows), predict_type="margin")
        score = calibration.score_of(calibrated.log_odds(margins))
        return second_fit.Part(rows, is_fraud[rows], score >= alert_score)

    train = second_fit.Part(parts.train, parts.is_known_fraud[parts.train], np.zeros(parts.train.size, np.bool_))
    validation = part(parts.validation, parts.is_known_fraud)
    test = part(parts.test, history.payments["is_fraud"].to_numpy()) if parts.test.size else None
    return second_fit.fit(
        history.features,
        train,
        validation,
        test,
        settings.second_opinion,
        seed=settings.seed,
        threads=settings.threads,
        progress=progress,
    )


def score_at(honest: NDArray[np.int16], false_positive_rate: float) -> int:
    """The lowest score that no more than this share of honest payments reach; 1000 if there is none."""
    counts = np.bincount(honest, minlength=calibration.MAX_SCORE + 1)
    at_or_above = np.cumsum(counts[::-1])[::-1]
    low_enough = np.flatnonzero(at_or_above <= false_positive_rate * honest.size)
    return int(low_enough[0]) if low_enough.size else calibration.MAX_SCORE


def usual_values(features: Matrix, rows: NDArray[np.int64]) -> tuple[float | None, ...]:
    """Median of each feature over `rows`, of those known; None where it is never known."""
    medians = []
    for column in features.T:
        values = column[rows]
        values = values[~np.isnan(values)]
        medians.append(float(str(np.float32(np.median(values)))) if values.size else None)
    return tuple(medians)


def _grow(
    features: Matrix, parts: Split, settings: Settings, progress: Callable[[int], None] | None
) -> tuple[Any, dict[str, str | int | float | bool]]:
    """The trees, and the parameters that XGBoost was given."""
    import xgboost

    class Progress(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if progress:
                progress(1)
            return False

    parameters: dict[str, str | int | float | bool] = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "subsample": settings.subsample,
        "seed": settings.seed,
    }
    names = list(FEATURE_NAMES)
    labels = parts.is_known_fraud.astype(np.float32)
    fitted = xgboost.QuantileDMatrix(
        _rows(features, parts.train), labels[parts.train], feature_names=names, nthread=settings.threads
    )
    callbacks: list[Any] = [Progress()]
    evals = []
    if settings.early_stopping:
        held_out = xgboost.QuantileDMatrix(
            _rows(features, parts.validation), labels[parts.validation], feature_names=names, ref=fitted
        )
        evals = [(held_out, "validation")]
        callbacks.append(xgboost.callback.EarlyStopping(rounds=STOP_AFTER, save_best=True))
    booster = xgboost.train(
        {**parameters, "nthread": settings.threads},
        fitted,
        num_boost_round=settings.trees,
        evals=evals,
        callbacks=callbacks,
        verbose_eval=False,
    )
    return booster, {**parameters, "trees": settings.trees, "early_stopping": settings.early_stopping}


def _bands(score: NDArray[np.int16], is_fraud: NDArray[np.bool_]) -> tuple[Band, Band, Band, Band]:
    honest, frauds = score[~is_fraud], score[is_fraud]
    starts = [0, *(score_at(honest, rate) for rate in BAND_FALSE_POSITIVE_RATES)]
    low, elevated, high, critical = (
        Band(
            name=name,
            from_score=start,
            false_positive_rate=float(np.mean(honest >= start)),
            recall=float(np.mean(frauds >= start)),
        )
        for name, start in zip(BAND_NAMES, starts, strict=True)
    )
    return low, elevated, high, critical


def _evaluate(scores: Scores, history: History, parts: Split, rows: NDArray[np.int64], alert_score: int) -> Evaluation:
    """Test payments are judged by all that is known by now, validation by what was known at the cutoff."""
    payments = history.payments[rows]
    if not parts.test.size:
        payments = payments.with_columns(is_fraud=pl.Series(parts.is_known_fraud[rows]))
    return evaluate(scores, payments, alert_score)


def _window(history: History, rows: NDArray[np.int64], is_fraud: NDArray[np.bool_]) -> Window:
    times = history.payments["event_time"].to_numpy()
    return Window(
        start=int(times[rows[0]]), end=int(times[rows[-1]]) + 1, payments=rows.size, frauds=int(is_fraud[rows].sum())
    )


def _rows(features: Matrix, rows: NDArray[np.int64]) -> Matrix:
    """Rows in ascending order; a view where they follow each other without a gap."""
    if rows.size and rows[-1] - rows[0] + 1 == rows.size:
        return features[rows[0] : rows[-1] + 1]
    return features[rows]
