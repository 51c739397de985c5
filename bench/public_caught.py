"""Which frauds of the public data could be known, and which of them are caught."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.quality import FALSE_POSITIVE_RATE

DAY_MS = 86_400_000
COMPROMISED_DAYS = 28
"""For so long the data's thieves use a terminal; an older verdict is of an earlier time."""
TERMINAL = "compromised_terminal"
TOLD, UNTOLD = "verdict on the terminal known", "none known yet"


def caught(scored: pl.DataFrame, start: int, end: int) -> dict[str, dict[str, Any]]:
    """By kind, those on terminals by whether a verdict was known: frauds from `start` to `end` (epoch ms), and the
    share of them caught where `FALSE_POSITIVE_RATE` of the honest payments of that time are flagged too.

    `scored` has event_time, payee, probability, is_fraud, kind, known_at; its earlier frauds are the verdicts.
    """
    window = scored.filter(pl.col("event_time").is_between(start, end, closed="left")).sort("event_time")
    frauds = window.filter("is_fraud").with_columns(
        caught=pl.col("probability") > _threshold(window.filter(~pl.col("is_fraud"))["probability"].to_numpy())
    )
    told = "is_fraud", pl.col("kind") == TERMINAL, pl.col("known_at").is_not_null()
    verdicts = scored.filter(*told).select("payee", told_at="known_at", of="event_time").sort("told_at")
    frauds = frauds.join_asof(
        verdicts, left_on="event_time", right_on="told_at", by="payee", strategy="backward", check_sortedness=False
    )
    recent = (pl.col("event_time") - pl.col("of") <= COMPROMISED_DAYS * DAY_MS).fill_null(False)
    ending = pl.when(pl.col("kind") == TERMINAL).then(pl.when(recent).then(pl.lit(TOLD)).otherwise(pl.lit(UNTOLD)))
    kinds = frauds.with_columns(kind=pl.concat_str("kind", ending, separator=", ", ignore_nulls=True))
    found = kinds.group_by("kind").agg(frauds=pl.len(), recall=pl.col("caught").mean()).sort("kind")
    return {kind: {"frauds": count, "recall": round(recall, 4)} for kind, count, recall in found.iter_rows()}


def _threshold(honest: NDArray[np.float32]) -> float:
    """The lowest probability that no more than `FALSE_POSITIVE_RATE` of the honest ones lie above."""
    return float(np.sort(honest)[::-1][int(FALSE_POSITIVE_RATE * honest.size)])
