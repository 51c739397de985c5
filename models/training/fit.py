"""Growing trees: the one place where our settings become XGBoost's parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.training import constraints
from models.training.device import chosen_device
from models.training.imbalance import Samples
from models.training.matrix import quantised
from models.training.settings import TREE_PARAMETERS, Settings

if TYPE_CHECKING:
    from xgboost import Booster

STOP_AFTER = 30
"""Rounds without a better validation loss after which trees stop growing."""

Parameters = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Ground:
    """Binned payments to grow trees on, as often as one likes."""

    fitted: Any
    held_out: Any


def prepare(samples: Samples, settings: Settings, scratch: Path | None = None) -> Ground:
    """Bin the samples; on disk with a `scratch` directory, which the ground needs as long as it is used."""
    fitted = quantised(samples.fitted, threads=settings.threads, scratch=scratch)
    return Ground(fitted, quantised(samples.held_out, threads=settings.threads, ref=fitted, scratch=scratch))


def grow(ground: Ground, settings: Settings, after_tree: Callable[[], None] | None = None) -> "Booster":
    """Trees, until validation gets no better or `settings.trees` are grown; ready to predict on the processor."""
    import xgboost

    class AfterTree(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if after_tree:
                after_tree()
            return False

    callbacks: list[Any] = [AfterTree()]
    if settings.early_stopping:
        callbacks.append(xgboost.callback.EarlyStopping(rounds=STOP_AFTER, save_best=True))
    device = chosen_device(settings.device, external=bool(settings.external_memory))
    booster = xgboost.train(
        {**parameters(settings), **_constrained(settings), "nthread": settings.threads, "device": device},
        ground.fitted,
        num_boost_round=settings.trees,
        evals=[(ground.held_out, "validation")] if settings.early_stopping else [],
        callbacks=callbacks,
        verbose_eval=False,
    )
    booster.set_param({"device": "cpu"})
    return booster


def parameters(settings: Settings) -> Parameters:
    """What decides how trees grow, but for the constraints."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": settings.depth,
        "learning_rate": settings.learning_rate,
        "subsample": settings.subsample,
        **{name: getattr(settings, name) for name in TREE_PARAMETERS},
        "seed": settings.seed,
    }


def told(settings: Settings) -> Parameters:
    """The same for the manifest, with what else made the model."""
    words: Parameters = {**constraints.in_words()} if settings.constraints else {}
    return {
        **parameters(settings),
        "trees": settings.trees,
        "early_stopping": settings.early_stopping,
        **words,
    }


def _constrained(settings: Settings) -> Parameters:
    return {"monotone_constraints": constraints.as_parameter()} if settings.constraints else {}
