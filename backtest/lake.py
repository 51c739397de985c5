"""A lake as a source: what was archived of a topic, each partition in the order of its offsets, as the topic had it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl

from backtest.decided import Frames, challenger_probabilities, conformed
from backtest.slab import Slab
from backtest.source import BEGINNING, Offsets, Position, SourceError, Window, slab_of
from models.batch import from_frame
from models.tokens import Tokeniser
from schemas.history import TRANSACTION_COLUMNS
from schemas.lake import Take, gaps
from stream.lake import About, Lake, Part

SLAB = 20_000
END = 1 << 62
"""After every offset."""
COLUMNS = (*TRANSACTION_COLUMNS, "offset", "published")


@dataclass
class LakeSource:
    """Payments of a lake."""

    lake: Lake
    tokeniser: Tokeniser
    window: Window
    offsets: Offsets

    def __post_init__(self) -> None:
        found: dict[int, list[tuple[Take, About]]] = {}
        every: dict[int, list[Take]] = {}
        until = None if self.window.as_published else self.window.end
        for take, about in self.lake.takes_with_about("transactions"):
            partition = take.block.partition
            every.setdefault(partition, []).append(take)
            asked = self.offsets.asked(partition)
            wanted = take.end > asked and take.first < self.offsets.end.get(partition, END)
            if wanted and about.within(self.window.read_from, until):
                found.setdefault(partition, []).append((replace(take, first=max(take.first, asked)), about))
        for mine in found.values():
            while mine and not mine[-1][1].within(None, self.window.end):
                mine.pop()
        takes = {partition: [take for take, _ in mine] for partition, mine in found.items() if mine}
        self.total = sum(about.rows for mine in found.values() for _, about in mine)
        self._takes, self._every = takes, every
        self.partitions = tuple(takes)
        self.unreadable = 0
        self.description = f"lake {self.lake.url}"
        if not takes:
            raise SourceError(f"the {self.description} holds no payments in the window", hint="check --from and --to")
        self.notes = tuple(self._missing(every))

    def whole(self, partition: int) -> bool:
        """See `backtest.source.Source`."""
        first = max(self._every[partition][0].first, self.offsets.asked(partition))
        return self.window.read_from is None and self.offsets.whole(partition, first)

    def read(self, partition: int, position: Position | None, advance: Callable[[int], None]) -> Iterator[Slab]:
        """See `backtest.source.Source`."""
        first, time = (position.offset, position.time) if position else (0, BEGINNING)
        stop = self.offsets.end.get(partition, END)
        for rows in self.lake.read_parts(map(Part, self._takes[partition]), COLUMNS):
            fresh = rows.filter(pl.col("offset").is_between(first, stop, closed="left"))
            advance(rows.height - fresh.height)
            for frame in fresh.iter_slices(SLAB):
                batch = from_frame(frame, self.tokeniser)
                slab = slab_of(batch, partition, frame["offset"].to_numpy(), self.window, time)
                advance(frame.height)
                if len(slab):
                    time = int(slab.times[-1])
                    yield slab

    def _missing(self, every: Mapping[int, list[Take]]) -> Iterator[str]:
        """What of the topic the lake does not have."""
        for partition, takes in every.items():
            asked = self.offsets.asked(partition)
            if takes[0].first > asked:
                yield (
                    f"partition {partition} of the lake begins at offset {takes[0].first:,}: payers and accounts are"
                    " known from there on only"
                )
            for first, end in gaps(takes):
                if end > asked:
                    yield f"partition {partition} of the lake lacks the offsets from {first:,} up to {end:,}"


def decided_in_lake(lake: Lake) -> Frames:
    """Decisions about the payments of a partition, as they were archived."""

    def frames(partition: int) -> Iterator[pl.DataFrame]:
        for rows in lake.read("decisions", partition):
            mine = rows.filter(pl.col("partition") == partition)
            probabilities = challenger_probabilities(mine)
            yield conformed(mine.rename({"model_sha256": "model"}).with_columns(challenger_probabilities=probabilities))

    return frames
