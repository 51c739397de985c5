"""Fitting a second opinion: grow its trees, measure its ruler, and put its threshold where its budget is spent.

The budget counts only honest payments that the model does not flag already: an analyst looks at a payment once.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.contrast import ContrastSettings, make
from models.forest import Forest, Matrix
from models.second_opinion import SecondOpinion, ruler_of, score_of

ROWS = 100_000
"""Payments that pass the trees at a time: features may lie on disk."""

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Parameters = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Part:
    """Rows of a history, and of each whether it is a fraud and whether the model flags it."""

    rows: Rows
    is_fraud: Flags
    by_model: Flags


@dataclass(frozen=True)
class Fitted:
    """A second opinion, ready for a bundle."""

    about: SecondOpinion
    model: bytes
    """The trees, UBJSON."""


def fit(
    features: Matrix,
    train: Part,
    validation: Part,
    test: Part | None,
    settings: ContrastSettings,
    *,
    seed: int,
    threads: int,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Fit on `train`; ruler and threshold are of `validation`'s honest payments, what it adds is measured on `test`.

    `progress` is called with 1 for every tree. Raises ValueError for a validation of fewer than 100 honest payments.
    """
    honest, frauds = train.rows[~train.is_fraud], train.rows[train.is_fraud]
    honest = honest[np.linspace(0, honest.size - 1, min(honest.size, settings.payments)).astype(np.int64)]
    booster, parameters = _grow(features[honest], features[frauds], settings, seed, threads, progress)
    forest = Forest.of(booster)
    validated = margins(forest, features, validation.rows)
    ruler = ruler_of(validated[~validation.is_fraud])
    score = score_of(validated, ruler)
    alert_score = threshold(score, validation, settings)
    recall, false_positives = None, None
    if test is not None:
        recall, false_positives = _added(score_of(margins(forest, features, test.rows), ruler), test, alert_score)
    about = SecondOpinion(
        trees=booster.num_boosted_rounds(),
        ruler=ruler,
        alert_score=alert_score,
        false_positive_rate=_added(score, validation, alert_score)[1] or 0.0,
        added_recall=recall,
        added_false_positive_rate=false_positives,
        parameters=parameters,
    )
    return Fitted(about, bytes(booster.save_raw("ubj")))


def threshold(score: NDArray[np.int16], part: Part, settings: ContrastSettings) -> int:
    """The lowest score that keeps the honest payments flagged beside the model within the budget; 1000 at most."""
    honest = ~part.is_fraud
    left = np.sort(score[honest & ~part.by_model])[::-1]
    allowed = int(settings.false_positive_rate * honest.sum())
    return int(min(left[allowed] + 1, 1000)) if allowed < left.size else 0


def margins(forest: Forest, features: Matrix, rows: Rows) -> NDArray[np.float32]:
    """Margins of some rows of features, a part at a time."""
    parts = [forest.margin(features[rows[start : start + ROWS]]) for start in range(0, rows.size, ROWS)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _added(score: NDArray[np.int16], part: Part, alert_score: int) -> tuple[float | None, float | None]:
    """Shares of the frauds and of the honest payments that are flagged in addition to the model's."""
    added = ~part.by_model & (score >= alert_score)
    frauds, honest = added[part.is_fraud], added[~part.is_fraud]
    return (float(frauds.mean()) if frauds.size else None), (float(honest.mean()) if honest.size else None)


def _grow(
    honest: Matrix,
    frauds: Matrix,
    settings: ContrastSettings,
    seed: int,
    threads: int,
    progress: Callable[[int], None] | None,
) -> tuple[Any, Parameters]:
    """XGBoost's booster, and what it was learned with."""
    import xgboost

    class Progress(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if progress:
                progress(1)
            return False

    made = make(honest, frauds, settings, np.random.default_rng(seed))
    parameters: Parameters = {
        "objective": "binary:logistic",
        "base_score": 0.5,
        "tree_method": "hist",
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "subsample": settings.subsample,
        "min_child_weight": 20,
        "seed": seed,
    }
    data = xgboost.QuantileDMatrix(
        np.concatenate([honest, made]),
        np.repeat(np.array([0, 1], dtype=np.float32), [len(honest), len(made)]),
        feature_names=list(FEATURE_NAMES),
        nthread=threads,
    )
    booster = xgboost.train(
        {**parameters, "nthread": threads}, data, num_boost_round=settings.trees, callbacks=[Progress()]
    )
    return booster, {**parameters, **_told(settings)}


def _told(settings: ContrastSettings) -> Parameters:
    """How payments were made, as the manifest says it."""
    names = ("payments", "known_parts", "part_families", "rare_families", "rivals", "together")
    given = asdict(settings)
    return {n: f"{v[0]} to {v[1]}" if isinstance(v := given[n], tuple) else v for n in names}
