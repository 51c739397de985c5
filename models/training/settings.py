"""How to train: one frozen set of settings, from the command line or the code that calls."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.contrast import ContrastSettings
from models.training.budget import DAY_MS, Budget

Imbalance = Literal["none", "weights", "smote", "auto"]
Treatment = Literal["none", "weights", "smote"]
Device = Literal["auto", "cpu", "cuda"]

TREE_PARAMETERS = ("min_child_weight", "gamma", "reg_lambda", "colsample_bytree", "max_delta_step", "scale_pos_weight")
"""XGBoost's parameters that may be given or searched for by name."""
FOLDS_TO_COMPARE = 3
"""Folds that a comparison takes where none are asked for."""


@dataclass(frozen=True)
class Settings:
    """How to train. The trees are those of docs/decisions/0017-defaults.md; measure before changing them."""

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
    budget: Budget | None = None
    """What decides the alert score instead of `alert_false_positive_rate`."""
    trees: int = 600
    depth: int = 6
    learning_rate: float = 0.05
    subsample: float = 0.8
    min_child_weight: float = 5.0
    gamma: float = 0.0
    reg_lambda: float = 5.0
    colsample_bytree: float = 0.2
    max_delta_step: float = 0.0
    scale_pos_weight: float = 1.0
    early_stopping: bool = True
    second_opinion: ContrastSettings | None = None
    """How to learn the second opinion; None: none is learned."""
    constraints: bool = True
    """Hold risk monotone in the features where the domain demands it, see `models.training.constraints`."""
    imbalance: Imbalance = "none"
    folds: int = 0
    """Folds on which the model is measured before the cutoff; 0: none."""
    seeds: int = 1
    """Models grown from consecutive seeds, of which the one with the median validation loss is kept."""
    seed: int = 7
    threads: int = 0
    """0: all cores."""
    device: Device = "auto"
    external_memory: bool | None = None
    """Fit from disk, a block at a time; None: where the features would take too large a share of memory."""
    scratch: Path | None = None
    """Directory for what is fitted from disk, about 85 bytes a payment; None: the system's for temporary files."""

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1 or not 0 < self.before_cutoff <= 1:
            raise ValueError("shares lie between 0 and 1")
        if not 0 < self.alert_false_positive_rate < 1:
            raise ValueError("the alert's false-positive rate lies between 0 and 1")
        if self.folds == 1 or self.folds < 0 or self.seeds < 1:
            raise ValueError("folds are 0 or at least 2, seeds at least 1")
        ranges = {"subsample": (0, 1), "colsample_bytree": (0, 1), "learning_rate": (0, 1)}
        if wrong := [name for name, (low, high) in ranges.items() if not low < getattr(self, name) <= high]:
            raise ValueError(f"{wrong[0]} does not lie between 0 and 1")
        if wrong := [name for name in TREE_PARAMETERS if not 0 <= getattr(self, name) < float("inf")]:
            raise ValueError(f"{wrong[0]} is negative or no number")

    @property
    def alert_budget(self) -> Budget:
        """What decides the alert score."""
        return self.budget or Budget(false_positive_rate=self.alert_false_positive_rate)
