"""The second opinion: how unlike any honest payment a payment is. It speaks for attacks never seen in training.

The model knows the frauds that it was shown. Beside it a second forest, learned without a single verdict
(`models.contrast`), tells honest payments from payments that are not to be seen among them; it passes through the same
compiled trees (`models.forest`), and its contributions are SHAP's as well.

Its score is a ruler on rarity, whatever the forest: 250 points are ten times as rare among honest payments.

    score = 250 * -log10(share of honest payments with this margin or more)

250 is one honest payment in ten, 500 one in 100, 750 one in 1,000, 1000 one in 10,000. `SecondOpinion.ruler` holds the
margins at every 50 points, measured on validation; between them the score is linear in the margin.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from schemas.types import Score

POINTS_PER_TENFOLD = 250
STEP = 50
MARKS = np.arange(0, 1001, STEP)
"""Scores whose margins the ruler holds."""
LEAST_ABOVE = 5
"""Honest payments that a margin of the ruler has to be measured by; rarer ones follow from the last two measured."""

Share = Annotated[float, Meta(ge=0, le=1)]


class SecondOpinion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle's manifest says of its second opinion. The shares were measured on honest validation payments."""

    trees: Annotated[int, Meta(ge=1)]
    ruler: tuple[float, ...]
    """Margins at the scores 0, 50, … 1000; none below the one before."""
    alert_score: Score
    """Score from which it flags, where the policy says nothing else."""
    false_positive_rate: Share
    """Share of honest payments that it flags and the model does not, at the model's own alert score."""
    added_recall: Share | None = None
    """Share of the test frauds that it flags and the model does not; None: there was no test, or no fraud in it."""
    added_false_positive_rate: Share | None = None
    """The same of the honest test payments."""
    parameters: dict[str, str | int | float | bool]
    """What it was learned with."""

    def __post_init__(self) -> None:
        if len(self.ruler) != MARKS.size:
            raise ValueError(f"the second opinion's ruler has not {MARKS.size} margins")
        if list(self.ruler) != sorted(self.ruler):
            raise ValueError("the second opinion's ruler is not in order")


def ruler_of(honest: NDArray[np.floating]) -> tuple[float, ...]:
    """The ruler by margins (n,) of honest payments that the forest was not learned from.

    Raises ValueError for fewer than 100, by which nothing rare can be measured.
    """
    if honest.size < 100:
        raise ValueError("a ruler needs 100 honest payments")
    shares = 10.0 ** (-MARKS / POINTS_PER_TENFOLD)
    ranked = np.sort(np.asarray(honest, dtype=np.float64))[::-1]
    margins = ranked[np.clip(np.ceil(shares * ranked.size).astype(np.int64) - 1, 0, ranked.size - 1)]
    last = int(np.flatnonzero(shares * ranked.size >= LEAST_ABOVE)[-1])
    slope = max((margins[last] - margins[last - 4]) / 4, 1e-3)  # over a tenth of the share: less by chance
    margins[last + 1 :] = margins[last] + slope * np.arange(1, MARKS.size - last)
    return tuple(float(margin) for margin in margins)


def score_of(margin: NDArray[np.floating], ruler: Sequence[float]) -> NDArray[np.int16]:
    """Scores (n,), 0 to 1000, of margins (n,); increasing. Between two marks of one margin the higher counts."""
    marks = np.asarray(ruler, dtype=np.float64)
    below = np.clip(np.searchsorted(marks, margin, side="right") - 1, 0, marks.size - 2)
    width = marks[below + 1] - marks[below]
    part = np.divide(margin - marks[below], width, out=np.ones(margin.size), where=width > 0)
    return np.floor(STEP * (below + np.clip(part, 0, 1))).astype(np.int16)
