"""A lake: blocks of payments, decisions and labels, written once and read so that each offset comes once.

    lake = Lake("s3://bank/fraudstream")
    for partition in lake.partitions():
        for frame in lake.read("transactions", partition, start_ms=…, end_ms=…):
            …

`schemas.lake` says how files are named and what they hold, `stream.lake_files` where they lie. What may be late is
found all the same: which times a block holds is noted in its footer, and its directory is only a hint for people.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from schemas.decision import EXTRA_PREFIXES
from schemas.lake import LAYOUTS, Block, LakeTopic, Layout, Take, cover, gaps
from stream.errors import Stop
from stream.lake_files import Gone, LakeFiles

READERS = 16
"""An object store answers many small questions at once."""
AHEAD_BYTES = 4 * 2**20
"""Of files that are read before their turn, some five times as much in memory; a larger one is read by itself."""
LISTINGS = 5
"""How often to list again when compactions take away what was listed."""
_ROWS, _SOURCE = "fraudstream.rows", "fraudstream.source"
_FIRST, _LAST = "fraudstream.first_ms", "fraudstream.last_ms"


@dataclass(frozen=True)
class About:
    """What a block's footer tells. Times are epoch ms of the layout's time column, None for a block without rows."""

    rows: int
    first_ms: int | None
    last_ms: int | None
    source: str
    """Which topic's offsets they are: its id, another one after it was made again."""

    def within(self, start_ms: int | None, end_ms: int | None) -> bool:
        """Whether a row may lie in [start_ms, end_ms)."""
        if self.first_ms is None or self.last_ms is None:
            return False
        return (start_ms is None or self.last_ms >= start_ms) and (end_ms is None or self.first_ms < end_ms)


class Part(NamedTuple):
    """Rows of what to take of a block: those whose time lies in [start_ms, end_ms)."""

    take: Take
    start_ms: int | None = None
    end_ms: int | None = None


class Lake:
    """A lake at a directory or URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files = LakeFiles(url)
        self._about: dict[Block, About] = {}
        self._bytes: dict[Block, int] = {}
        """Of the blocks that were listed."""
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="lake")

    # Reading

    def blocks(self, topic: LakeTopic) -> dict[Block, int]:
        """Every block of a topic that is there now, and its bytes. Overlapping ones too: see `takes`."""
        found = {Block.of_path(name): size for name, size in self.files.sizes(topic).items()}
        blocks = {block: size for block, size in found.items() if block is not None}
        self._bytes |= blocks
        return blocks

    def takes(self, topic: LakeTopic, from_offset: int = 0) -> dict[int, list[Take]]:
        """By partition, what to take of which block, in order of offsets.

        A listing takes its time, and may lack a block that a compaction wrote meanwhile and the ones it deleted
        besides. So offsets are missing when two listings in a row say so.
        """
        found = cover(self.blocks(topic), from_offset)
        missing = _missing(found)
        for _ in range(LISTINGS - 1):
            if not missing:
                break
            before, found = missing, cover(self.blocks(topic), from_offset)
            missing = _missing(found)
            if missing == before:
                break
        return found

    def takes_with_about(self, topic: LakeTopic) -> list[tuple[Take, About]]:
        """What to take of every block of a topic, and what its footer tells."""
        for _ in range(LISTINGS - 1):
            with suppress(Gone):  # compacted between listing and looking
                return self._looked_at(topic)
        return self._looked_at(topic)

    def _looked_at(self, topic: LakeTopic) -> list[tuple[Take, About]]:
        takes = [take for partition in self.takes(topic).values() for take in partition]
        return list(zip(takes, self._readers.map(lambda take: self.about(take.block), takes), strict=True))

    def partitions(self, topic: LakeTopic = "transactions") -> list[int]:
        """The partitions that have a block."""
        return sorted(self.takes(topic))

    def about(self, block: Block) -> About:
        """What its footer tells; read once. Raises `Gone`."""
        known = self._about.get(block)
        if known is None:
            notes = self.files.notes(block.path)
            if _ROWS not in notes:
                raise Stop(f"{block.path} in {self.url} is no block", hint="move the file elsewhere: it is not ours")
            first, last = (int(notes[name]) if name in notes else None for name in (_FIRST, _LAST))
            known = self._about[block] = About(int(notes[_ROWS]), first, last, notes.get(_SOURCE, ""))
        return known

    def read(
        self,
        topic: LakeTopic,
        partition: int | None = None,
        from_offset: int = 0,
        columns: Sequence[str] | None = None,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """The rows of one partition in order of offsets, or of one after another; a block at a time, none empty.

        `start_ms` and `end_ms` bound the topic's time column, half-open; blocks without such rows are not read.
        Without `columns`, all of the topic's `LAYOUTS` come, and of decisions the further ones that a block has.
        """
        partitions = self.takes(topic, from_offset)
        takes = [take for p in sorted(partitions) if partition in (None, p) for take in partitions[p]]
        frames = self.read_parts([Part(take, start_ms, end_ms) for take in takes], columns)
        return (rows for rows in frames if len(rows))

    def read_parts(self, parts: Iterable[Part], columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of each part in turn; small files are read ahead. A frame without rows may have no columns."""
        waiting, ahead = deque(parts), deque[tuple[int, Future[pl.DataFrame]]]()
        held = 0
        try:
            while waiting or ahead:
                while waiting and len(ahead) < READERS:
                    size = self._bytes.get(waiting[0].take.block, 0)
                    if ahead and held + size > AHEAD_BYTES:
                        break
                    ahead.append((size, self._readers.submit(self._part, waiting.popleft(), columns)))
                    held += size
                size, reading = ahead.popleft()
                held -= size
                yield reading.result()
        finally:
            for _, reading in ahead:
                reading.cancel()

    def _part(self, part: Part, columns: Sequence[str] | None) -> pl.DataFrame:
        bounded = part.start_ms is not None or part.end_ms is not None
        if bounded and not self._may_hold(part):
            return pl.DataFrame()
        return self.rows(part.take, columns, start_ms=part.start_ms, end_ms=part.end_ms)

    def _may_hold(self, part: Part) -> bool:
        try:
            return self.about(part.take.block).within(part.start_ms, part.end_ms)
        except Gone:
            return True  # compacted meanwhile: reading finds out

    def rows(
        self,
        take: Take,
        columns: Sequence[str] | None = None,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> pl.DataFrame:
        """What to take of one block, with the bounds of `read`; of others, if a compaction has replaced it."""
        layout = LAYOUTS[take.block.topic]

        def part(block: Block, first: int, end: int) -> pl.DataFrame:
            def wanted(rows: pl.LazyFrame) -> pl.LazyFrame:
                if (first, end) != (block.first, block.end):
                    rows = rows.filter(pl.col(layout.offset).is_between(first, end, closed="left"))
                if start_ms is not None:
                    rows = rows.filter(pl.col(layout.time) >= start_ms)
                if end_ms is not None:
                    rows = rows.filter(pl.col(layout.time) < end_ms)
                return _selected(rows, layout, columns)

            return self.files.read(block.path, wanted)

        try:
            return part(take.block, take.first, take.end)
        except Gone:
            others = [other for other in self._others(take) if other.first < take.end]
            if not others or others[0].first > take.first or others[-1].end < take.end or list(gaps(others)):
                raise
            return pl.concat([part(o.block, o.first, min(o.end, take.end)) for o in others], how="diagonal")

    def _others(self, take: Take) -> list[Take]:
        return self.takes(take.block.topic, take.first).get(take.block.partition, [])

    # Writing

    def check_source(self, topic: LakeTopic, source: str) -> None:
        """Raises `Stop` where the newest blocks are of a topic that was made again: its offsets begin anew."""
        newest = [takes[-1].block for takes in self.takes(topic).values()]
        if any(self.about(block).source != source for block in newest):
            raise Stop(
                f"{self.url} holds {topic} of a topic that was deleted since, or of another cluster",
                hint="archive to another lake: a reader would take the new offsets for the old ones",
            )

    def write(self, block: Block, rows: pl.DataFrame, source: str = "") -> int:
        """Make a block durable, in place of any of its name; returns its bytes."""
        times = rows[LAYOUTS[block.topic].time]
        notes = {_ROWS: str(len(rows)), _SOURCE: source}
        if len(rows):
            notes |= {_FIRST: str(times.min()), _LAST: str(times.max())}
        return self.files.write(block.path, rows, notes)

    def delete(self, blocks: Iterable[Block]) -> None:
        """Take blocks away; what is gone already does no harm."""
        self.files.delete(sorted(block.path for block in blocks))


def _missing(takes: Mapping[int, Sequence[Take]]) -> set[tuple[int, int, int]]:
    """Partition and range of the offsets that lie between blocks and that none holds."""
    return {(partition, *gap) for partition, each in takes.items() for gap in gaps(each)}


def _selected(rows: pl.LazyFrame, layout: Layout, columns: Sequence[str] | None) -> pl.LazyFrame:
    """The columns wanted; those that came into being after the block was written are null."""
    found = rows.collect_schema().names()
    extra = [name for name in found if name.startswith(EXTRA_PREFIXES)]
    wanted = [*layout.columns, *extra] if columns is None else list(columns)
    if wanted == found:
        return rows
    absent = [name for name in wanted if name not in found]
    kinds = {name: layout.columns.get(name, pl.Float32()) for name in absent}
    nulls = [pl.lit(None, dtype=kind).alias(name) for name, kind in kinds.items()]
    return (rows.with_columns(nulls) if nulls else rows).select(pl.col(wanted))
