"""What happens to the archive agent's blocks: files first, offsets after.

1. Cut: a batch's records join the open blocks; some of them end.
2. Write: each block that ended, durable when `Lake.write` returns.
3. Only then commit its end: the group's offset of a partition is always where a block ends.

A crash before 3 leaves a block that is written again, from the same offset, by whoever has the partition then: the same
records, perhaps fewer or more of them, and a reader takes each once. When 1 or 2 fails, all partitions go back to their
committed offsets. At a clean stop, and when partitions are asked back, open blocks are written out as they are.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import TopicPartition

from agents.archive import Closed, Cutter
from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.committed import Place
from stream.errors import Fenced, Stop, StreamError
from stream.failpoints import failpoint
from stream.lake import Lake
from stream.logs import logger
from stream.metrics import METRICS
from stream.step import Patience

log = logger("archive")
PATIENCE = Patience()


class Archiver:
    """Runs one topic's cutter, in a thread of its own. `source` is the topic's id."""

    def __init__(
        self,
        cutter: Cutter,
        lake: Lake,
        source: str,
        patience: Patience = PATIENCE,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cutter = cutter
        self._lake = lake
        self._source = source
        self._patience = patience
        self._clock_s = clock_s
        self._lock = threading.Lock()
        """Held while blocks are cut and written."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"archive-{cutter.topic}")
        self._failures = 0
        self._reached: dict[int, int] = {}
        """By partition, the offset up to which everything was read."""
        self._topic: BatchTopic | None = None

    @property
    def topic(self) -> BatchTopic:
        assert self._topic is not None, "attached at start"
        return self._topic

    def attach(self, topic: BatchTopic) -> None:
        """The source, whose partitions `prepare` begins."""
        self._topic = topic
        topic.settle = self.settle

    def prepare(self, partition: int, committed: int, _still_ours: Callable[[], bool]) -> int:
        """A partition begins a life: cut it from the committed offset on."""
        with self._lock:
            self._cutter.begin(partition, committed)
            self._reached.pop(partition, None)
        return committed

    async def run(self, batch: Batch) -> None:
        """Take a batch; what fails is begun again from the committed offsets, or ends the process."""
        try:
            await self._attempt(lambda: self._take(batch))
        finally:
            self.topic.done()

    async def tick(self) -> None:
        """Write the blocks that have been open for too long; to be called once a second or so."""
        await self._attempt(lambda: self._write(self._cutter.due(self._clock_s())))

    async def flush(self) -> bool:
        """Write all open blocks; whether that worked, and nothing has to be read again."""
        return await self._attempt(lambda: self._write(self._cutter.close())) and not self.topic.is_going_back

    def settle(self, timeout_s: float) -> bool:
        """Write all open blocks, for they may be another's next; False if they are busy for so long. For any thread.

        What cannot be written is left to the next owner.
        """
        if not self._lock.acquire(timeout=timeout_s):
            return False
        try:
            if not self.topic.is_going_back:
                self._write(self._cutter.close())
        except StreamError as error:
            log.warning("open blocks could not be written", agent=self.topic.agent, error=str(error))
            self.topic.rewind()
        finally:
            self._lock.release()
        return True

    def has_reached(self, ends: Mapping[int, Place]) -> bool:
        """Whether every partition of `ends` is ours and was read up to there, and none is to be read again."""
        if self.topic.is_going_back or not self.topic.is_ready():
            return False
        return self.has_all(ends) and all(self._reached.get(p, -1) >= place.end for p, place in ends.items())

    def has_all(self, partitions: Iterable[int]) -> bool:
        """Whether these partitions are ours."""
        return set(partitions) <= set(self.topic.partitions)

    def passed(self, ends: Mapping[int, Place]) -> int:
        """How many of the offsets up to `ends` were read."""
        reached = dict(self._reached)
        return sum(place.left - max(0, place.end - reached.get(p, place.end - place.left)) for p, place in ends.items())

    def close(self) -> None:
        self._thread.shutdown()

    async def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._locked, work)
        except Exception as error:
            self._failed(error)
            return False
        return True

    def _failed(self, error: Exception) -> None:
        agent = self.topic.agent
        METRICS.step_failures.labels(agent).inc()
        self._failures += 1
        known = isinstance(error, StreamError)
        log.warning(
            "archiving failed, going back to the committed offsets",
            agent=agent,
            attempt=self._failures,
            error=str(error) if known else type(error).__name__,
            exc_info=None if known else error,
        )
        if isinstance(error, Fenced | Stop):
            self.topic.fail(error)
        elif self._failures <= self._patience.retries:
            self.topic.rewind(self._patience.pause_s(self._failures))
        else:
            hint = error.hint if isinstance(error, StreamError) else "see the traceback above"
            self.topic.fail(Stop(f"archiving failed {self._failures} times in a row: {error}", hint=hint))

    # In the thread

    def _locked(self, work: Callable[[], None]) -> None:
        with self._lock:
            work()
            self._cutter.keep(self.topic.partitions)
        METRICS.lake_open_rows.labels(self._cutter.topic).set(self._cutter.open_rows)

    def _take(self, batch: Batch) -> None:
        if not self.topic.is_current(batch):
            return
        try:
            self._write(self._cutter.add(batch, self._clock_s()))  # 1
        except BaseException:
            self._cutter.forget(batch.epochs)  # in part taken: nothing more of these until they begin again
            raise
        self._reached |= {place.partition: place.offset for place in batch.next_offsets(self.topic.topic)} | batch.ends

    def _write(self, closed: Iterable[Closed]) -> None:
        for block, rows in closed:
            try:
                size = self._lake.write(block, rows, self._source)  # 2
            except BaseException:
                self._cutter.forget([block.partition])  # what follows it must not be committed before it
                raise
            failpoint("written", self.topic.agent)
            self.topic.commit_later([TopicPartition(self.topic.topic, block.partition, block.end)])  # 3
            self._failures = 0
            METRICS.archived(block.topic, len(rows), size)
            log.info("block written", topic=block.topic, partition=block.partition, rows=len(rows), path=block.path)
