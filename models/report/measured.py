"""What a report is made from: the payments a model was measured on, their outcomes, and what it said of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.bundle import Manifest, Window
from models.engine import DUPLICATE
from models.forest import Forest, Matrix
from models.history import History
from models.scoring import Scores, band_starts, scores_of
from schemas.errors import FraudStreamError

DAY_MS = 86_400_000

Flags = NDArray[np.bool_]


class Model(Protocol):
    """Trees with their manifest: what training returns, or a bundle."""

    @property
    def manifest(self) -> Manifest: ...
    @property
    def model(self) -> bytes: ...


class ReportError(FraudStreamError):
    """A report that cannot be made."""


@dataclass(frozen=True)
class Measured:
    """A model and n payments that it never learned from, in order of event time."""

    manifest: Manifest
    forest: Forest
    features: Matrix
    """(n, 85)"""
    payments: pl.DataFrame
    """transaction_id, event_time, amount (paise), is_fraud, kind."""
    scores: Scores

    def __len__(self) -> int:
        return self.payments.height

    @property
    def window(self) -> Window:
        """The window these payments are of: the test's, or validation's where there was no test."""
        return self.manifest.test or self.manifest.validation

    @cached_property
    def is_fraud(self) -> Flags:
        return self.payments["is_fraud"].to_numpy()

    @cached_property
    def rupees(self) -> NDArray[np.float64]:
        return self.payments["amount"].to_numpy() / 100

    @cached_property
    def times(self) -> NDArray[np.int64]:
        return self.payments["event_time"].to_numpy()

    @cached_property
    def flagged(self) -> Flags:
        """Payments at or above the model's alert score."""
        return self.scores.score >= self.manifest.alert_score

    @property
    def days(self) -> float:
        """Length of the window, at least a day: what `alerts_per_day` of the metrics is counted by."""
        return max(1.0, float(np.ptp(self.times)) / DAY_MS) if len(self) else 1.0

    @property
    def has_both(self) -> bool:
        """There are frauds and honest payments: without, no ranking or calibration can be judged."""
        return bool(self.is_fraud.any() and not self.is_fraud.all())

    def flagged_at(self, false_positive_rate: float) -> Flags:
        """Payments above the lowest threshold that no more than this share of the honest ones passes."""
        margin, honest = self.scores.margin, np.sort(self.scores.margin[~self.is_fraud])
        allowed = int(false_positive_rate * honest.size + 1e-9)
        if allowed >= honest.size:
            return np.ones(margin.size, dtype=np.bool_)
        return margin > honest[honest.size - 1 - allowed]


def measure(history: History, trained: Model) -> Measured:
    """Score again what the model was measured on. Raises ReportError when the history is another one."""
    import xgboost

    manifest = trained.manifest
    window = manifest.test or manifest.validation
    times = history.payments["event_time"].to_numpy()
    counted = (history.status & DUPLICATE) == 0
    rows = np.flatnonzero(counted & (times >= window.start) & (times < window.end))
    payments = _outcomes(history.take(rows), manifest)
    if rows.size != window.payments or payments["is_fraud"].sum() != window.frauds:
        raise ReportError(
            f"the history has {rows.size:,} payments in the window where the model was measured on"
            f" {window.payments:,}, or other verdicts",
            hint="give the history that the model was trained on, all of it",
        )
    booster = xgboost.Booster()
    booster.load_model(bytearray(trained.model))
    forest = Forest.of(booster)
    features = _rows(history.features, rows)
    scores = scores_of(forest.margin(features), manifest.calibration, band_starts(manifest.bands))
    return Measured(manifest, forest, features, payments, scores)


def _outcomes(payments: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """Test payments are judged by all that is known by now, validation by what was known at the cutoff."""
    if "is_fraud" not in payments.columns:
        raise ReportError("the history has no labels", hint="give a directory with labels.parquet")
    if manifest.test:
        return payments
    known = pl.col("is_fraud") & (pl.col("known_at") <= manifest.cutoff).fill_null(False)
    return payments.with_columns(is_fraud=known)


def _rows(features: Matrix, rows: NDArray[np.int64]) -> Matrix:
    """Rows in ascending order; a view where they follow each other without a gap."""
    if rows.size and rows[-1] - rows[0] + 1 == rows.size:
        return features[rows[0] : rows[-1] + 1]
    return features[rows]
