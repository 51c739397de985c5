"""Population stability: how far payments have moved away from those that a model was validated on.

The *reference* is made at training and lies in the bundle as `drift.json`. Of each feature and of the score it holds
how many payments of the validation window fell into each bin: one for what is missing, and at most ten cut at the
deciles, where a value that two deciles fall on, such as a frequent 0, has a bin of its own. No labels are needed. The
validation window is what the trees were not fitted on, so that its scores are as live ones are, and the latest.

With n of N payments of the reference in a bin, and m of M that are looked at, the population stability index is

    PSI = sum over bins of (q - p) ln(q / p)      p = (n + 1/2) / (N + B/2)      q = (m + p B/2) / (M + B/2)

B is the number of bins. Half a payment in each bin (R. Krichevsky, V. Trofimov, "The performance of universal
encoding", 1981) keeps p above zero; the same weight mixed into q, but spread as the reference is, keeps an empty bin
from counting as news: PSI goes to 0 with M. The usual limits are 0.1, below which nothing has changed, and 0.25, from
which a model has to be looked at (N. Siddiqi, "Credit Risk Scorecards", 2006). With nothing changed PSI is about
(B - 1)(1/M + 1/N), by chance (B. Yurdakul, "Statistical Properties of Population Stability Index", 2018).

A day is not like the weeks around it: hours, weekdays, salary days, and counts of entities that only grow. So of each
quantity the reference keeps what is *usual*, the highest PSI of any one day of its own against all of it, and a
quantity has shifted when its PSI exceeds the limit by that. What grows for as long as entities are known will still
shift some day, as it does for the model: that is a reason to train again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.bundle import Bundle, BundleError
from models.catalogue import FEATURE_NAMES
from models.drift_counts import COLUMNS, MOST_EDGES, SCORE, count
from models.forest import Matrix
from models.retrain import RetrainPolicy
from schemas.types import EventTime

FILE = "drift.json"
"""The reference's name in a bundle."""
FORMAT_VERSION = 1
DAY_MS = 86_400_000
MOST_FOR_EDGES = 200_000
"""Payments that bins are cut by, evenly spread over the window, where it has more; all of them are counted."""
LEAST_OF_A_DAY = 200
"""Payments that a day of the reference needs to tell what is usual."""

Count = Annotated[int, Meta(ge=0)]
Counts = NDArray[np.int64]
"""(86, 11): of each feature in the catalogue's order and of the score, how many payments in each bin, missing first."""


class Bins(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One quantity's reference."""

    edges: Annotated[tuple[float, ...], Meta(max_length=MOST_EDGES)]
    """Rising, exact in single precision; a bin begins at each, and one lies below the first."""
    counts: tuple[Count, ...]
    """Payments in each bin: missing, below the first edge, then from each edge on."""
    usual: Annotated[float, Meta(ge=0)] = 0.0
    """The highest PSI of a day of the reference against all of it."""

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 2:
            raise ValueError("counts are not one a bin")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("edges do not rise")


class Reference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What payments were like when a model was validated."""

    format_version: Annotated[int, Meta(ge=1, le=FORMAT_VERSION)] = FORMAT_VERSION
    start: EventTime
    """The window's first payment, epoch ms."""
    end: EventTime
    payments: Count
    features: dict[str, Bins]
    score: Bins

    def __post_init__(self) -> None:
        if tuple(self.features) != FEATURE_NAMES:
            raise ValueError("it is about other features")

    def bins(self) -> Iterator[Bins]:
        """Of every column of `Counts`."""
        yield from self.features.values()
        yield self.score

    def edges(self) -> Matrix:
        """(86, 9) edges: what `models.drift_counts` counts with."""
        return _table([bins.edges for bins in self.bins()])

    def psi(self, counts: Counts) -> NDArray[np.float64]:
        """(86,) stability indices of counts."""
        return _psi([bins.counts for bins in self.bins()], counts)

    def usual(self) -> NDArray[np.float64]:
        """(86,) what `psi` shows of a day on which nothing is the matter."""
        return np.array([bins.usual for bins in self.bins()])


@dataclass(frozen=True)
class Drift:
    """What counts say against a reference."""

    payments: int
    features: dict[str, float]
    """PSI by name."""
    score: float
    shifted: tuple[str, ...]
    """Features beyond the limit, those farthest beyond it first."""
    score_shifted: bool
    settled: bool
    """Whether there are enough payments to go by."""
    retrain: bool


def index(reference: tuple[int, ...], counts: NDArray[np.int64]) -> float:
    """PSI of `counts` against `reference`, bin by bin; what lies beyond the reference's bins is not looked at."""
    weight = len(reference) / 2
    p = (np.asarray(reference, dtype=np.float64) + 0.5) / (sum(reference) + weight)
    seen = counts[: len(reference)].astype(np.float64)
    q = (seen + weight * p) / (seen.sum() + weight)
    return float(np.sum((q - p) * np.log(q / p)))


def cut(values: NDArray[np.float32]) -> tuple[float, ...]:
    """Edges at the deciles of the values that are known; a value that two deciles fall on has a bin of its own."""
    known = np.sort(values[np.isfinite(values)])
    if not known.size:
        return ()
    deciles, times = np.unique(known[np.arange(1, 10) * known.size // 10], return_counts=True)
    alone = deciles[times > 1]
    # Not the next number after 0: a processor may take numbers below the normal ones for 0.
    above = np.where(alone == 0, np.finfo(np.float32).tiny, np.nextafter(alone, np.float32(np.inf)))
    return tuple(float(edge) for edge in np.union1d(deciles, above.astype(np.float32)))


def make_reference(features: Matrix, score: NDArray[np.int16], times: NDArray[np.int64]) -> Reference:
    """The reference of payments in order of time (epoch ms): features (n, 85) and scores (n,); not of none at all."""
    spread = slice(None, None, -(-times.size // MOST_FOR_EDGES))
    edges = [cut(column) for column in (*features[spread].T, score[spread].astype(np.float32))]
    table = _table(edges)
    counts = [
        tuple(row[: len(each) + 2].tolist()) for each, row in zip(edges, count(features, score, table), strict=True)
    ]
    usual = np.zeros(COLUMNS)
    for day in _days(times):
        usual = np.maximum(usual, _psi(counts, count(features[day], score[day], table)))
    bins = [
        Bins(edges=cuts, counts=row, usual=round(psi, 4))
        for cuts, row, psi in zip(edges, counts, usual.tolist(), strict=True)
    ]
    return Reference(
        start=int(times[0]),
        end=int(times[-1]) + 1,
        payments=times.size,
        features=dict(zip(FEATURE_NAMES, bins[:SCORE], strict=True)),
        score=bins[SCORE],
    )


def _table(edges: Sequence[tuple[float, ...]]) -> Matrix:
    """(86, 9) edges, filled up with NaN, which no value reaches."""
    table = np.full((COLUMNS, MOST_EDGES), np.nan, dtype=np.float32)
    for row, each in zip(table, edges, strict=True):
        row[: len(each)] = each
    return table


def _psi(reference: Sequence[tuple[int, ...]], counts: Counts) -> NDArray[np.float64]:
    return np.array([index(row, found) for row, found in zip(reference, counts, strict=True)])


def _days(times: NDArray[np.int64]) -> Iterator[slice]:
    """The whole days of 24 hours from the first payment on that have enough payments."""
    bounds = np.searchsorted(times, np.arange(times[0], times[-1] + 2, DAY_MS))
    for begin, stop in pairwise(bounds):
        if stop - begin >= LEAST_OF_A_DAY:
            yield slice(int(begin), int(stop))


def assess(reference: Reference, counts: Counts, policy: RetrainPolicy, hours: int) -> Drift:
    """What counts say that were taken over payments of so many different hours."""
    psi, payments = reference.psi(counts), int(counts[SCORE].sum())
    beyond = psi - reference.usual() - policy.psi
    order = np.argsort(-beyond[:SCORE], kind="stable")
    shifted = tuple(FEATURE_NAMES[f] for f in order if beyond[f] > 0)
    score_shifted = bool(beyond[SCORE] > 0)
    settled = payments >= policy.payments and hours >= policy.hours
    return Drift(
        payments=payments,
        features=dict(zip(FEATURE_NAMES, psi[:SCORE].tolist(), strict=True)),
        score=float(psi[SCORE]),
        shifted=shifted,
        score_shifted=score_shifted,
        settled=settled,
        retrain=settled and (score_shifted or len(shifted) >= policy.features),
    )


def encode(reference: Reference) -> bytes:
    """What `drift.json` holds."""
    return msgspec.json.format(msgspec.json.encode(reference), indent=0)


def reference_of(bundle: Bundle) -> Reference | None:
    """A bundle's reference; None for a bundle of a time before there were any. Raises BundleError."""
    content = bundle.contents.get(FILE)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Reference)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"the bundle {bundle.path} cannot be used: {FILE} is not valid: {error}",
            hint="train it again with this version",
        ) from error
