"""A beeswarm of contributions: a row a feature, a dot a payment, its colour the feature's value.

Dots of about the same contribution are stacked outwards from the row's middle, so that a row is as thick as it is
crowded. The stacks are laid out here: nothing is random.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.catalogue import position
from models.report.drawing import MUTED, picture
from models.report.findings.importance import Sample, by_feature
from models.report.page import Picture

SHOWN = 20
"""Features."""
STEPS = 120
"""Columns into which a row is divided to stack its dots."""
THICKNESS = 0.42
"""How far a row's thickest stack reaches from its middle; rows are 1 apart."""
UNKNOWN = "#a9b4c2"


def beeswarm(sample: Sample) -> Picture:
    """The `SHOWN` weightiest features, the weightiest on top."""
    names = [importance.name for importance in by_feature(sample)[:SHOWN]]

    def draw(axes: Any) -> None:
        for row, name in enumerate(names):
            i = position(name)
            x, value = sample.contributions[:, i], sample.features[:, i]
            rank = _ranks(value)
            unknown = np.isnan(rank)
            y = row + _stacked(x)
            axes.scatter(x[unknown], y[unknown], s=5, c=UNKNOWN, linewidths=0)
            dots = axes.scatter(
                x[~unknown], y[~unknown], s=5, c=rank[~unknown], cmap="coolwarm", vmin=0, vmax=1, linewidths=0
            )
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel("contribution, log-odds: to the right it speaks for fraud")
        bar = axes.figure.colorbar(dots, ax=axes, ticks=[0, 1], aspect=40, pad=0.01, shrink=0.8)
        bar.ax.set_yticklabels(["low", "high"])
        bar.outline.set_visible(False)
        bar.set_label("the feature's value (grey: not known)", labelpad=-12)

    shows = (
        f"A row for each of the {len(names)} weightiest features, from {names[0].replace('_', ' ')} down; a dot is a"
        " payment, placed by the feature's contribution to its score and coloured by the feature's value."
    )
    return picture("beeswarm.png", shows, draw, width=9, height=0.36 * len(names) + 0.9)


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Values as 0 to 1 by rank, equal ones alike, so that one far-off value does not make all others look the same."""
    ranks = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    distinct, index = np.unique(values[known], return_inverse=True)
    below = np.searchsorted(np.sort(values[known]), distinct, side="left")
    above = np.searchsorted(np.sort(values[known]), distinct, side="right")
    middle = (below + above) / 2
    spread = np.ptp(middle) if middle.size else 0.0
    ranks[known] = (middle[index] - middle.min()) / spread if spread else 0.5
    return ranks


def _stacked(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets from the row's middle: within a column the dots go to alternating sides, ever farther out."""
    spread = np.ptp(x) if x.size else 0.0
    column = ((x - x.min()) / spread * (STEPS - 1)).astype(np.int64) if spread else np.zeros(x.size, np.int64)
    order = np.argsort(column, kind="stable")
    starts = np.searchsorted(column[order], np.arange(STEPS))
    nth = np.empty(x.size, dtype=np.int64)
    nth[order] = np.arange(x.size) - starts[column[order]]
    offset = np.where(nth % 2, 1, -1) * ((nth + 1) // 2)
    furthest = max(1, int(np.abs(offset).max())) if x.size else 1
    return THICKNESS * offset / max(furthest, 25)
