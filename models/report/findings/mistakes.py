"""Errors worth looking at: honest payments that scored highest, and frauds that went by, with the model's reasons."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.explaining import explain_contributions
from models.report.measured import Measured

SHOWN = 8
"""Of each sort."""
REASONS = 3
"""For and against, of each payment."""


@dataclass(frozen=True)
class Mistake:
    """One payment, and what spoke for and against fraud, the strongest first."""

    transaction_id: str
    event_time: int
    rupees: float
    score: int
    kind: str
    """Empty for an honest payment."""
    speaks_for_fraud: tuple[str, ...]
    speaks_against: tuple[str, ...]


def wrong_alerts(measured: Measured) -> list[Mistake]:
    """The honest payments with the highest scores, those with an alert only."""
    rows = np.flatnonzero(measured.flagged & ~measured.is_fraud)
    order = np.argsort(-measured.scores.margin[rows], kind="stable")
    return _mistakes(measured, rows[order[:SHOWN]])


def dearest_misses(measured: Measured) -> list[Mistake]:
    """The frauds of the highest amounts among those without an alert."""
    rows = np.flatnonzero(~measured.flagged & measured.is_fraud)
    return _mistakes(measured, rows[np.argsort(-measured.rupees[rows], kind="stable")[:SHOWN]])


def lowest_misses(measured: Measured) -> list[Mistake]:
    """The frauds with the lowest scores: those that looked most like honest payments."""
    rows = np.flatnonzero(~measured.flagged & measured.is_fraud)
    return _mistakes(measured, rows[np.argsort(measured.scores.margin[rows], kind="stable")[:SHOWN]])


def _mistakes(measured: Measured, rows: NDArray[np.int64]) -> list[Mistake]:
    if not rows.size:
        return []
    features = measured.features[rows]
    contributions = measured.forest.contributions(features)
    speak_for = explain_contributions(features, contributions, measured.manifest.usual)
    against = explain_contributions(features, -contributions, measured.manifest.usual)
    payments = measured.payments[rows]
    return [
        Mistake(
            transaction_id=payments["transaction_id"][i],
            event_time=payments["event_time"][i],
            rupees=float(measured.rupees[row]),
            score=int(measured.scores.score[row]),
            kind=(payments["kind"][i] or "unnamed") if measured.is_fraud[row] else "",
            speaks_for_fraud=tuple(reason.sentence for reason in speak_for[i].reasons[:REASONS]),
            speaks_against=tuple(reason.sentence for reason in against[i].reasons[:REASONS]),
        )
        for i, row in enumerate(rows.tolist())
    ]
