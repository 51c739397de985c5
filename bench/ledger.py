"""The books: what was sent against what was decided and what was set aside, position by position.

Pure functions over data frames. A position is partition and offset on the source topic. A good payment must be
decided exactly once, under its own id, and never be set aside; a damaged record the other way round, its bytes kept.
"""

from dataclasses import dataclass

import polars as pl

GOOD = "good"
"""The kind of a record that was not damaged."""

SENT = {"partition": pl.Int32, "offset": pl.Int64, "kind": pl.String, "transaction_id": pl.String, "digest": pl.UInt64}
"""`transaction_id` of good payments, `digest` of key and value of damaged ones; null otherwise."""
DECIDED = {"partition": pl.Int32, "offset": pl.Int64, "transaction_id": pl.String}
SET_ASIDE = {
    "partition": pl.Int32,
    "offset": pl.Int64,
    "code": pl.String,
    "headers_right": pl.Boolean,
    "digest": pl.UInt64,
}
_AT = ("partition", "offset")


@dataclass(frozen=True)
class Books:
    """One row per kind of record in `kinds`; what cannot be assigned to any record sent in the two counts."""

    kinds: pl.DataFrame
    """kind, sent, decided, set_aside, lost, repeated, misplaced, changed, wrong_headers, codes."""
    strange_decisions: int
    """Decisions about positions where nothing was sent."""
    strange_letters: int
    """Dead letters about such positions."""

    @property
    def problems(self) -> list[str]:
        """Everything that does not add up, in words; empty when all is well."""
        faults = ("lost", "repeated", "misplaced", "changed", "wrong_headers")
        totals = [(fault.replace("_", " "), int(self.kinds[fault].sum())) for fault in faults]
        strange = [
            ("decisions about nothing that was sent", self.strange_decisions),
            ("dead letters about nothing that was sent", self.strange_letters),
        ]
        return [f"{count:,} {fault}" for fault, count in totals + strange if count]


def reconcile(sent: pl.DataFrame, decided: pl.DataFrame, set_aside: pl.DataFrame) -> Books:
    """Compare frames of the schemas above.

    lost: neither decided nor set aside. repeated: more than one decision or letter. misplaced: a good payment set
    aside, or a damaged record decided. changed: decided under another id, or other bytes in the letter.
    """
    decisions = decided.group_by(_AT).agg(decisions=pl.len(), decided_id=pl.col("transaction_id").first())
    letters = set_aside.group_by(_AT).agg(
        letters=pl.len(),
        code=pl.col("code").first(),
        headers_right=pl.col("headers_right").all(),
        kept=pl.col("digest").first(),
    )
    rows = sent.join(decisions, on=_AT, how="left").join(letters, on=_AT, how="left")
    rows = rows.with_columns(pl.col("decisions", "letters").fill_null(0), good=pl.col("kind") == GOOD)
    id_differs = pl.col("decided_id").ne_missing(pl.col("transaction_id"))
    bytes_differ = pl.col("kept").ne_missing(pl.col("digest"))
    changed = (pl.col("good") & (pl.col("decisions") > 0) & id_differs) | (
        ~pl.col("good") & (pl.col("letters") > 0) & bytes_differ
    )
    kinds = (
        rows.group_by("kind")
        .agg(
            sent=pl.len(),
            decided=(pl.col("decisions") > 0).sum(),
            set_aside=(pl.col("letters") > 0).sum(),
            lost=(pl.col("decisions") + pl.col("letters") == 0).sum(),
            repeated=((pl.col("decisions") > 1) | (pl.col("letters") > 1)).sum(),
            misplaced=pl.when("good").then(pl.col("letters") > 0).otherwise(pl.col("decisions") > 0).sum(),
            changed=changed.sum(),
            wrong_headers=((pl.col("letters") > 0) & ~pl.col("headers_right")).sum(),
            codes=pl.col("code").drop_nulls().unique().sort().str.join(", "),
        )
        .sort(pl.col("kind") != GOOD, "kind")
    )
    return Books(
        kinds,
        decisions.join(sent, on=_AT, how="anti").height,
        letters.join(sent, on=_AT, how="anti").height,
    )
