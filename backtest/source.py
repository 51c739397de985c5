"""Where payments come from: partitions that are read in their own order, and what is known about them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backtest.slab import Slab
from models.batch import PaymentBatch
from models.engine import AHEAD_MS
from schemas.errors import FraudStreamError

BEGINNING = -(1 << 62)


class SourceError(FraudStreamError):
    """A source that holds nothing to replay."""


@dataclass(frozen=True)
class Window:
    """What is replayed, by event time in epoch ms; None: from the source's beginning, to its end."""

    start: int | None = None
    end: int | None = None
    warm_up_ms: int | None = None
    """Earlier payments that become the payers' past; None: all there are."""
    as_published: bool = False
    """Later payments that were published before one of the window pass too: live they were its payer's past."""

    @property
    def read_from(self) -> int | None:
        """First event time that is read; None: from the beginning."""
        if self.start is None or self.warm_up_ms is None:
            return None
        return self.start - self.warm_up_ms

    def wants(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these event times pass: those of the window, of its warm-up, and `as_published` later ones."""
        return _between(times, self.read_from, None if self.as_published else self.end)

    def holds(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these event times lie in the window itself."""
        return _between(times, self.start, self.end)


def _between(times: NDArray[np.int64], start: int | None, end: int | None) -> NDArray[np.bool_]:
    return (times >= (BEGINNING if start is None else start)) & (times < (-BEGINNING if end is None else end))


@dataclass(frozen=True)
class Offsets:
    """Bounds of partitions by offset, beside the window."""

    first: Mapping[int, int] = field(default_factory=dict)
    """Where to begin at the earliest."""
    end: Mapping[int, int] = field(default_factory=dict)
    """Before which to end."""
    known: Mapping[int, int] = field(default_factory=dict)
    """Before which the past is known from elsewhere; nothing there is read."""

    def asked(self, partition: int) -> int:
        """The first offset that is to be read."""
        return max(self.first.get(partition, 0), self.known.get(partition, 0))

    def whole(self, partition: int, first: int) -> bool:
        """Whether the payers' whole past is known where a partition is read from this offset on."""
        return first <= self.known.get(partition, 0)


@dataclass(frozen=True)
class Position:
    """How far a partition has passed."""

    offset: int
    """Of the next payment."""
    time: int = BEGINNING
    """When the last one passed."""


class Source(Protocol):
    """A topic, a lake or a history directory."""

    @property
    def description(self) -> str:
        """Where it is, in words."""
        ...

    @property
    def total(self) -> int:
        """Of what `read` tells its `advance`."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the window is not there, and other things that one must know."""
        ...

    @property
    def unreadable(self) -> int:
        """Records met so far that are no payments."""
        ...

    @property
    def partitions(self) -> tuple[int, ...]: ...

    def whole(self, partition: int) -> bool:
        """Whether a partition is read from its first payment on, so that the payers' whole past is known."""
        ...

    def read(self, partition: int, position: Position | None, advance: Callable[[int], None]) -> Iterator[Slab]:
        """The partition's payments from a position on; `advance` is told of progress, for any thread."""
        ...


def event_times(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """Event times (n,) of payments (n,) of PAYMENT, epoch ms; one too far ahead of publication counts as that of
    publication, as in `models.engine`."""
    published = rows["published"]
    return np.where(rows["event_time"] > published + AHEAD_MS, published, rows["event_time"]).astype(np.int64)


def passing_times(rows: NDArray[np.void], since: int) -> NDArray[np.int64]:
    """When payments (n,) of PAYMENT of one partition pass, after one that passed at `since`; epoch ms."""
    return np.maximum(np.maximum.accumulate(event_times(rows)), since) if rows.size else event_times(rows)


def slab_of(batch: PaymentBatch, partition: int, offsets: NDArray[np.int64], window: Window, since: int) -> Slab:
    """Those of a partition's payments (n,) that a window wants, after one that passed at `since`."""
    wanted = np.flatnonzero(window.wants(event_times(batch.rows)))
    if wanted.size < len(batch):
        batch, offsets = batch.take(wanted), offsets[wanted]
    partitions = np.full(len(batch), partition, dtype=np.int32)
    return Slab(batch, passing_times(batch.rows, since), partitions, offsets)
