"""What was decided live beside what a replay decides, and why they differ where they do."""

import hashlib
from collections.abc import Collection, Iterable

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
CHALLENGER = "another probability of a challenger, of the same features"
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
FAULTS = (FEATURES, SCORE, CHALLENGER, DECISION)

FROM_PAYMENTS = ("features_hash", "status")
FROM_MODELS = ("probability", "score", "second_score")
FROM_POLICY = ("flagged", "decided_by", "rule")
COMPARED = (*FROM_PAYMENTS, *FROM_MODELS, *FROM_POLICY)
OF_CHALLENGER = "challenger_probability_"
"""Before a challenger's name: a further column of both sides, null where it was none."""


def reasons(
    live: pl.DataFrame, replayed: pl.DataFrame, models: Collection[str], policies: Collection[str], *, whole: bool
) -> pl.Series:
    """For each payment `SAME`, or the first reason why it is not or was not compared.

    Both have a row a payment, the columns `COMPARED` and those of challengers that replayed; `live` is what
    `backtest.decided.Matching` gives. `models` are the sha256 of those that replayed; `whole`: the replay knows the
    payers from their first payment on.
    """
    given = pl.col("model").is_in(list(models))

    def equal(names: Iterable[str]) -> pl.Expr:
        return pl.all_horizontal(pl.lit(True), *(pl.lit(live[name].eq_missing(replayed[name])) for name in names))

    return live.select(
        pl.when(~pl.col("decided")).then(pl.lit(UNDECIDED))
        .when(pl.col("catalogue_hash") != CATALOGUE_HASH).then(pl.lit(CATALOGUE))
        .when((pl.col("status") & REDO) != 0).then(pl.lit(AGAIN))
        .when(~equal(FROM_PAYMENTS)).then(pl.lit(FEATURES if whole else PAST))
        .when(given & ~equal(FROM_MODELS)).then(pl.lit(SCORE))
        .when(~equal(of_challengers(replayed))).then(pl.lit(CHALLENGER))
        .when(~given).then(pl.lit(MODEL))
        .when(equal(FROM_POLICY)).then(pl.lit(SAME))
        .when(~pl.col("policy_version").is_in(list(policies))).then(pl.lit(POLICY))
        .otherwise(pl.lit(DECISION)).alias("reason")
    )["reason"]  # fmt: skip


def of_challengers(decisions: pl.DataFrame) -> list[str]:
    """Names of its columns of challengers."""
    return [name for name in decisions.columns if name.startswith(OF_CHALLENGER)]


class Digest:
    """A sha256 over `COMPARED` and the challengers' probabilities, whatever pieces decisions come in: each column is
    hashed by itself, and then their hashes."""

    def __init__(self) -> None:
        self._columns = {name: hashlib.sha256() for name in COMPARED}

    def update(self, decisions: pl.DataFrame) -> None:
        """Go on with these."""
        for name in (*COMPARED, *of_challengers(decisions)):
            self._columns.setdefault(name, hashlib.sha256()).update(_as_bytes(decisions[name]))

    def hexdigest(self) -> str:
        """Over everything so far."""
        each = (f"{name} {digest.hexdigest()}\n" for name, digest in sorted(self._columns.items()))
        return hashlib.sha256("".join(each).encode()).hexdigest()


def _as_bytes(column: pl.Series) -> bytes:
    if column.dtype == pl.String():
        return "".join(f"{value}\0" for value in column.fill_null("")).encode()
    if column.name == "second_score":
        column = column.fill_null(-1)
    return column.drop_nulls().to_numpy().tobytes()
