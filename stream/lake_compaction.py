"""Small blocks become large ones: neighbours of one partition within one hour.

1. Merge: read a run of neighbours, write them as one block, named by the whole range.
2. Delete the neighbours.
3. Delete blocks that give no reader a row: leftovers of crashes, of earlier compactions too.

It may die anywhere: until 2 the neighbours count or the block that covers them, by the reader's rule, with the same
rows. Several may run at once, and beside the archiver: what is deleted is held by blocks that come before it in the
rule's order, also by the block that it became, so that no two can delete what is only in each other's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.history import PART_ROWS
from schemas.lake import Block, LakeTopic, Take
from stream.lake import Lake, Part

TARGET_ROWS = PART_ROWS
"""What a reader holds at a time."""


@dataclass(frozen=True)
class Compaction:
    """What was done to one topic."""

    blocks_before: int
    blocks_after: int
    rows_rewritten: int


def compact(
    lake: Lake,
    topic: LakeTopic,
    *,
    target_rows: int = TARGET_ROWS,
    newest_too: bool = False,
    advance: Callable[[int], None] = lambda blocks: None,
) -> Compaction:
    """Merge blocks of a topic up to so many rows; those of each partition's newest hour, which still grows, stay.

    `advance` is told how many blocks went into one.
    """
    blocks = lake.blocks(topic)
    about = {take: found.rows for take, found in lake.takes_with_about(topic)}
    partitions: dict[int, list[Take]] = {}
    for take in about:
        partitions.setdefault(take.block.partition, []).append(take)
    kept = {take.block for take in about}
    rewritten = 0
    for takes in partitions.values():
        for run in runs(takes, about, target_rows, newest_too=newest_too):
            whole = merged_block(run)
            rows = pl.concat(lake.read_parts(_of_whole_files(run)), how="diagonal")
            lake.write(whole, rows, lake.about(run[-1].block).source)  # 1
            neighbours = {take.block for take in run}
            lake.delete(neighbours)  # 2
            kept = kept - neighbours | {whole}
            rewritten += len(rows)
            advance(len(run))
    lake.delete(blocks.keys() - kept)  # 3
    lake.files.sweep(topic)
    return Compaction(len(blocks), len(kept), rewritten)


def runs(
    takes: Sequence[Take], rows: Mapping[Take, int], target_rows: int, *, newest_too: bool
) -> Iterator[list[Take]]:
    """Neighbours of one partition, two or more, within an hour and without a gap, that make no more than the target."""
    newest = max(take.block.hour for take in takes)
    run: list[Take] = []
    for take in takes:
        fits = (
            bool(run)
            and take.block.hour == run[-1].block.hour
            and take.first == run[-1].end
            and sum(rows[each] for each in run) + rows[take] <= target_rows
        )
        if not fits:
            if len(run) > 1:
                yield run
            run = []
        if newest_too or take.block.hour < newest:
            run.append(take)
    if len(run) > 1:
        yield run


def merged_block(run: Sequence[Take]) -> Block:
    """The block that neighbours become: from where the first file begins, so that it comes before all of them."""
    first, last = run[0].block, run[-1].block
    return Block(last.topic, last.hour, last.partition, first.first, last.end)


def _of_whole_files(run: Sequence[Take]) -> list[Part]:
    """What to read of a run: also those rows of its first file that another one gives already."""
    return [Part(Take(run[0].block, run[0].block.first)), *map(Part, run[1:])]
