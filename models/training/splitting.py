"""Cutting a history by time: for the model, and for the folds on which it is measured before the cutoff.

Each fold stands at a cutoff of its own and knows only what was known by then; its measured payments are those up to the
next fold's cutoff, judged by the verdicts known at T:

    fold 1   start ── train ──┬─ validation ─┐ delay T1 ┌ measured ┐
    fold 2   start ───── train ────┬── validation ──┐ delay T2 ┌ measured ┐
    model    start ──────── train ───────┬─── validation ───┐ delay       T ┌── test ── end
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.engine import DUPLICATE
from models.history import History
from models.training.errors import TrainingError
from models.training.settings import Settings

LEAST_FRAUDS = 10
"""Known frauds that training and validation each need: with fewer nothing can be learned or measured."""
FIRST_FOLD_AT = 0.5
"""Share of the payments before T − label delay that lie before the first fold's cutoff."""

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Rows of a history, as index arrays in order of event time."""

    cutoff: int
    train: Rows
    validation: Rows
    test: Rows
    is_known_fraud: Flags
    """For every payment of the history: a fraud whose verdict was known at the cutoff."""


def split(history: History, settings: Settings) -> Split:
    """Cut a history by time. Raises TrainingError when a part is too small to be of use."""
    _check_usable(history)
    times = history.payments["event_time"].to_numpy()
    last = times.size - 1
    cutoff = settings.cutoff_ms
    if cutoff is None:
        cutoff = int(times[min(last, int(settings.before_cutoff * times.size))])
    start = settings.start_ms if settings.start_ms is not None else int(times[0])
    counted = (history.status & DUPLICATE) == 0
    before = np.flatnonzero(counted & (times >= start) & (times < cutoff - settings.label_delay_ms))
    first_validated = round(before.size * (1 - settings.validation_share))
    train, validation = before[:first_validated], before[first_validated:]
    is_known_fraud = _known_by(history, cutoff)
    for part, rows in (("training", train), ("validation", validation)):
        frauds = int(is_known_fraud[rows].sum())
        if frauds < LEAST_FRAUDS or frauds == rows.size:
            raise TrainingError(
                f"{part} has {rows.size:,} payments with {frauds} frauds known by the cutoff, which is too few",
                hint="take a longer history, a shorter --label-delay, or another --train-to",
            )
    return Split(cutoff, train, validation, np.flatnonzero(counted & (times >= cutoff)), is_known_fraud)


def fold_splits(history: History, settings: Settings, count: int) -> list[Split]:
    """`count` folds of an expanding window, in order of time; `test` are the rows a fold is measured on.

    Raises TrainingError when a fold is too small to be of use.
    """
    whole = split(history, settings)
    times = history.payments["event_time"].to_numpy()
    past = np.concatenate([whole.train, whole.validation])
    edges = np.linspace(FIRST_FOLD_AT, 1, count + 1) * past.size
    cutoffs = [int(times[past[min(past.size - 1, round(edge))]]) for edge in edges]
    folds = []
    for number, (cutoff, end) in enumerate(pairwise(cutoffs), start=1):
        try:
            fold = split(history, replace(settings, cutoff_ms=cutoff))
        except TrainingError as error:
            raise TrainingError(
                f"fold {number} of {count}: {error}", hint="take fewer --folds, or a longer history"
            ) from None
        measured = past[(times[past] >= cutoff) & (times[past] < end)]
        frauds = int(whole.is_known_fraud[measured].sum())
        if frauds == 0 or frauds == measured.size:
            raise TrainingError(
                f"fold {number} of {count} has {measured.size:,} payments to measure with {frauds} known frauds",
                hint="take fewer --folds, or a longer history",
            )
        folds.append(replace(fold, test=measured))
    return folds


def _check_usable(history: History) -> None:
    if "is_fraud" not in history.payments.columns:
        raise TrainingError("the history has no labels", hint="give a directory with labels.parquet")
    if not len(history):
        raise TrainingError("the history holds no payments", hint="check --data, and --to")


def _known_by(history: History, cutoff: int) -> Flags:
    known_at = history.payments["known_at"].fill_null(np.iinfo(np.int64).max).to_numpy()
    known: Flags = history.payments["is_fraud"].to_numpy() & (known_at <= cutoff)
    return known
