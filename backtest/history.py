"""A history directory as a source: Parquet without offsets, one partition, in order of event time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from backtest.slab import Slab
from backtest.source import BEGINNING, Position, SourceError, Window, slab_of
from models.batch import from_frame
from models.passage import CHUNK_MS, in_minutes
from models.tokens import Tokeniser
from schemas.history import read_transactions, scan_transactions

SLAB = 50_000


@dataclass
class HistorySource:
    """Payments of a history directory; a payment's offset is its place in the whole history."""

    directory: Path
    tokeniser: Tokeniser
    window: Window

    def __post_init__(self) -> None:
        self.partitions = (0,)
        self.unreadable = 0
        self.description = f"history {self.directory}"
        self.notes: tuple[str, ...] = ()
        self.total = self._count(self.window.read_from, self.window.end)
        if not self.total:
            raise SourceError(f"{self.directory} holds no payments in the window", hint="check --from and --to")
        first = self._first()
        if self.window.read_from is not None and first > self.window.read_from:
            self.notes = ("the history begins within the warm-up: payers are less known at the window's begin",)

    def whole(self, partition: int) -> bool:
        """See `backtest.source.Source`."""
        return self._before(self.window.read_from) == 0

    def read(self, partition: int, position: Position | None, advance: Callable[[int], None]) -> Iterator[Slab]:
        """See `backtest.source.Source`."""
        begin, offset, skip = self.window.read_from, self._before(self.window.read_from), 0
        if position is not None:
            begin = position.time // CHUNK_MS * CHUNK_MS
            offset, skip = position.offset, position.offset - self._before(begin)
            advance(position.offset - self._before(self.window.read_from))
        parts = read_transactions(self.directory, start_ms=begin, end_ms=self.window.end)
        for minutes in in_minutes(parts):
            skipped = min(skip, len(minutes))
            skip -= skipped
            for frame in minutes[skipped:].iter_slices(SLAB):
                batch = from_frame(frame, self.tokeniser)
                offsets = np.arange(offset, offset + len(batch))
                offset += len(batch)
                advance(len(batch))
                yield slab_of(batch, partition, offsets, self.window, BEGINNING)

    def _before(self, time_ms: int | None) -> int:
        """Payments before a time; None is the beginning."""
        return 0 if time_ms is None else self._count(None, time_ms)

    def _count(self, start_ms: int | None, end_ms: int | None) -> int:
        window = scan_transactions(self.directory, start_ms=start_ms, end_ms=end_ms)
        return int(window.select(pl.len()).collect().item())

    def _first(self) -> int:
        return int(scan_transactions(self.directory).select(pl.col("event_time").min()).collect().item())
