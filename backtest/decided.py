"""What was decided live about a partition's payments, in the order of the payments' offsets."""

from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.engine import RISK
from models.policy import ENTITIES, LISTS
from schemas.decision import decode_decisions
from schemas.errors import DecodeError
from schemas.lake import LAYOUTS
from stream.scan import Scan
from stream.settings import KafkaSettings

RISKS = tuple(f"risk_{name}" for name in RISK.names or ())
DECIDED: dict[str, pl.DataType] = {
    "offset": pl.Int64(),
    "transaction_id": pl.String(),
    "features_hash": pl.UInt64(),
    "probability": pl.Float32(),
    "score": pl.Int16(),
    "second_score": pl.Int16(),
    "flagged": pl.Boolean(),
    "decided_by": pl.String(),
    "rule": pl.String(),
    "status": pl.UInt8(),
    **dict.fromkeys(RISKS, pl.Float32()),
    "model": pl.String(),  # sha256 of the bundle
    "policy_version": pl.String(),
    "catalogue_hash": pl.String(),
    "challengers": LAYOUTS["decisions"].columns["challengers"],  # name and sha256 of those in shadow
    "challenger_probabilities": pl.List(pl.Float32()),  # theirs, in the same order
}
"""What a verification looks at. A payment that was decided again comes again."""

Frames = Callable[[int], Iterator[pl.DataFrame]]
"""Frames of `DECIDED` of a source partition's payments."""


def decided_on_topic(kafka: KafkaSettings, topic: str, source: str) -> Frames:
    """Decisions about the payments of the topic `source`, which lie on the partition of the same number."""

    def frames(partition: int) -> Iterator[pl.DataFrame]:
        with Scan(kafka, topic, partitions=(partition,)) as scan:
            for message in scan:
                try:
                    meta, rows = decode_decisions(message.value() or b"")
                except DecodeError:
                    continue  # its payments come out as undecided
                if meta.topic == source and meta.partition == partition:
                    yield conformed(
                        rows.with_columns(
                            model=pl.lit(meta.model.sha256),
                            policy_version=pl.lit(meta.policy_version),
                            catalogue_hash=pl.lit(meta.catalogue_hash),
                            challengers=pl.lit(msgspec.to_builtins(meta.challengers), DECIDED["challengers"]),
                            challenger_probabilities=challenger_probabilities(rows),
                        )
                    )

    return frames


def conformed(rows: pl.DataFrame, names: Iterable[str] = tuple(DECIDED)) -> pl.DataFrame:
    """With these columns of `DECIDED`; those that are not there are null."""
    return rows.select(
        pl.col(name).cast(DECIDED[name]) if name in rows.columns else pl.lit(None, dtype=DECIDED[name]).alias(name)
        for name in names
    )


def challenger_probabilities(rows: pl.DataFrame) -> pl.Expr:
    """Of each decision a list: the columns challenger_0 … in their order."""
    names = [name for k in range(rows.width) if (name := f"challenger_{k}") in rows.columns]
    return pl.concat_list(names) if names else pl.lit(None, DECIDED["challenger_probabilities"])


def in_shadow(decided: pl.DataFrame, sha256: str) -> pl.DataFrame:
    """For each decision (n,) whether this model was a challenger, `there`, and the `probability` that it gave; where it
    was so twice, its first."""
    mine = (pl.element().struct.field("sha256") == sha256).arg_true()
    place = pl.col("challengers").list.eval(mine).list.first()
    return decided.select(
        there=place.is_not_null(),
        probability=pl.col("challenger_probabilities").list.get(place, null_on_oob=True),
    )


def challengers_but(decided: pl.DataFrame, given: Collection[str]) -> dict[str, int]:
    """Of how many decisions other models than these (sha256) were challengers, by name and sha256."""
    each = decided["challengers"].list.unique().explode().drop_nulls().struct.unnest()
    others = each.filter(~pl.col("sha256").is_in(list(given))).group_by(pl.all()).len()
    return {f"{name} {sha256}": count for name, sha256, count in others.iter_rows()}


def risk_of(decided: pl.DataFrame) -> NDArray[np.void]:
    """(n,) of RISK as it was recorded; NaN for what was not known, or not recorded."""
    risk = np.empty(decided.height, dtype=RISK)
    for name in RISK.names or ():
        risk[name] = decided[f"risk_{name}"].fill_null(np.nan).to_numpy()
    return risk


def hits_of(decided: pl.DataFrame) -> NDArray[np.uint8]:
    """(n, 4) list bits that follow from what was decided: of each payment the entry that had the last word."""
    hits = np.zeros((decided.height, len(ENTITIES)), dtype=np.uint8)
    rules = decided["rule"].to_numpy()
    by_list = (decided["decided_by"] == "list").fill_null(False).to_numpy()
    for bit, name in LISTS:
        for column, entity in enumerate(ENTITIES):
            hits[by_list & (rules == f"{name}:{entity}"), column] = bit
    return hits


class Matching:
    """Decisions of a partition, asked for in order of offsets; repeats are counted and left out."""

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._frames = frames
        self._held = pl.DataFrame(schema=DECIDED)
        self._reached = -1
        self.repeats = 0
        """Decisions about payments that were decided before."""
        self.without_payment = 0
        """Decisions whose payment was not there."""

    def of(self, offsets: NDArray[np.int64]) -> pl.DataFrame:
        """Decisions (n,) about the payments at these offsets, nulls where there is none; their column `decided`
        tells."""
        while self._reached < offsets[-1] and (frame := next(self._frames, None)) is not None:
            furthest = pl.col("offset").cum_max().shift(fill_value=self._reached).clip(self._reached)
            fresh = frame.filter(pl.col("offset") > furthest)  # a frame of a lake holds many records
            self.repeats += frame.height - fresh.height
            if fresh.height:
                self._held = pl.concat([self._held, fresh])
                self._reached = int(fresh["offset"][-1])
        asked = pl.DataFrame({"offset": offsets})
        found = asked.join(
            self._held.with_columns(decided=pl.lit(True)), on="offset", how="left", maintain_order="left"
        ).with_columns(pl.col("decided").fill_null(False))
        past = self._held.filter(pl.col("offset") <= offsets[-1])
        self.without_payment += past.height - int(found["decided"].sum())
        self._held = self._held.filter(pl.col("offset") > offsets[-1])
        return found

    def left(self) -> int:
        """How many decisions there are about payments after the last that was asked for."""
        return self._held.height + sum(frame.height for frame in self._frames)
