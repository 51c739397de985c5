"""Millions of judged payments become small tables: how many had which score, and the few rows of frauds and alerts.

Every table is one streamed pass over the columns it needs. What a list or a rule decided stands whatever a model says:
`ALWAYS` flagged, or `NEVER` for what an allow list let pass. All other payments are `FREE`: flagged by any threshold up
to their `reach`, which is the score, or the second opinion's, as far above or below its own threshold, whichever is
higher. So both thresholds move together, by the same number of points: were the second opinion's alerts to stay, no
threshold of the model could make room for fewer than those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.result import Judge
from models.calibration import MAX_SCORE
from models.engine import DUPLICATE, REDO
from models.report.findings.groups import AMOUNTS

NEVER, FREE, ALWAYS = range(3)
DAY_MS = 86_400_000
UNIT = 2**36
"""Steps of 1 in which shares are added up: exact to 1e-11, and room for 100 million of them."""

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Totals:
    """Payments that figures are divided by."""

    payments: int
    frauds: int
    rupees: float
    """Of the frauds."""
    days: float


@dataclass(frozen=True)
class Rows:
    """The k frauds and alerts of a window: all that figures other than counts of payments are made from."""

    frame: pl.DataFrame

    @cached_property
    def is_fraud(self) -> Flags:
        return self.frame["is_fraud"].to_numpy()

    @cached_property
    def rupees(self) -> NDArray[np.float64]:
        return self.frame["amount"].to_numpy() / 100

    def flagged(self, judge: Judge, threshold: int | None = None) -> Flags:
        """What the judge flagged, (k,), or would from another threshold, no lower than the one they were read for."""
        if threshold is None:
            return self.frame[judge.column("flagged")].to_numpy()
        state, reach = self.frame[_state(judge)].to_numpy(), self.frame[_reach(judge)].to_numpy()
        flags: Flags = (state == ALWAYS) | ((state == FREE) & (reach >= threshold))
        return flags


def judged(scores: pl.LazyFrame, judges: Sequence[Judge]) -> pl.LazyFrame:
    """Every payment once, `row` being its place in `scores`; one without a verdict is honest. Adds state and reach."""
    return (
        scores.with_row_index("row")
        .filter((pl.col("status") & (DUPLICATE | REDO)) == 0)
        .with_columns(
            pl.col("is_fraud").fill_null(False),
            *(_state_of(judge).alias(_state(judge)) for judge in judges),
            *(_reach_of(judge).alias(_reach(judge)) for judge in judges),
        )
        .with_columns(
            kind=pl.when("is_fraud").then(pl.col("kind").fill_null("").replace("", "unnamed")).otherwise(pl.lit(""))
        )
    )


def in_place(payments: pl.LazyFrame, time_zone: str) -> pl.LazyFrame:
    """Adds day, hour and amount band of each payment."""
    local = pl.from_epoch("event_time", "ms").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    band = pl.sum_horizontal((pl.col("amount") >= 100 * rupees).cast(pl.Int8) for rupees in AMOUNTS[1:])
    return payments.with_columns(day=local.dt.date(), hour=local.dt.hour(), band=band)


def histogram(payments: pl.LazyFrame, judge: Judge) -> pl.DataFrame:
    """For each score, reach, outcome and state: payments, paise, sums of probabilities and of their squared errors."""
    probability = pl.col(judge.column("probability")).cast(pl.Float64)
    return (
        payments.group_by(
            "is_fraud",
            score=pl.col(judge.column("score")).cast(pl.Int64),
            reach=pl.col(_reach(judge)).cast(pl.Int64),
            state=pl.col(_state(judge)),
        )
        .agg(
            payments=pl.len().cast(pl.Int64),
            amount=pl.col("amount").sum(),
            predicted=_exact_sum(probability),
            squared=_exact_sum((probability - pl.col("is_fraud").cast(pl.Float64)) ** 2),
        )
        .sort("score", "reach", "is_fraud", "state")
        .collect(engine="streaming")
    )


def frauds_and_alerts(payments: pl.LazyFrame, lowest: Mapping[Judge, int]) -> Rows:
    """The rows that are fraud, or flagged by a judge at its own threshold or from `lowest`."""
    wanted = pl.col("is_fraud")
    columns = ["row", "transaction_id", "event_time", "amount", "payer", "is_fraud", "kind", "known_at"]
    for judge, threshold in lowest.items():
        state, reach = pl.col(_state(judge)), pl.col(_reach(judge))
        wanted |= pl.col(judge.column("flagged")) | (state == ALWAYS) | ((state == FREE) & (reach >= threshold))
        columns += [
            _state(judge),
            _reach(judge),
            *map(judge.column, ("score", "flagged", "decided_by", "rule", "second_score")),
        ]
    return Rows(payments.filter(wanted).select(*columns, "day", "hour", "band").collect(engine="streaming"))


def counted(payments: pl.LazyFrame, settled_until: int) -> pl.DataFrame:
    """Payments by day, hour, amount band, and whether their verdicts are `settled`."""
    return (
        payments.group_by("day", "hour", "band", settled=pl.col("event_time") <= settled_until)
        .agg(payments=pl.len().cast(pl.Int64))
        .collect(engine="streaming")
    )


def pairs(payments: pl.LazyFrame, one: Judge, other: Judge) -> pl.DataFrame:
    """How many payments have each pair of scores."""
    scores = payments.select(one=one.column("score"), other=other.column("score"))
    return scores.group_by("one", "other").agg(payments=pl.len()).sort("one", "other").collect(engine="streaming")


def _exact_sum(share: pl.Expr) -> pl.Expr:
    """The sum of numbers between 0 and 1, the same in whatever order threads add them."""
    return (share * UNIT).round().cast(pl.Int64).sum() / UNIT


def _state(judge: Judge) -> str:
    return f"state:{judge.name}"


def _reach(judge: Judge) -> str:
    return f"reach:{judge.name}"


def _state_of(judge: Judge) -> pl.Expr:
    free = pl.col(judge.column("decided_by")).cast(pl.String).is_in(["model", "second_opinion"])
    return pl.when(free).then(FREE).when(judge.column("flagged")).then(ALWAYS).otherwise(NEVER).cast(pl.UInt8)


def _reach_of(judge: Judge) -> pl.Expr:
    score = pl.col(judge.column("score"))
    if judge.second_threshold is None:
        return score
    second = pl.col(judge.column("second_score")) + (judge.threshold - judge.second_threshold)
    return pl.max_horizontal(score, second.clip(0, MAX_SCORE)).cast(pl.Int16)
