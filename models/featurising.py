"""History through the engine to disk, for histories larger than memory: the same features, bit for bit.

    DIR/features.npy              (n, 85) float32, payments in order of event time
    DIR/payments/part-N.parquet   transaction_id, payer and payee of the same payments
    DIR/known.parquet             what else is known of them, and their status; written last

Payments are read a part at a time and judged in the same chunks as by `models.history.featurise`; the engine goes on
from one part to the next. In memory stay the engine's records, one part, and some 30 bytes of each payment.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.history import History
from models.passage import Passage, in_minutes
from models.tokens import Tokeniser, new_key
from schemas.history import HistoryError

FEATURES, KNOWN = "features.npy", "known.parquet"
STRINGS = ("transaction_id", "payer", "payee")


@dataclass(frozen=True)
class StoredHistory(History):
    """A history whose features and strings lie on disk.

    `features` is a read-only mapping of the file. `payments` has no strings but kind; verdicts are those of frauds.
    """

    directory: Path

    @classmethod
    def open(cls, directory: Path) -> "StoredHistory":
        """A history that `featurise_to_disk` made earlier. Raises HistoryError when there is none."""
        path = directory / KNOWN
        if not path.is_file():
            raise HistoryError(f"{directory} holds no features", hint="an interrupted run leaves none: make them again")
        known = pl.read_parquet(path)
        features = np.load(directory / FEATURES, mmap_mode="r")
        return cls(features, known.drop("status"), known["status"].to_numpy(), directory)

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """All that is known of these payments, rows in ascending order; their strings are read from disk."""
        if not rows.size:
            return _strings(self.directory).head(0).collect().hstack(self.payments.head(0))
        first, last = int(rows[0]), int(rows[-1])
        span = _strings(self.directory).slice(first, last - first + 1).collect()
        known = self.payments[rows]
        if "kind" in known.columns:
            known = known.with_columns(pl.col("kind").cast(pl.String))
        return span[rows - first].hstack(known)


def featurise_to_disk(
    parts: Iterable[pl.DataFrame],
    labels: pl.LazyFrame | None,
    directory: Path,
    *,
    tokeniser: Tokeniser | None = None,
    progress: Callable[[int], None] | None = None,
) -> StoredHistory:
    """Pass a history's parts, in order of event time, through the engine into an empty directory."""
    frauds = None if labels is None else labels.filter("is_fraud").collect()
    passage = Passage(tokeniser or Tokeniser(new_key()), frauds)
    (directory / "payments").mkdir(parents=True)
    kept: list[pl.DataFrame] = []
    status: list[NDArray[np.uint8]] = []
    with (directory / FEATURES).open("wb") as file:
        _write_header(file, 0)
        for number, frame in enumerate(in_minutes(parts)):
            for features, bits in passage.judge(frame):
                file.write(features.tobytes())
                status.append(bits)
                if progress:
                    progress(bits.size)
            frame.select(STRINGS).write_parquet(directory / "payments" / f"part-{number:06d}.parquet")
            kept.append(_slim(frame, frauds))
        file.seek(0)
        _write_header(file, sum(map(len, kept)))
    if not kept:
        raise HistoryError("the history holds no payments", hint="check --data, and --to")
    known = pl.concat(kept, rechunk=True).with_columns(status=pl.Series(np.concatenate(status)))
    known.write_parquet(directory / KNOWN)
    return StoredHistory.open(directory)


def _slim(frame: pl.DataFrame, frauds: pl.DataFrame | None) -> pl.DataFrame:
    """What stays in memory of these payments."""
    payments = frame.select("transaction_id", "event_time", "amount")
    if frauds is not None:
        kinds = pl.Enum(sorted({"", *frauds["kind"]}))
        verdicts = frauds.select("transaction_id", "is_fraud", pl.col("kind").cast(kinds), "known_at")
        payments = payments.join(verdicts, on="transaction_id", how="left", maintain_order="left")
        payments = payments.with_columns(pl.col("is_fraud").fill_null(False), pl.col("kind").fill_null(""))
    return payments.drop("transaction_id")


def _write_header(file: BinaryIO, rows: int) -> None:
    """numpy leaves room in it for a number of rows of any size."""
    shape = (rows, len(FEATURE_NAMES))
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _strings(directory: Path) -> pl.LazyFrame:
    return pl.scan_parquet(sorted((directory / "payments").glob("*.parquet")))
