"""A lake's payments in order of event time, whatever the partitions and however late some came, in bounded memory.

Blocks are visited by the earliest payment they hold. Most of a block's payments lie in its own hour or after it; the
few late ones before it are taken at the first visit, and the rest when the hour has come. In memory are, so, the blocks
that overlap at one moment (about those of an hour, over all partitions), the late payments of what was visited, and the
small files that `Lake.read_parts` reads ahead.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter

import polars as pl

from schemas.lake import HOUR_MS, LakeTopic
from stream.lake import Lake, Part

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
    visits: list[tuple[int, Part]] = []
    """When, and for what."""
    for take, about in lake.takes_with_about(topic):
        if about.first_ms is None or not about.within(start_ms, end_ms):
            continue
        at, own_hour = max(about.first_ms, start_ms or 0), take.block.hour * HOUR_MS
        if at < own_hour < (BEYOND if end_ms is None else end_ms):
            visits += (at, Part(take, start_ms, own_hour)), (own_hour, Part(take, own_hour, end_ms))
        else:
            visits.append((at, Part(take, start_ms, end_ms)))
    visits.sort(key=itemgetter(0))
    dues = [*(at for at, _ in visits[1:]), BEYOND]
    held = pl.DataFrame()
    for rows, due in zip(lake.read_parts([part for _, part in visits], columns), dues, strict=False):
        frames = [frame for frame in (held, rows) if len(frame)]
        if not frames:
            continue
        held = pl.concat(frames)
        early = held["event_time"] < due
        if early.any():
            yield held.filter(early).sort(ORDER)
            held = held.filter(~early)
