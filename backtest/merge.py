"""Partitions of a source, each in its own order, as one passage: by time, cut where chunks end.

The order does not depend on how the source was cut into slabs, nor on how fast its partitions were read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backtest.slab import Slab, merged
from models.passage import CHUNK_MS, chunks

AT_ONCE = 20_000
"""Payments that are gathered before they pass, at least, while there are more."""


@dataclass(frozen=True)
class Progress:
    """Where in its last minute a passage has stopped, to go on from."""

    minute: int = -1
    passed: int = 0
    """Payments of this minute that have passed, whole chunks of them."""


@dataclass(frozen=True)
class Step:
    """Whole chunks of payments."""

    slab: Slab
    starts: NDArray[np.int64]
    """Where each chunk begins."""
    after: Progress


def steps(streams: Mapping[int, Iterator[Slab]], progress: Progress = Progress()) -> Iterator[Step]:
    """Everything that the streams, of one partition each, give."""
    held: list[Slab] = []
    for slabs, last in _gathered(streams):
        held += slabs
        slab = merged([part for part in held if len(part)]) if any(map(len, held)) else None
        if slab is None:
            continue
        before = progress.passed if slab.times[0] // CHUNK_MS == progress.minute else 0
        starts = chunks(slab.times, before)
        # What follows may belong to the chunk that was begun last.
        whole = len(slab) if last else int(starts[-1])
        held = [slab.take(whole, len(slab))]
        if whole:
            progress = _after(slab, whole, before)
            yield Step(slab.take(0, whole), starts[starts < whole], progress)


def _after(slab: Slab, whole: int, before: int) -> Progress:
    minutes = slab.times[:whole] // CHUNK_MS
    minute = int(minutes[-1])
    passed = whole - int(np.searchsorted(minutes, minute))
    return Progress(minute, passed + (before if minute == minutes[0] else 0))


def _gathered(streams: Mapping[int, Iterator[Slab]]) -> Iterator[tuple[list[Slab], bool]]:
    """Payments before which nothing can come any more, and whether they are the last."""
    open_streams = dict(streams)
    buffers: dict[int, list[Slab]] = {key: [] for key in streams}
    reached = dict.fromkeys(streams, -np.inf)
    while open_streams:
        slowest = min(open_streams, key=lambda key: reached[key])
        slab = next(open_streams[slowest], None)
        if slab is None:
            del open_streams[slowest]
        elif len(slab):
            buffers[slowest].append(slab)
            reached[slowest] = slab.times[-1]
        horizon = min((reached[key] for key in open_streams), default=np.inf)
        ready = {key: [part.before(horizon) for part in parts] for key, parts in buffers.items()}
        if open_streams and sum(map(sum, ready.values())) < AT_ONCE:
            continue
        taken = []
        for key, counts in ready.items():
            parts = buffers[key]
            taken += [part.take(0, count) for part, count in zip(parts, counts, strict=True)]
            left = [part.take(count, len(part)) for part, count in zip(parts, counts, strict=True)]
            buffers[key] = [part for part in left if len(part)]
        yield taken, not open_streams
