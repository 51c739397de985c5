"""Why a payment scored as it did: SHAP contributions turned into reasons a person can read.

Contributions and base value add up to the margin. The largest that speak for fraud become reasons, each with the value
behind it and what is usual: for this customer where a feature says so, otherwise for honest payments at large.

Where the second opinion decided, its margin is explained in the same way; its first reason begins with `UNLIKE`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.catalogue import CATALOGUE, FEATURE_NAMES, position
from models.forest import Matrix
from models.scoring import Scorer
from schemas.alert import Reason

MAX_REASONS = 5
UNLIKE = "Unlike honest payments: "
"""What leads the reasons of the second opinion."""
LEAST_CONTRIBUTION = 0.05
"""In log-odds: what moves the odds by less than 5 % is no reason."""

_OWN_USUAL = {i: position(feature.usual) for i, feature in enumerate(CATALOGUE) if feature.usual}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One payment's reasons, largest contribution first."""

    base_value: float
    """Margin of a payment of which nothing is known."""
    margin: float
    reasons: list[Reason]
    explains: Literal["model", "second_opinion"] = "model"


def explain(scorer: Scorer, features: Matrix, by_second: NDArray[np.bool_] | None = None) -> list[Explanation]:
    """Explanations of the rows of features (k, 85): of the second opinion's margin where `by_second` (k,) is set."""
    if not len(features):
        return []
    contributions = np.empty((len(features), features.shape[1] + 1))
    second = np.zeros(len(features), dtype=np.bool_) if by_second is None else by_second
    contributions[~second] = scorer.contributions(features[~second])
    if second.any():
        contributions[second] = scorer.second_contributions(features[second])
    explained = explain_contributions(features, contributions, scorer.bundle.manifest.usual)
    return [_unlike(why) if of_second else why for why, of_second in zip(explained, second.tolist(), strict=True)]


def _unlike(why: Explanation) -> Explanation:
    reasons = list(why.reasons)
    if reasons:
        reasons[0] = msgspec.structs.replace(reasons[0], sentence=UNLIKE + reasons[0].sentence)
    return replace(why, reasons=reasons, explains="second_opinion")


def explain_contributions(
    features: Matrix, contributions: NDArray[np.float64], usual: Sequence[float | None]
) -> list[Explanation]:
    """Explanations of features (k, 85) from their contributions (k, 86); of negated ones, what speaks against fraud.

    `usual` is what is usual of each feature at large, None where that is not known.
    """
    margins = contributions.sum(axis=1)
    strongest = np.argsort(-contributions[:, :-1], axis=1, kind="stable")[:, :MAX_REASONS]
    return [
        Explanation(float(row[-1]), float(margin), _reasons(values, row, top.tolist(), usual))
        for values, row, margin, top in zip(features, contributions, margins, strongest, strict=True)
    ]


def _reasons(
    values: NDArray[np.float32], contributions: NDArray[np.float64], strongest: list[int], usual: Sequence[float | None]
) -> list[Reason]:
    return [_reason(i, values, contributions, usual) for i in strongest if contributions[i] >= LEAST_CONTRIBUTION]


def _reason(
    i: int, values: NDArray[np.float32], contributions: NDArray[np.float64], usual: Sequence[float | None]
) -> Reason:
    feature, said = CATALOGUE[i], say(i, values, usual)
    return Reason(
        code=feature.name.upper() if said.value is not None else f"{feature.name.upper()}_UNKNOWN",
        feature=FEATURE_NAMES[i],
        group=feature.group,
        value=said.value,
        usual=said.usual,
        contribution=float(str(np.float32(contributions[i]))),
        sentence=said.sentence,
    )


class Said(NamedTuple):
    """One feature of a payment, in numbers and in words; numbers that are not known are None."""

    value: float | None
    usual: float | None
    sentence: str


def say(i: int, values: NDArray[np.float32], usual: Sequence[float | None]) -> Said:
    """What feature `i` of a payment's `values` (85,) says beside this payer's own usual value, or else `usual`'s."""
    value, at_large = _plain(values[i]), usual[i]
    known = _plain(values[_OWN_USUAL[i]]) if i in _OWN_USUAL else None
    if known is None and at_large is not None:
        known = _plain(np.float32(at_large))
    return Said(value, known, CATALOGUE[i].say(np.nan if value is None else value, known))


def _plain(value: np.float32) -> float | None:
    """The shortest decimal that is this float32, so that 0.1 stays 0.1 in JSON; None for NaN and infinity."""
    return float(str(value)) if math.isfinite(value) else None
