"""What moves the model: SHAP contributions of a sample of payments, by feature and by group of features.

Contributions are the model's own (`models.forest`): with the base value they add up to each payment's margin. A group's
contribution to a payment is the sum of its features'.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.catalogue import CATALOGUE
from models.forest import Matrix
from models.report.measured import Flags, Measured

MOST_FRAUDS = 1_000
MOST_HONEST = 2_000
SEED = 7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Contributions of k payments: frauds and honest ones, each drawn at random where there are more."""

    features: Matrix
    """(k, 85)"""
    contributions: Floats
    """(k, 85), in log-odds."""
    is_fraud: Flags


@dataclass(frozen=True)
class Importance:
    """Mean absolute contribution of a feature or a group, in log-odds; NaN where there is no such payment."""

    name: str
    group: str
    on_frauds: float
    on_honest: float

    @property
    def weight(self) -> float:
        """What things are ordered by: frauds and honest payments count alike, however rare fraud is."""
        return float(np.nansum([self.on_frauds, self.on_honest]))


def sample(measured: Measured) -> Sample:
    """The same for the same measured payments."""
    random = np.random.default_rng(SEED)
    frauds = _some(random, np.flatnonzero(measured.is_fraud), MOST_FRAUDS)
    rows = np.sort(np.concatenate([frauds, _some(random, np.flatnonzero(~measured.is_fraud), MOST_HONEST)]))
    features = measured.features[rows]
    return Sample(features, measured.forest.contributions(features)[:, :-1], measured.is_fraud[rows])


def by_feature(sample: Sample) -> list[Importance]:
    """All features, the weightiest first."""
    columns = [
        _importance(feature.name, feature.group, sample.contributions[:, i], sample.is_fraud)
        for i, feature in enumerate(CATALOGUE)
    ]
    return sorted(columns, key=lambda importance: (-importance.weight, importance.name))


def by_group(sample: Sample) -> list[Importance]:
    """The groups, the weightiest first."""
    found = []
    for group in dict.fromkeys(feature.group for feature in CATALOGUE):
        members = [i for i, feature in enumerate(CATALOGUE) if feature.group == group]
        found.append(_importance(group, group, sample.contributions[:, members].sum(axis=1), sample.is_fraud))
    return sorted(found, key=lambda importance: (-importance.weight, importance.name))


def _some(random: np.random.Generator, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return random.choice(rows, most, replace=False) if rows.size > most else rows


def _importance(name: str, group: str, contributions: Floats, is_fraud: Flags) -> Importance:
    return Importance(name, group, _mean(contributions[is_fraud]), _mean(contributions[~is_fraud]))


def _mean(contributions: Floats) -> float:
    return float(np.abs(contributions).mean()) if contributions.size else float("nan")
