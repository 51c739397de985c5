"""History through the engine to disk, for histories larger than memory: the same features, bit for bit.

    DIR/features.npy              (n, 85) float32, payments in order of event time
    DIR/payments/part-N.parquet   transaction_id, payer and payee of the same payments
    DIR/known.parquet             what else is known of them, and their status; written last

Payments are read a part at a time and judged in the same chunks as `models.history.featurise` would; the engine goes on
from one part to the next. In memory stay the engine's records, one part, and some 30 bytes of each payment.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.batch import PaymentBatch, from_frame
from models.catalogue import FEATURE_NAMES
from models.history import CHUNK, History, OfflineEngine, verdicts_of
from models.tokens import Tokeniser, new_key
from schemas.history import HistoryError

BATCH = 50 * CHUNK
"""Payments whose columns are made together."""
FEATURES, KNOWN = "features.npy", "known.parquet"
STRINGS = ("transaction_id", "payer", "payee")
ORDER = ("event_time", "transaction_id")


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
    tokeniser = tokeniser or Tokeniser(new_key())
    passage = _Passage(tokeniser, None if labels is None else labels.filter("is_fraud").collect())
    (directory / "payments").mkdir(parents=True)
    kept: list[pl.DataFrame] = []
    status: list[NDArray[np.uint8]] = []
    with (directory / FEATURES).open("wb") as file:
        _write_header(file, 0)
        for number, frame in enumerate(_in_chunks(parts)):
            passage.expect(frame)
            for now, batch in _batches(frame, tokeniser):
                features, bits = passage.judge(now, batch)
                file.write(features.tobytes())
                status.append(bits)
                if progress:
                    progress(len(batch))
            frame.select(STRINGS).write_parquet(directory / "payments" / f"part-{number:06d}.parquet")
            kept.append(passage.slim(frame))
        file.seek(0)
        _write_header(file, sum(map(len, kept)))
    if not kept:
        raise HistoryError("the history holds no payments", hint="check --data, and --to")
    known = pl.concat(kept, rechunk=True).with_columns(status=pl.Series(np.concatenate(status)))
    known.write_parquet(directory / KNOWN)
    return StoredHistory.open(directory)


class _Passage:
    """An engine on its way through a history, and the verdicts that are still to come."""

    def __init__(self, tokeniser: Tokeniser, frauds: pl.DataFrame | None) -> None:
        self._engine = OfflineEngine(tokeniser)
        self._frauds = frauds
        self._pending: pl.DataFrame | None = None

    def expect(self, frame: pl.DataFrame) -> None:
        """Wait for the verdicts on these payments."""
        verdicts = verdicts_of(frame, self._frauds)
        self._pending = verdicts if self._pending is None else pl.concat([self._pending, verdicts])

    def judge(self, now: int, batch: PaymentBatch) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Features and status of a chunk that begins at `now`."""
        assert self._pending is not None, "nothing was expected"
        is_known = self._pending["known_at"] <= now
        if is_known.any():
            self._engine.learn(self._pending.filter(is_known))
            self._pending = self._pending.filter(~is_known)
        return self._engine.judge_batch(batch)

    def slim(self, frame: pl.DataFrame) -> pl.DataFrame:
        """What stays in memory of these payments."""
        payments = frame.select("transaction_id", "event_time", "amount")
        if self._frauds is not None:
            kinds = pl.Enum(sorted({"", *self._frauds["kind"]}))
            verdicts = self._frauds.select("transaction_id", "is_fraud", pl.col("kind").cast(kinds), "known_at")
            payments = payments.join(verdicts, on="transaction_id", how="left", maintain_order="left")
            payments = payments.with_columns(pl.col("is_fraud").fill_null(False), pl.col("kind").fill_null(""))
        return payments.drop("transaction_id")


def _in_chunks(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same payments, in the order of `featurise`, cut where its chunks end.

    Payments of a part's last moment wait for the next part, which may hold more of that moment.
    """
    left: pl.DataFrame | None = None
    for part in parts:
        frame = (part if left is None else pl.concat([left, part])).sort(ORDER)
        settled = int((frame["event_time"] < frame["event_time"][-1]).sum())
        whole = settled // CHUNK * CHUNK
        if whole:
            yield frame[:whole]
        left = frame[whole:]
    if left is not None and len(left):
        yield left


def _batches(frame: pl.DataFrame, tokeniser: Tokeniser) -> Iterator[tuple[int, PaymentBatch]]:
    """Chunks as columns, with the time at which each begins."""
    for slab in frame.iter_slices(BATCH):
        batch, times = from_frame(slab, tokeniser), slab["event_time"]
        for start in range(0, len(slab), CHUNK):
            part = slice(start, start + CHUNK)
            yield times[start], PaymentBatch(batch.ids[part], batch.rows[part])


def _write_header(file: BinaryIO, rows: int) -> None:
    """numpy leaves room in it for a number of rows of any size."""
    shape = (rows, len(FEATURE_NAMES))
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _strings(directory: Path) -> pl.LazyFrame:
    return pl.scan_parquet(sorted((directory / "payments").glob("*.parquet")))
