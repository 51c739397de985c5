"""A history directory: payments and what became of them, as Parquet.

    DIR/transactions/date=YYYY-MM-DD/part-N.parquet   Transaction's fields as columns, by event_time (dates are UTC)
    DIR/labels.parquet                                a row per payment judged, see LABEL_COLUMNS

Made by `fraudstream simulate` and `fraudstream import`, read by `train`, `backtest` and `publish`. Any Parquet
files under transactions/ will do: absent fields are nulls, columns that are not Transaction's are left alone.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec
import polars as pl
from msgspec import inspect

from schemas.errors import FraudStreamError
from schemas.transaction import Transaction

LABEL_COLUMNS: dict[str, pl.DataType] = {
    "transaction_id": pl.String(),
    "payer": pl.String(),
    "payee": pl.String(),
    "event_time": pl.Int64(),
    "is_fraud": pl.Boolean(),
    "kind": pl.String(),
    "known_at": pl.Int64(),
}
"""kind is "" for an honest payment; known_at is epoch ms, null where the verdict never became known."""
PART_ROWS = 1_000_000
"""Rows of one Parquet file at most; also what a reader holds at a time."""
_DAY_MS = 86_400_000


class HistoryError(FraudStreamError):
    """A directory or table that is not a history."""


def _column_type(kind: inspect.Type) -> pl.DataType:
    while isinstance(kind, inspect.UnionType | inspect.Metadata):
        kind = (
            kind.type
            if isinstance(kind, inspect.Metadata)
            else next(t for t in kind.types if not isinstance(t, inspect.NoneType))
        )
    if isinstance(kind, inspect.BoolType):
        return pl.Boolean()
    if isinstance(kind, inspect.IntType):
        return pl.Int64()
    return pl.Float64() if isinstance(kind, inspect.FloatType) else pl.String()


def _transaction_columns() -> tuple[dict[str, pl.DataType], tuple[str, ...]]:
    described = inspect.type_info(Transaction)
    assert isinstance(described, inspect.StructType)
    types = {field.name: _column_type(field.type) for field in described.fields}
    return types, tuple(f.name for f in described.fields if f.required and f.default is msgspec.NODEFAULT)


TRANSACTION_COLUMNS, REQUIRED_COLUMNS = _transaction_columns()
"""Polars type of each of Transaction's fields, and the names of those that must be there."""


def conform(payments: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """All of Transaction's columns in its order and types; raises `HistoryError` for what is missing or mistyped."""
    lazy = payments.lazy()
    return _select(lazy, lazy.collect_schema(), TRANSACTION_COLUMNS, REQUIRED_COLUMNS, "payments")


def _select(
    lazy: pl.LazyFrame, found: pl.Schema, wanted: dict[str, pl.DataType], required: tuple[str, ...], what: str
) -> pl.LazyFrame:
    missing = [name for name in required if name not in found]
    if missing:
        raise HistoryError(
            f"The {what} lack the columns {', '.join(missing)}",
            hint=f"They have: {', '.join(found.names()) or 'none'}.",
        )
    wrong = [name for name, kind in wanted.items() if name in found and not _fits(found[name], kind)]
    if wrong:
        described = ", ".join(f"{name} is {found[name]}, not {wanted[name]}" for name in wrong)
        raise HistoryError(
            f"The {what} have columns of another type: {described}", hint="Convert them, or import the file anew."
        )
    return lazy.select(
        pl.col(name).cast(kind) if name in found else pl.lit(None, dtype=kind).alias(name)
        for name, kind in wanted.items()
    )


def _fits(found: pl.DataType, wanted: pl.DataType) -> bool:
    if found == pl.Null or found == wanted:
        return True
    if wanted == pl.String:
        return isinstance(found, pl.Categorical | pl.Enum)
    return found.is_integer() if wanted == pl.Int64 else wanted == pl.Float64 and found.is_numeric()


class HistoryWriter:
    """Writes a history directory, payments in event_time order; a context manager.

    Labels appear when it is closed without an error, so that a directory with labels is a whole one.
    """

    def __init__(self, directory: Path) -> None:
        self._transactions = directory / "transactions"
        self._labels = directory / "labels.parquet"
        self._label_parts = directory / ".labels"
        if self._transactions.exists() or self._labels.exists():
            raise HistoryError(
                f"{directory} already holds a history", hint="Choose another directory, or delete this one."
            )
        self._label_parts.mkdir(parents=True)
        self._pending: list[pl.DataFrame] = []
        self._day: int | None = None
        self._part = 0
        self.payments = 0

    def __enter__(self) -> "HistoryWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
            parts = sorted(self._label_parts.glob("*.parquet"))
            labels = pl.scan_parquet(parts) if parts else pl.LazyFrame(schema=LABEL_COLUMNS)
            labels.sink_parquet(self._labels)
        shutil.rmtree(self._label_parts)

    def write(self, payments: pl.DataFrame, labels: pl.DataFrame) -> None:
        """Adds payments, none earlier than those before, and labels."""
        rows = _select(labels.lazy(), labels.schema, LABEL_COLUMNS, tuple(LABEL_COLUMNS), "labels").collect()
        rows.write_parquet(self._label_parts / f"{self.payments:015d}.parquet")
        self.payments += len(payments)
        days = payments.with_columns(_day=pl.col("event_time") // _DAY_MS)
        for (day,), frame in days.partition_by("_day", as_dict=True, include_key=False, maintain_order=True).items():
            if day != self._day:
                self._flush()
                self._day, self._part = int(day), 0
            self._pending.append(frame)
            if sum(map(len, self._pending)) >= PART_ROWS:
                self._flush()

    def _flush(self) -> None:
        if not self._pending or self._day is None:
            return
        date = pl.select(pl.from_epoch(pl.lit(self._day), time_unit="d")).item()
        folder = self._transactions / f"date={date}"
        folder.mkdir(parents=True, exist_ok=True)
        pl.concat(self._pending).write_parquet(folder / f"part-{self._part}.parquet", compression_level=1)
        self._pending.clear()
        self._part += 1


def transaction_files(directory: Path) -> list[Path]:
    """The Parquet files of a history's payments, by name; raises `HistoryError` when there are none."""
    files = sorted((directory / "transactions").glob("**/*.parquet"))
    if not files:
        raise HistoryError(
            f"{directory} holds no payments",
            hint="It should hold transactions/**/*.parquet, as `fraudstream simulate --out` makes it.",
        )
    return files


def scan_transactions(directory: Path, *, start_ms: int | None = None, end_ms: int | None = None) -> pl.LazyFrame:
    """Payments with start_ms <= event_time < end_ms, all of Transaction's columns; ordered within each file only."""
    files = transaction_files(directory)
    scanned = pl.scan_parquet(files, hive_partitioning=False, missing_columns="insert", extra_columns="ignore")
    return _window(conform(scanned), start_ms, end_ms)


def read_transactions(
    directory: Path, *, start_ms: int | None = None, end_ms: int | None = None
) -> Iterator[pl.DataFrame]:
    """As `scan_transactions`, in order of event_time, a bounded part at a time.

    Files whose times overlap are sorted together; those of `HistoryWriter` never overlap.
    """
    for group in _by_time(transaction_files(directory)):
        frames = [
            _window(conform(pl.scan_parquet(file, hive_partitioning=False)), start_ms, end_ms).collect()
            for file in group
        ]
        payments = pl.concat(frames)
        if not payments["event_time"].is_sorted():
            payments = payments.sort("event_time", maintain_order=True)
        yield from payments.iter_slices(PART_ROWS) if len(payments) else ()


def scan_labels(directory: Path) -> pl.LazyFrame:
    """The labels, with LABEL_COLUMNS; raises `HistoryError` when there are none."""
    path = directory / "labels.parquet"
    if not path.is_file():
        raise HistoryError(
            f"{directory} holds no labels.parquet", hint="An interrupted run leaves none: simulate or import again."
        )
    lazy = pl.scan_parquet(path)
    return _select(lazy, lazy.collect_schema(), LABEL_COLUMNS, tuple(LABEL_COLUMNS), "labels")


def _window(payments: pl.LazyFrame, start_ms: int | None, end_ms: int | None) -> pl.LazyFrame:
    if start_ms is not None:
        payments = payments.filter(pl.col("event_time") >= start_ms)
    return payments if end_ms is None else payments.filter(pl.col("event_time") < end_ms)


def _by_time(files: list[Path]) -> Iterator[list[Path]]:
    """Files in order of their times, those that overlap in one group."""
    spans = []
    for file in files:
        low, high = (
            pl.scan_parquet(file)
            .select(pl.col("event_time").min().alias("low"), pl.col("event_time").max().alias("high"))
            .collect()
            .row(0)
        )
        if low is not None:
            spans.append((low, high, file))
    group: list[Path] = []
    latest = 0
    for low, high, file in sorted(spans):
        if group and low > latest:
            yield group
            group = []
        group.append(file)
        latest = max(latest, high)
    if group:
        yield group
