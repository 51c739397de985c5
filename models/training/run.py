"""The whole of training, from a history with features to a model ready to be written as a bundle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models import drift
from models.bundle import SECOND_MODEL, Manifest, Spread, known
from models.evaluation import Evaluation
from models.forest import Matrix
from models.history import History
from models.scoring import Scores
from models.training import tuning
from models.training.fit import grow, prepare, told
from models.training.folds import best_treatment, compared, folds_of, measured
from models.training.imbalance import treated
from models.training.judging import Judgement, judge, median_of, window_of
from models.training.matrix import Rows, rows_of, too_large
from models.training.second import second_opinion
from models.training.settings import Settings, Treatment
from models.training.splitting import Split, split
from models.training.spread import spread_of
from models.training.stages import Begin, quiet

if TYPE_CHECKING:
    from xgboost import Booster

REFERENCE_ROWS = 500_000
"""Payments of validation, evenly spread, that the drift reference is made of at most."""
USUAL_ROWS = 500_000
"""Honest payments, evenly spread, that usual values are taken from at most."""


@dataclass(frozen=True)
class Trained:
    """A model, ready for `models.bundle.write_bundle`, and what it was measured on."""

    manifest: Manifest
    model: bytes = field(repr=False)
    evaluation: Evaluation
    scores: Scores = field(repr=False)
    """Of the measured payments."""
    rows: Rows = field(repr=False)
    """The measured payments, rows of the history: the test window, or validation where there is none."""
    split: Split = field(repr=False)
    booster: "Booster" = field(repr=False)
    extra: Mapping[str, bytes] = field(repr=False)
    """Further files of the bundle."""


def train(
    history: History,
    settings: Settings,
    *,
    created_at: int,
    progress: Callable[[int], None] | None = None,
    begin: Begin = quiet,
    search: tuning.Search | None = None,
) -> Trained:
    """Train on a history; `created_at` in epoch ms. Raises TrainingError.

    `begin` shows every long stage; `progress`, if given, is called with 1 for every tree of the model instead.
    """
    parts = split(history, settings)
    if settings.external_memory is None:
        settings = replace(settings, external_memory=too_large(len(history)))
    treatment, comparison = _treatment(history, settings, begin)
    settings, searched, out_of_fold = _on_folds(history, settings, treatment, begin, search)
    second_trees = settings.second_opinion.trees if settings.second_opinion else 0
    advance = progress or begin("growing trees", settings.trees * settings.seeds + second_trees)
    models = _grown(history, settings, parts, treatment, lambda: advance(1))
    kept = median_of(models)
    seed = settings.seed + models.index(kept)
    second = second_opinion(history, parts, kept, settings, lambda: advance(1))
    manifest = msgspec.structs.replace(
        _manifest(history, parts, kept, replace(settings, seed=seed), created_at),
        second_opinion=second.about if second else None,
        imbalance=treatment,
        imbalance_compared=comparison,
        out_of_fold=out_of_fold,
        over_seeds=_over_seeds(models),
        search=searched,
    )
    model = bytes(kept.booster.save_raw("ubj"))
    extra = {drift.FILE: drift.encode(_reference(history, parts, kept))}
    if second:
        extra[SECOND_MODEL] = second.model
    return Trained(manifest, model, kept.evaluation, kept.scores, kept.rows, parts, kept.booster, extra)


def _reference(history: History, parts: Split, kept: Judgement) -> drift.Reference:
    """What payments were like at validation, of at most `REFERENCE_ROWS`, evenly spread."""
    step = -(-parts.validation.size // REFERENCE_ROWS)
    rows, score = parts.validation[::step], kept.validated[::step]
    times = history.take(rows)["event_time"].to_numpy()
    return drift.make_reference(rows_of(history.features, rows), np.ascontiguousarray(score), times)


def usual_values(features: Matrix, rows: Rows) -> tuple[float | None, ...]:
    """Median of each feature over `rows`, of those known; None where it is never known."""
    sampled = rows_of(features, rows[:: -(-max(1, rows.size) // USUAL_ROWS)])
    medians = []
    for column in sampled.T:
        values = column[~np.isnan(column)]
        medians.append(float(str(np.float32(np.median(values)))) if values.size else None)
    return tuple(medians)


def _treatment(history: History, settings: Settings, begin: Begin) -> tuple[Treatment, dict[str, dict[str, Spread]]]:
    """How the imbalance is treated, and the figures that chose it."""
    if settings.imbalance != "auto":
        return settings.imbalance, {}
    figures = compared(history, settings, begin)
    return best_treatment(figures), {str(treatment): spreads for treatment, spreads in figures.items()}


def _on_folds(
    history: History, settings: Settings, treatment: Treatment, begin: Begin, search: tuning.Search | None
) -> tuple[Settings, dict[str, str | int | float | bool], dict[str, Spread]]:
    """The settings, with the best parameters of a search; how it went; what the folds say of them."""
    if not search and not settings.folds:
        return settings, {}, {}
    with folds_of(history, settings, treatment, begin) as folds:
        found = tuning.search(history, folds, settings, search, begin) if search else tuning.Found(settings, {})
        return found.settings, found.record, measured(folds, found.settings, begin, "measuring on folds")


def _grown(
    history: History, settings: Settings, parts: Split, treatment: Treatment, after_tree: Callable[[], None]
) -> list[Judgement]:
    """A model for each seed, judged."""
    with TemporaryDirectory(prefix="fraudstream-train-", dir=settings.scratch) as disk:
        samples = treated(history.features, parts, treatment, settings.seed)
        ground = prepare(samples, settings, Path(disk) if settings.external_memory else None)
        seeds = range(settings.seed, settings.seed + settings.seeds)
        boosters = [grow(ground, replace(settings, seed=seed), after_tree) for seed in seeds]
        del ground  # before its directory goes
    return [judge(booster, history, parts, settings.alert_budget) for booster in boosters]


def _manifest(history: History, parts: Split, model: Judgement, settings: Settings, created_at: int) -> Manifest:
    test = window_of(history, parts.test, history.payments["is_fraud"].to_numpy()) if parts.test.size else None
    return Manifest(
        name=settings.name,
        created_at=created_at,
        train=window_of(history, parts.train, parts.is_known_fraud),
        validation=window_of(history, parts.validation, parts.is_known_fraud),
        test=test,
        cutoff=parts.cutoff,
        label_delay_ms=settings.label_delay_ms,
        calibration=model.calibration,
        bands=model.bands,
        alert_score=model.alert_score,
        alert_false_positive_rate=model.alert_false_positive_rate,
        budget=settings.alert_budget.as_dict(),
        budget_implies={name: known(value) for name, value in model.implied.items()},
        usual=usual_values(history.features, parts.train[~parts.is_known_fraud[parts.train]]),
        metrics={name: known(value) for name, value in model.evaluation.metrics.items()},
        recall_by_kind=model.evaluation.recall_by_kind,
        parameters=told(settings),
        trees=model.booster.num_boosted_rounds(),
    )


def _over_seeds(models: list[Judgement]) -> dict[str, Spread]:
    """Each figure over the models of several seeds; nothing for a single one."""
    if len(models) == 1:
        return {}
    figures = [model.evaluation.metrics | {"validation_loss": model.validation_loss} for model in models]
    counts = ("payments", "frauds")
    return {name: spread_of([each[name] for each in figures]) for name in figures[0] if name not in counts}
