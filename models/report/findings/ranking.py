"""How well scores put frauds first: curves with few enough points to draw, and what single features could do alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.catalogue import CATALOGUE
from models.evaluation import FALSE_POSITIVE_RATES, RARE, Roc, roc
from models.report.measured import Flags, Measured

POINTS = 600
"""Points of a curve, about; what lies between two of them cannot be seen."""
FAR = 1e300
"""Stands for a value not known: beyond all others, and still a number."""
MOST_HONEST = 100_000
"""Honest payments that single features are ranked on; all frauds are."""
SEED = 7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall of one window, thinned; all (m,), from the highest threshold down."""

    false_positive_rate: Floats
    recall: Floats
    precision: Floats
    rare_precision: Floats
    """Precision if one payment in 10,000 were fraud."""
    auc: float
    average_precision: float


@dataclass(frozen=True)
class Single:
    """One feature on its own: how often it puts a fraud before an honest payment."""

    name: str
    group: str
    description: str
    auc: float
    higher_is_riskier: bool


def curves(measured: Measured) -> Curves:
    """Both curves. There have to be frauds and honest payments."""
    whole = roc(measured.scores.margin, measured.is_fraud)
    kept = _thin(whole)
    recall, false = whole.recall[kept], whole.false_positive_rate[kept]
    caught = recall * RARE
    rare = np.divide(caught, caught + false * (1 - RARE), out=np.ones_like(caught), where=caught + false > 0)
    return Curves(false, recall, whole.precision[kept], rare, whole.auc(), whole.average_precision())


def singles(measured: Measured) -> list[Single]:
    """Every feature's AUC in its better direction, unknown values counted as lowest or highest, the strongest first."""
    frauds, honest = np.flatnonzero(measured.is_fraud), np.flatnonzero(~measured.is_fraud)
    if honest.size > MOST_HONEST:
        honest = np.random.default_rng(SEED).choice(honest, MOST_HONEST, replace=False)
    rows = np.sort(np.concatenate([frauds, honest]))
    is_fraud, features = measured.is_fraud[rows], measured.features[rows]
    found = [
        Single(feature.name, feature.group, feature.description, *_alone(features[:, i], is_fraud))
        for i, feature in enumerate(CATALOGUE)
    ]
    return sorted(found, key=lambda single: (-single.auc, single.name))


def _alone(values: NDArray[np.float32], is_fraud: Flags) -> tuple[float, bool]:
    best = (0.5, True)
    for unknown in (-FAR, FAR):
        auc = roc(np.nan_to_num(values.astype(np.float64), nan=unknown), is_fraud).auc()
        best = max(best, (auc, True), (1 - auc, False))
        if not np.isnan(values).any():
            break
    return best


def _thin(whole: Roc) -> NDArray[np.intp]:
    """Points to draw: dense where few honest payments are flagged and along recall; those of the rates, exactly."""
    last = whole.recall.size - 1
    start = (np.geomspace(1, last + 1, POINTS // 2) - 1).round().astype(np.intp)
    along = np.searchsorted(whole.recall, np.linspace(0, 1, POINTS // 2))
    rates = np.searchsorted(whole.false_positive_rate, FALSE_POSITIVE_RATES, side="right") - 1
    return np.unique(np.concatenate([start, along, rates, [0, last]]))
