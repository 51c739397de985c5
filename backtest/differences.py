"""What was decided live beside what a replay decides, and why they differ where they do."""

from collections.abc import Collection

import polars as pl

from models.catalogue import CATALOGUE_HASH
from models.engine import REDO

SAME = "same"
UNDECIDED = "no decision is there"
CATALOGUE = "decided by a build with other features"
AGAIN = "decided again after a crash, on a record that held it already"
PAST = "the payer's past was not read"
MODEL = "decided by a model that is not given"
POLICY = "decided by another policy"
FEATURES = "other features"
SCORE = "another score of the same features"
DECISION = "another decision on the same score"
WHAT_TO_DO = {
    UNDECIDED: "not decided yet, or removed from the decisions by retention",
    CATALOGUE: "replay with the build that decided",
    AGAIN: "as it must be with at_least_once",
    PAST: "read from the topic's beginning, or with a longer --warm-up; what retention removed is gone",
    MODEL: "give its bundle with --candidate",
    POLICY: "give the policy of then with --policy",
}
"""Differences that are no fault. All others are."""
FAULTS = (FEATURES, SCORE, DECISION)

FROM_PAYMENTS = ("features_hash", "status")
FROM_MODELS = ("probability", "score", "second_score")
FROM_POLICY = ("flagged", "decided_by", "rule")
COMPARED = (*FROM_PAYMENTS, *FROM_MODELS, *FROM_POLICY)


def reasons(
    live: pl.DataFrame, replayed: pl.DataFrame, models: Collection[str], policies: Collection[str], *, whole: bool
) -> pl.Series:
    """For each payment `SAME`, or the first reason why it is not or was not compared.

    Both have a row a payment and the columns `COMPARED`; `live` is what `backtest.decided.Matching` gives. `models` are
    the sha256 of those that replayed; `whole`: the replay knows the payers from their first payment on.
    """

    def equal(names: tuple[str, ...]) -> pl.Expr:
        return pl.all_horizontal(pl.lit(live[name].eq_missing(replayed[name])) for name in names)

    return live.select(
        pl.when(~pl.col("decided")).then(pl.lit(UNDECIDED))
        .when(pl.col("catalogue_hash") != CATALOGUE_HASH).then(pl.lit(CATALOGUE))
        .when((pl.col("status") & REDO) != 0).then(pl.lit(AGAIN))
        .when(~equal(FROM_PAYMENTS)).then(pl.lit(FEATURES if whole else PAST))
        .when(~pl.col("model").is_in(list(models))).then(pl.lit(MODEL))
        .when(~equal(FROM_MODELS)).then(pl.lit(SCORE))
        .when(equal(FROM_POLICY)).then(pl.lit(SAME))
        .when(~pl.col("policy_version").is_in(list(policies))).then(pl.lit(POLICY))
        .otherwise(pl.lit(DECISION)).alias("reason")
    )["reason"]  # fmt: skip


def as_bytes(decisions: pl.DataFrame) -> bytes:
    """`COMPARED` of decisions as bytes, equal for equal decisions: what is hashed to compare two runs."""
    numbers = decisions.select(FROM_PAYMENTS + FROM_MODELS + FROM_POLICY[:1]).with_columns(
        pl.col("second_score").fill_null(-1)
    )
    texts = decisions.select(pl.col(FROM_POLICY[1:]).fill_null("")).rows()
    return b"".join([*(column.to_numpy().tobytes() for column in numbers), repr(texts).encode()])
