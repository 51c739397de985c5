"""Records of decisions, for tests of those who read them."""

import polars as pl

from schemas.alert import ModelRef
from schemas.decision import COLUMNS, DecisionMeta, encode_decisions


def decisions(partition: int, first: int, count: int, time: int, **extra: float) -> bytes:
    """One record's value: a row for each of `count` source offsets, all of one event time."""
    filler = {pl.String(): "x", pl.Boolean(): True}
    rows = pl.DataFrame(
        {name: pl.Series([filler.get(kind, 1)] * count, dtype=kind) for name, kind in COLUMNS.items()}
    ).with_columns(
        offset=pl.int_range(first, first + count, dtype=pl.Int64),
        event_time=pl.lit(time, dtype=pl.Int64),
        **{name: pl.lit(value, dtype=pl.Float32) for name, value in extra.items()},
    )
    meta = DecisionMeta(
        topic="transactions",
        partition=partition,
        first_offset=first,
        last_offset=first + count - 1,
        decided_at=time + 5,
        model=ModelRef(name="champion", sha256="0" * 64),
        challengers=[ModelRef(name="other", sha256="1" * 64)],
        threshold=500,
        policy_version="p",
        list_version="l",
        catalogue_hash="2" * 64,
    )
    return encode_decisions(meta, rows)
