"""A lake's payments in order of event time, whatever the partitions and however late some came, in bounded memory.

Blocks are visited by the earliest payment they hold. Most of a block's payments lie in its own hour or after it; the
few late ones before it are taken at the first visit, and the rest when the hour has come. In memory are, so, the blocks
that overlap at one moment (about those of an hour, over all partitions), and the late payments of what was visited.
"""

import heapq
from collections.abc import Iterator, Sequence

import polars as pl

from schemas.lake import HOUR_MS, LakeTopic, Take
from stream.lake import Lake

ORDER = ("event_time", "partition", "offset")
BEYOND = 1 << 62
"""Later than every event time."""


def in_time_order(
    lake: Lake,
    columns: Sequence[str],
    *,
    topic: LakeTopic = "transactions",
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> Iterator[pl.DataFrame]:
    """Payments with start_ms <= event_time < end_ms and these columns, which must have those of `ORDER`."""
    waiting: list[tuple[int, int, Take, int | None]] = []
    """When to visit, a number to tell ties apart, what, and from which event time on."""
    for take, about in lake.takes_with_about(topic):
        if about.first_ms is not None and about.within(start_ms, end_ms):
            waiting.append((max(about.first_ms, start_ms or 0), len(waiting), take, start_ms))
    heapq.heapify(waiting)
    held = pl.DataFrame()
    while waiting:
        at, number, take, from_ms = heapq.heappop(waiting)
        own_hour = take.block.hour * HOUR_MS
        late = at < own_hour < (BEYOND if end_ms is None else end_ms)
        rows = lake.rows(take, columns, start_ms=from_ms, end_ms=own_hour if late else end_ms)
        if late:
            heapq.heappush(waiting, (own_hour, number, take, own_hour))
        held = pl.concat([held, rows]) if held.width else rows
        due = waiting[0][0] if waiting else BEYOND
        ready = held.filter(pl.col("event_time") < due)
        if len(ready):
            yield ready.sort(ORDER)
            held = held.filter(pl.col("event_time") >= due)
