"""Counting payments into the bins of a drift reference: compiled, for the hot path and for whole histories alike."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.engine import DUPLICATE, REDO
from models.forest import Matrix
from models.jit import compiled

SCORE = len(FEATURE_NAMES)
"""Column of the score, after the features."""
COLUMNS = SCORE + 1
MOST_EDGES = 9
BINS = MOST_EDGES + 2
"""Missing, below the first edge, and from each edge on."""
HOURS = 24
HOUR_MS = 3_600_000
SAMPLE_BITS = 3
"""Live, one payment in 2 ** 3 is counted."""


def count(features: Matrix, score: NDArray[np.int16], edges: Matrix) -> NDArray[np.int64]:
    """(86, 11) counts of all of n payments: features (n, 85), scores (n,), edges (86, 9)."""
    counts = np.zeros((COLUMNS, BINS), dtype=np.int64)
    _count(np.ascontiguousarray(features, dtype=np.float32), score, edges, counts)
    return counts


class Window:
    """Counts of the last 24 hours, by the payments' own time, of a sample of the payments that are shown to it.

    A payment belongs to the sample or not by its offset alone: the same ones however they come in batches. One thread
    shows payments; another may read the totals meanwhile, and misses at most those of the step in progress.
    """

    def __init__(self, edges: Matrix) -> None:
        self._edges = edges
        self._counts = np.zeros((HOURS, COLUMNS, BINS), dtype=np.int64)
        self._newest = np.full(1, -1, dtype=np.int64)

    def see(
        self,
        features: Matrix,
        score: NDArray[np.int16],
        times: NDArray[np.int64],
        status: NDArray[np.uint8],
        offsets: NDArray[np.int64],
    ) -> None:
        """Count what belongs to the sample of n payments; duplicates, redos and what is a day late are left out.

        `times` (epoch ms) say which hour a payment belongs to; the newest one ends the window.
        """
        _see(features, score, times, status, offsets, self._edges, self._counts, self._newest)

    def total(self) -> NDArray[np.int64]:
        """(86, 11) counts of the window."""
        total: NDArray[np.int64] = self._counts.sum(axis=0)
        return total

    @property
    def hours(self) -> int:
        """Of how many different hours there are payments."""
        return int(np.count_nonzero(self._counts[:, SCORE].sum(axis=1)))


@compiled
def in_sample(offset: int) -> bool:
    """One offset in 2 ** SAMPLE_BITS, spread without a pattern that a publisher's could fall in with."""
    mixed = np.uint64(offset) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(64 - SAMPLE_BITS)) == 0


@compiled
def _add(row: Any, edges: Any, counts: Any) -> None:
    """Count the features of one payment: into the bin after the edges at or below each, or into the first if NaN."""
    for f in range(row.size):
        x = row[f]
        k = 1
        for e in range(edges.shape[1]):
            k += x >= edges[f, e]
        counts[f, k if x == x else 0] += 1


@compiled
def _add_score(score: Any, edges: Any, counts: Any) -> None:
    x, k = np.float32(score), 1
    for e in range(edges.shape[1]):
        k += x >= edges[SCORE, e]
    counts[SCORE, k] += 1


@compiled
def _count(features: Any, score: Any, edges: Any, counts: Any) -> None:
    for i in range(features.shape[0]):
        _add(features[i], edges, counts)
        _add_score(score[i], edges, counts)


@compiled
def _see(
    features: Any, score: Any, times: Any, status: Any, offsets: Any, edges: Any, counts: Any, newest: Any
) -> None:
    for i in range(features.shape[0]):
        if not in_sample(offsets[i]) or status[i] & (DUPLICATE | REDO):
            continue
        hour = times[i] // HOUR_MS
        if hour > newest[0]:
            for passed in range(max(newest[0] + 1, hour - HOURS + 1), hour + 1):
                counts[passed % HOURS] = 0
            newest[0] = hour
        if hour > newest[0] - HOURS:
            _add(features[i], edges, counts[hour % HOURS])
            _add_score(score[i], edges, counts[hour % HOURS])
