"""The past to learn from: a history directory or a lake, read by the same three functions.

A directory is what `fraudstream simulate` and `import` make, see `schemas.history`; a lake is what `fraudstream
archive` makes, local or at a URL. In a lake, a payment published twice is there twice, as the engine saw it; of several
verdicts about one payment, the one known last counts.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from schemas import history
from schemas.history import LABEL_COLUMNS, PART_ROWS, TRANSACTION_COLUMNS, HistoryError
from schemas.lake import Block
from stream.lake import Lake
from stream.lake_order import ORDER, in_time_order

Frames = Callable[[list[str]], Iterator[pl.DataFrame]]


def lake_at(data: str | Path) -> Lake | None:
    """The lake that lies there; None for a local directory that holds a history or nothing."""
    if "://" not in str(data):
        here = Path(data)
        names = (path.relative_to(here).as_posix() for path in here.glob("*/date=*/hour=*/*.parquet"))
        if not any(map(Block.of_path, names)):
            return None
    return Lake(str(data))


def scan_transactions(data: str | Path, *, start_ms: int | None = None, end_ms: int | None = None) -> pl.LazyFrame:
    """Payments with start_ms <= event_time < end_ms, all of Transaction's columns, in no order."""
    lake = lake_at(data)
    if lake is None:
        return history.scan_transactions(Path(data), start_ms=start_ms, end_ms=end_ms)
    if not lake.partitions():
        raise HistoryError(f"{data} holds no payments", hint="fill it with `fraudstream archive --lake`")

    def frames(columns: list[str]) -> Iterator[pl.DataFrame]:
        return lake.read("transactions", columns=columns, start_ms=start_ms, end_ms=end_ms)

    return _lazy(frames, pl.Schema(TRANSACTION_COLUMNS))


def read_transactions(
    data: str | Path, *, start_ms: int | None = None, end_ms: int | None = None
) -> Iterator[pl.DataFrame]:
    """As `scan_transactions`, in order of event_time, a bounded part at a time."""
    lake = lake_at(data)
    if lake is None:
        yield from history.read_transactions(Path(data), start_ms=start_ms, end_ms=end_ms)
        return
    columns = list(dict.fromkeys([*TRANSACTION_COLUMNS, *ORDER]))
    for frame in in_time_order(lake, columns, start_ms=start_ms, end_ms=end_ms):
        yield from frame.select(list(TRANSACTION_COLUMNS)).iter_slices(PART_ROWS)


def has_labels(data: str | Path) -> bool:
    """Whether there are labels beside the payments."""
    lake = lake_at(data)
    return (Path(data) / "labels.parquet").is_file() if lake is None else bool(lake.partitions("labels"))


def scan_labels(data: str | Path) -> pl.LazyFrame:
    """The labels, with LABEL_COLUMNS; raises `HistoryError` when there are none."""
    lake = lake_at(data)
    if lake is None:
        return history.scan_labels(Path(data))
    columns = [*LABEL_COLUMNS, "partition", "offset"]
    frames = list(lake.read("labels", columns=columns))
    if not frames:
        raise HistoryError(f"{data} holds no labels", hint="archive the topic labels too: `fraudstream archive`")
    verdicts = pl.concat(frames).sort("known_at", "partition", "offset")
    return verdicts.unique("transaction_id", keep="last", maintain_order=True).select(list(LABEL_COLUMNS)).lazy()


def _lazy(frames: Frames, schema: pl.Schema) -> pl.LazyFrame:
    """Frames of a schema's columns as one lazy frame: only the columns wanted are read."""

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, count: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = count
        for frame in frames(columns if columns is not None else schema.names()):
            rows = frame if left is None else frame.head(left)
            left = None if left is None else left - len(rows)
            yield rows if predicate is None else rows.filter(predicate)
            if left == 0:
                return

    return register_io_source(source, schema=schema)
