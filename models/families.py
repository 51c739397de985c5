"""Families of features, found in the data: those that go together among honest payments, by rank.

Average linkage on the absolute Spearman correlation, an unknown value ranking below all known ones: so features that
come from one reading, and are missing together, are of one family too.
"""

import numpy as np
from numpy.typing import NDArray

from models.forest import Matrix

SAMPLE = 10_000
"""Payments to look at, at most, evenly spread."""

Family = NDArray[np.int64]
"""Columns of a feature matrix."""


def families_of(features: Matrix, together: float) -> list[Family]:
    """The families of features (n, f): a partition of the columns, each family's mean correlation `together` or more.

    Constant features are families of their own.
    """
    likeness = np.abs(_rank_correlation(features[:: max(1, len(features) // SAMPLE)]))
    np.fill_diagonal(likeness, -1)
    members: list[list[int]] = [[i] for i in range(len(likeness))]
    while len(members) > 1:
        a, b = sorted(divmod(int(np.argmax(likeness)), len(likeness)))
        if likeness[a, b] < together:
            break
        sizes = len(members[a]), len(members[b])
        merged = (sizes[0] * likeness[a] + sizes[1] * likeness[b]) / sum(sizes)
        likeness[a], likeness[:, a], likeness[a, a] = merged, merged, -1
        likeness = np.delete(np.delete(likeness, b, axis=0), b, axis=1)
        members[a] += members.pop(b)
    return [np.array(sorted(family)) for family in members]


def ranks(features: Matrix) -> NDArray[np.float64]:
    """Mean rank of each value in its column, from 0 to 1; unknown values are below all."""
    ranked = np.empty(features.shape)
    for column, into in zip(np.where(np.isnan(features), -np.inf, features).T, ranked.T, strict=True):
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        into[:] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranked / max(len(features), 1)


def _rank_correlation(features: Matrix) -> NDArray[np.float64]:
    ranked = ranks(features)
    ranked -= ranked.mean(axis=0)
    spread = np.sqrt((ranked**2).sum(axis=0))
    known = spread > 0
    ranked[:, known] /= spread[known]
    return ranked.T @ ranked
