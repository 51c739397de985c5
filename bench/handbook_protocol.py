"""The Fraud Detection Handbook's protocol: 7 days of training, 7 of delay, 7 of test, known cards removed.

Y.-A. Le Borgne et al., "Reproducible machine learning for credit card fraud detection", 2022, chapters 3.4 and 5.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.evaluation import card_precision, roc
from models.history import History

DAYS = 7
"""Of training, of delay, of test."""
DAY_MS = 86_400_000

Rows = NDArray[np.int64]


class Figures(NamedTuple):
    """What the Handbook compares models by."""

    auc: float
    average_precision: float
    card_precision_100: float


@dataclass(frozen=True)
class Window:
    """Rows of a history by a training week that starts at `start`, 00:00 UTC."""

    start: date
    train: Rows
    test: Rows
    """The test week, all of it."""
    counted: Rows
    """That of cards not known to be compromised by frauds of the training week, or of later days once known."""

    @property
    def end(self) -> date:
        """The day after the test week."""
        return self.start + timedelta(days=3 * DAYS)


def window_of(history: History, start: date) -> Window:
    """The window; empty arrays where the history does not reach."""
    days = history.payments["event_time"].to_numpy() // DAY_MS - (start - date(1970, 1, 1)).days
    is_fraud, payers = history.payments["is_fraud"].to_numpy(), history.payments["payer"].to_numpy()
    train = np.flatnonzero((days >= 0) & (days < DAYS))
    known = set(payers[train[is_fraud[train]]])
    counted = []
    for day in range(2 * DAYS, 3 * DAYS):
        known |= set(payers[(days == day - DAYS - 1) & is_fraud])
        today = np.flatnonzero(days == day)
        counted.append(today[[payer not in known for payer in payers[today]]])
    test = np.flatnonzero((days >= 2 * DAYS) & (days < 3 * DAYS))
    return Window(start, train, test, np.concatenate(counted).astype(np.int64))


def figures_of(history: History, window: Window, probability: NDArray[np.floating]) -> Figures:
    """Figures of the test week's probabilities, (n,) as `window.test`."""
    score = probability[np.searchsorted(window.test, window.counted)]
    payments: pl.DataFrame = history.payments[window.counted]
    curve = roc(score, payments["is_fraud"].to_numpy())
    return Figures(curve.auc(), curve.average_precision(), card_precision(score, payments))
