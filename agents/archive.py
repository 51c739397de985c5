"""The archive agent: records of a topic into blocks of the lake, cut the same way however they arrive.

A block of a partition ends

- before a record of a later hour than the block's first row (what comes late stays in the block at hand),
- with the record that makes its rows as many as `block_rows`,
- when it has been open for `max_open_s`, so that the lake does not lag,
- when over all partitions `open_rows` are exceeded and it is the largest.

The first two follow from the topic alone; the others from the clock and from memory. Nothing here reads a clock or
writes a file: `agents.archiving` does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from agents.archive_rows import Read, read_records, to_rows
from schemas.lake import HOUR_MS, Block, LakeTopic
from schemas.types import LATEST_MS
from stream.batch import Batch
from stream.settings import BlockSettings

FOLDED = 1_024
"""Records of one block that wait to become columns: rows take less memory then."""


Closed = tuple[Block, pl.DataFrame]
"""A block that has ended, and its rows."""


@dataclass
class Open:
    """A block that grows."""

    first: int
    end: int
    opened_s: float
    published: int
    """When its first record was published, epoch ms."""
    hour: int | None = None
    """That of the first row."""
    rows: int = 0
    records: list[Read] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)

    def is_before(self, record: Read) -> bool:
        """Whether a record belongs to a later hour."""
        return self.hour is not None and record.time // HOUR_MS > self.hour


class Cutter:
    """One topic's open blocks. A partition is cut from where `begin` says; before that, its records are ignored."""

    def __init__(self, topic: LakeTopic, settings: BlockSettings) -> None:
        self.topic = topic
        self._settings = settings
        self._next: dict[int, int] = {}
        """By partition, where its next block begins; negative: at its first record."""
        self._open: dict[int, Open] = {}

    @property
    def open_rows(self) -> int:
        return sum(block.rows for block in self._open.values())

    def begin(self, partition: int, offset: int) -> None:
        """Cut a partition from an offset on; what was open of it is dropped."""
        self._open.pop(partition, None)
        self._next[partition] = offset

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop what is open of these partitions, and ignore them until they begin again."""
        for partition in partitions:
            self._open.pop(partition, None)
            self._next.pop(partition, None)

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget all other partitions."""
        self.forget(self._next.keys() - set(partitions))

    def add(self, batch: Batch, now_s: float) -> Iterator[Closed]:
        """Take records in order; the blocks that end by it, to be written before the next is asked for."""
        places = zip(batch.partitions.tolist(), batch.offsets.tolist(), batch.timestamps.tolist(), strict=True)
        for (partition, offset, published), record in zip(places, read_records(self.topic, batch), strict=True):
            if partition not in self._next:
                continue
            block = self._open.get(partition)
            if block is not None and record is not None and block.is_before(record):
                yield self._close(partition)
                block = None
            if block is None:
                block = self._open[partition] = self._opened(partition, offset, published, now_s)
            block.end = offset + 1
            if record is not None:
                self._put(partition, block, record)
                if block.rows >= self._settings.block_rows:
                    yield self._close(partition)
        while self.open_rows > self._settings.open_rows:
            yield self._close(max(self._open, key=lambda partition: self._open[partition].rows))

    def due(self, now_s: float) -> Iterator[Closed]:
        """The blocks that have been open for too long."""
        oldest = now_s - self._settings.max_open_s
        for partition in [p for p, block in self._open.items() if block.opened_s <= oldest]:
            yield self._close(partition)

    def close(self) -> Iterator[Closed]:
        """All that are open."""
        for partition in list(self._open):
            yield self._close(partition)

    def _opened(self, partition: int, offset: int, published: int, now_s: float) -> Open:
        first = self._next[partition]
        return Open(first if first >= 0 else offset, offset, now_s, published)

    def _put(self, partition: int, block: Open, record: Read) -> None:
        if block.hour is None:
            block.hour = record.time // HOUR_MS
        block.rows += record.rows
        block.records.append(record)
        if len(block.records) >= FOLDED:
            self._fold(partition, block)

    def _fold(self, partition: int, block: Open) -> None:
        block.frames.append(to_rows(self.topic, partition, block.records))
        block.records.clear()

    def _close(self, partition: int) -> Closed:
        block = self._open.pop(partition)
        self._next[partition] = block.end
        if block.records or not block.frames:
            self._fold(partition, block)
        # A record that cannot be read may claim any time; no directory is named after year 30,000.
        hour = min(block.published, LATEST_MS - 1) // HOUR_MS if block.hour is None else block.hour
        rows = pl.concat(block.frames, how="diagonal" if self.topic == "decisions" else "vertical")
        return Block(self.topic, hour, partition, block.first, block.end), rows
