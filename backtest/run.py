"""A backtest from its source to its scores: payments pass once, features are made once, every model judges them.

    source ──► decoding (a thread a partition) ──► passage (this thread) ──► models and Parquet (a thread a core)

Threads suffice, because what takes long runs without the GIL: librdkafka, polars and compiled code. Every queue
between them is bounded, and so is memory: the payers' and entities' records, and a few slabs.

Now and then, and when it is stopped, a run writes a checkpoint, from which the same request goes on:

    1. all parts up to here are written
    2. the state takes the place of the last checkpoint
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from backtest.ahead import ahead
from backtest.checkpoint import Checkpoint, Counts
from backtest.judges import Seat, feature_frame, scored
from backtest.listed import NO_LISTS, Lists
from backtest.merge import Progress, Step, steps
from backtest.result import FEATURES, SCORES
from backtest.slab import Slab
from backtest.snapshot import Snapshot
from backtest.source import Position, Source, Window, event_times
from models.engine import DUPLICATE
from models.forest import Matrix
from models.passage import Passage
from models.tokens import Tokeniser

PARTS = "parts"
DEPTH = 2
"""Slabs of a partition decoded ahead."""
CHECKPOINT_S = 300.0


class Interrupted(Exception):
    """The run was stopped; it can go on."""


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    identity: str
    """A hash of everything below: only the same request goes on from a checkpoint."""
    source: Source
    window: Window
    seats: Sequence[Seat]
    frauds: pl.DataFrame
    """`backtest.verdicts.FRAUD_COLUMNS`"""
    tokeniser: Tokeniser
    keep_features: bool = True
    lists: Lists = NO_LISTS
    past: Snapshot | None = None
    """What is known before the first payment."""


class Run:
    """One request in its directory. Call it to begin, or to go on."""

    def __init__(
        self, request: Request, directory: Path, stop: threading.Event, advance: Callable[[int], None]
    ) -> None:
        self._request = request
        self._directory = directory
        self._stop = stop
        self._advance = advance
        self._threads = os.cpu_count() or 1
        self._pending: deque[Future[int]] = deque()
        checkpoint = Checkpoint.load(directory)
        if checkpoint is None:
            self.counts, self._positions, self._progress = Counts(), dict[int, Position](), Progress()
            self._passage = request.past.passage(request.tokeniser) if request.past else Passage(request.tokeniser)
            self._unreadable = 0
        else:
            assert checkpoint.request == request.identity, "the caller compared them"
            self.counts, self._positions, self._progress = (
                checkpoint.counts,
                dict(checkpoint.positions),
                checkpoint.progress,
            )
            self._passage = Passage.restored(request.tokeniser, checkpoint.snapshot)
            self._unreadable = checkpoint.unreadable
        self._passage.expect(request.frauds)

    @property
    def unreadable(self) -> int:
        """Records that are no payments; what was read ahead before an interruption may count twice."""
        return self._unreadable + self._request.source.unreadable

    def __call__(self) -> None:
        """Judge what there is. Raises Interrupted, after a checkpoint, once `stop` is set."""
        began, spent = time.monotonic(), self.counts.seconds
        self._clean()
        if not self.counts.finished:
            self._pass_all(began, spent)
        self._finish()
        self.counts.seconds = spent + time.monotonic() - began

    def _pass_all(self, began: float, spent: float) -> None:
        """Judge what is left, in parts."""
        saved = began
        source = self._request.source
        streams = {partition: self._stream(partition) for partition in source.partitions}
        try:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="judge") as pool:
                for step in steps(streams, self._progress):
                    self._pass(step, pool)
                    now = time.monotonic()
                    self.counts.seconds = spent + now - began
                    if self._stop.is_set() or now - saved > CHECKPOINT_S:
                        self._save()
                        saved = now
                    if self._stop.is_set():
                        raise Interrupted
                self.counts.finished = True
                self._save()
        finally:
            for stream in streams.values():
                stream.close()

    def _stream(self, partition: int) -> Generator[Slab]:
        read = partial(self._request.source.read, partition, self._positions.get(partition), self._advance)
        return ahead(read, DEPTH, f"read-{partition}")

    def _pass(self, step: Step, pool: ThreadPoolExecutor) -> None:
        slab = step.slab
        features, status = self._passage.step(slab.batch, slab.times, step.starts)
        for partition in np.unique(slab.partitions).tolist():
            last = int(np.flatnonzero(slab.partitions == partition)[-1])
            self._positions[partition] = Position(int(slab.offsets[last]) + 1, int(slab.times[last]))
        self._progress = step.after
        start = self._request.window.start
        if start is not None:
            inside = np.flatnonzero(event_times(slab.batch.rows) >= start)
            self.counts.warm_up += len(slab) - inside.size
            if inside.size < len(slab):
                slab = Slab(slab.batch.take(inside), slab.times[inside], slab.partitions[inside], slab.offsets[inside])
                features, status = features[inside], status[inside]
        if len(slab):
            self._settle(self._threads)
            self._pending.append(pool.submit(self._judge, self.counts.parts, slab, features, status))
            self.counts.payments += len(slab)
            self.counts.parts += 1

    def _judge(self, part: int, slab: Slab, features: Matrix, status: np.ndarray) -> int:
        """Judge a part and write it; returns how many frauds are in it."""
        rows = scored(slab, features, status, self._request.frauds, self._request.seats, self._request.lists)
        name = f"{part:06d}.parquet"
        if self._request.keep_features:
            feature_frame(features).write_parquet(
                self._directory / FEATURES / name, compression="lz4", statistics=False
            )
        rows.write_parquet(self._directory / PARTS / name, compression="lz4")
        return int(rows.filter((pl.col("status") & DUPLICATE) == 0)["is_fraud"].sum())

    def _settle(self, left: int) -> None:
        """Wait until at most `left` parts are being judged."""
        while len(self._pending) > left:
            self.counts.frauds += self._pending.popleft().result()

    def _save(self) -> None:
        self._settle(0)  # 1
        passage = Passage(self._request.tokeniser) if self.counts.finished else self._passage  # not needed any more
        snapshot = passage.snapshot()
        state = (self.counts, self._positions, self._progress, self.unreadable)
        Checkpoint(self._request.identity, *state, snapshot).write(self._directory)  # 2

    def _clean(self) -> None:
        """Make the directories, without parts after the checkpoint."""
        for name in (PARTS, FEATURES) if self._request.keep_features else (PARTS,):
            folder = self._directory / name
            folder.mkdir(parents=True, exist_ok=True)
            for part in folder.glob("*.parquet"):
                if int(part.stem) >= self.counts.parts:
                    part.unlink()

    def _finish(self) -> None:
        """One file of the parts. Parts and checkpoint stay, for a caller that is interrupted with what follows."""
        parts = sorted((self._directory / PARTS).glob("*.parquet"))
        if parts:
            beside = self._directory / f".{SCORES}"
            pl.scan_parquet(parts).sink_parquet(beside, compression="zstd", compression_level=1)
            beside.replace(self._directory / SCORES)
