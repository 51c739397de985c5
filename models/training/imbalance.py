"""One fraud among hundreds of honest payments: left as it is, weighed, or filled up with synthetic frauds.

    none       the payments as they are
    weights    a fraud weighs as much as all honest payments over all frauds
    smote      synthetic frauds between neighbouring ones (N. Chawla et al., "SMOTE", 2002; imbalanced-learn), until
               there are `SMOTE_SHARE` as many as honest payments, as in the paper

Only what is fitted changes. Validation payments keep their features, and a fraud there weighs what the frauds of the
fitted ones became, so that the loss that stops the growing is of the same kind. Calibration, bands and alert score are
taken from the validation payments as they are: the probability means what it says under each of the three.

SMOTE needs distances, which features with gaps and of different scales do not give: each is divided by its spread over
honest payments, a gap becomes the mean, and a column beside it says that it was one. A synthetic fraud lies between two
frauds in all columns; it lacks a feature where the nearer of the two lacks it, and what comes in whole numbers is
rounded.
"""

from dataclasses import dataclass

import numpy as np

from models.catalogue import CATALOGUE, FEATURE_NAMES
from models.forest import Matrix
from models.training.errors import required
from models.training.matrix import Rows, Sample, rows_of
from models.training.settings import Treatment
from models.training.splitting import Flags, Split

TREATMENTS: tuple[Treatment, ...] = ("none", "weights", "smote")
SMOTE_SHARE = 0.12
"""Frauds over honest payments after SMOTE: the paper's."""
NEIGHBOURS = 5
SCALE_ROWS = 100_000
"""Honest payments, evenly spread, that tell a feature's mean and spread."""
_WHOLE = np.array([feature.unit in ("flag", "count", "code") for feature in CATALOGUE])


@dataclass(frozen=True)
class Samples:
    """What trees are fitted on, and what stops them."""

    fitted: Sample
    held_out: Sample


def treated(features: Matrix, parts: Split, treatment: Treatment, seed: int) -> Samples:
    """The samples of a split under a treatment; the same seed invents the same frauds."""
    is_fraud = parts.is_known_fraud[parts.train]
    stop_by = parts.is_known_fraud[parts.validation]
    frauds, honest = int(is_fraud.sum()), int((~is_fraud).sum())
    if treatment == "weights":
        weight = honest / frauds
        return Samples(
            Sample(features, parts.train, is_fraud, weight), Sample(features, parts.validation, stop_by, weight)
        )
    if treatment == "smote":
        invented = synthetic_frauds(features, parts.train, is_fraud, round(SMOTE_SHARE * honest) - frauds, seed)
        weight = (frauds + len(invented)) / frauds
        return Samples(
            Sample(features, parts.train, is_fraud, invented=invented),
            Sample(features, parts.validation, stop_by, weight),
        )
    return Samples(Sample(features, parts.train, is_fraud), Sample(features, parts.validation, stop_by))


def synthetic_frauds(features: Matrix, rows: Rows, is_fraud: Flags, count: int, seed: int) -> Matrix:
    """`count` synthetic frauds (count, 85) between those among the rows; none where `count` is not above 0."""
    if count <= 0:
        return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
    frauds = rows_of(features, rows[is_fraud])
    honest = rows[~is_fraud]
    mean, spread = _scale(rows_of(features, honest[:: max(1, honest.size // SCALE_ROWS)]))
    points = _as_points(frauds, mean, spread)
    # SMOTE looks at the minority alone; the two rows of zeros are there because it wants a second class.
    outcome = np.repeat([1, 0], [len(points), 2])
    smote = required("imblearn.over_sampling", "imbalance by SMOTE").SMOTE(
        sampling_strategy={1: len(points) + count}, k_neighbors=min(NEIGHBOURS, len(points) - 1), random_state=seed
    )
    grown, kinds = smote.fit_resample(np.vstack([points, np.zeros((2, points.shape[1]), np.float32)]), outcome)
    return _as_features(grown[len(outcome) :][kinds[len(outcome) :] == 1], mean, spread)


def _scale(honest: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and spread of each feature where it is known; 0 and 1 where it never is or never varies."""
    known = ~np.isnan(honest)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, honest, 0).sum(axis=0, dtype=np.float64) / count
    spread = np.sqrt((np.where(known, honest - mean, 0) ** 2).sum(axis=0, dtype=np.float64) / count)
    return mean.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32)


def _as_points(features: Matrix, mean: Matrix, spread: Matrix) -> Matrix:
    """(n, 170): scaled features with gaps at 0, and where the gaps were."""
    gaps = np.isnan(features)
    return np.hstack([np.where(gaps, 0, (features - mean) / spread), gaps]).astype(np.float32)


def _as_features(points: Matrix, mean: Matrix, spread: Matrix) -> Matrix:
    scaled, gaps = np.hsplit(points, 2)
    features = scaled * spread + mean
    features[:, _WHOLE] = np.round(features[:, _WHOLE])
    features[gaps > 0.5] = np.nan
    return features.astype(np.float32)
