"""What grown trees are worth: calibrated, banded and given a threshold on validation, measured on what came later."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import calibration
from models.bundle import BAND_NAMES, Band, Window
from models.calibration import Calibration
from models.evaluation import Evaluation, evaluate
from models.history import History
from models.scoring import Scores, band_starts, scores_of
from models.training.budget import Budget, Judged, alert_score, days_of, implied, score_at
from models.training.matrix import Rows, margins_of
from models.training.splitting import Flags, Split
from models.training.verdicts import verdicts_due

if TYPE_CHECKING:
    from xgboost import Booster

BAND_FALSE_POSITIVE_RATES = (0.013, 0.005, 0.001)
"""Where elevated, high and critical begin: shares of honest payments."""

Bands = tuple[Band, Band, Band, Band]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Trees with everything that validation and test say of them."""

    booster: "Booster" = field(repr=False)
    calibration: Calibration
    bands: Bands
    alert_score: int
    alert_false_positive_rate: float
    """On validation."""
    implied: dict[str, float]
    """What the alert score means on validation."""
    validated: NDArray[np.int16] = field(repr=False)
    """Scores of the validation payments."""
    validation_loss: float
    """Calibrated log-loss."""
    rows: Rows
    """The measured payments."""
    scores: Scores
    """Of the measured payments."""
    evaluation: Evaluation


def judge(booster: "Booster", history: History, parts: Split, budget: Budget) -> Judgement:
    """Calibrate on validation, choose bands and alert score there, and measure on the test window.

    Validation payments are judged by what was known at the cutoff, test payments by all that is known by now. Without
    a test window, validation is what is measured.
    """
    margins = margins_of(booster, history.features, parts.validation)
    is_fraud = parts.is_known_fraud[parts.validation]
    calibrated = calibration.fit(margins, verdicts_due(history, parts)[parts.validation])
    log_odds = calibrated.log_odds(margins)
    validated = _judged(history, parts.validation, calibration.score_of(log_odds), is_fraud)
    bands = bands_of(validated.score, is_fraud)
    alert_from = alert_score(budget, validated)
    rows = parts.test if parts.test.size else parts.validation
    scores = scores_of(margins_of(booster, history.features, rows), calibrated, band_starts(bands))
    payments = history.take(rows)
    if not parts.test.size:
        payments = payments.with_columns(is_fraud=pl.Series(is_fraud))
    return Judgement(
        booster=booster,
        calibration=calibrated,
        bands=bands,
        alert_score=alert_from,
        alert_false_positive_rate=float(np.mean(validated.score[~is_fraud] >= alert_from)),
        implied=implied(validated, alert_from, budget),
        validated=validated.score,
        validation_loss=float(np.mean(np.logaddexp(0.0, np.where(is_fraud, -log_odds, log_odds)))),
        rows=rows,
        scores=scores,
        evaluation=evaluate(scores, payments, alert_from),
    )


def median_of(judgements: list[Judgement]) -> Judgement:
    """The one with the median validation loss: what the settings usually give, neither lucky nor unlucky."""
    return sorted(judgements, key=lambda each: each.validation_loss)[(len(judgements) - 1) // 2]


def bands_of(score: NDArray[np.int16], is_fraud: Flags) -> Bands:
    """Bands by the false-positive rates where they begin."""
    honest, frauds = score[~is_fraud], score[is_fraud]
    starts = [0, *(score_at(honest, rate) for rate in BAND_FALSE_POSITIVE_RATES)]
    low, elevated, high, critical = (
        Band(
            name=name,
            from_score=start,
            false_positive_rate=float(np.mean(honest >= start)),
            recall=float(np.mean(frauds >= start)),
        )
        for name, start in zip(BAND_NAMES, starts, strict=True)
    )
    return low, elevated, high, critical


def window_of(history: History, rows: Rows, is_fraud: Flags) -> Window:
    """From when to when these payments go, how many, and how many of them are frauds by `is_fraud` of the history."""
    times = history.payments["event_time"].to_numpy()
    return Window(
        start=int(times[rows[0]]), end=int(times[rows[-1]]) + 1, payments=rows.size, frauds=int(is_fraud[rows].sum())
    )


def _judged(history: History, rows: Rows, score: NDArray[np.int16], is_fraud: Flags) -> Judged:
    payments = history.payments.select("event_time", "amount")[rows]
    days = days_of(payments["event_time"].to_numpy())
    return Judged(score, is_fraud, payments["amount"].to_numpy() / 100, days)
