"""One step of an agent: a batch in, everything that follows from it out, in one transaction.

1. Pin: a new step begins in the state's arena.
2. Compute: the agent's own function; it may change state records in place and sends nothing. Changed records are
   encoded, so that what is published is this step's, whatever the next one does to them.
3. Begin the transaction; produce the results, the changelog records, and last the position of each source partition.
4. Commit, with the source offsets.
5. Only then write RocksDB: the changed records and the checkpoint, at once for each partition.

3 to 5 of a step overlap 1 and 2 of the next, no deeper: nothing of a step is produced before the one before is
resolved. A batch is fetched as late as it can be without making its step later.

If 2 to 4 fail: abort, forget what this step and the next one touched, go back to the committed offsets; what was
fetched before that is dropped. If 5 fails, nothing is lost: the checkpoint stays behind and the changelog brings the
database forward.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.keys import Keys, Rows, as_bytes
from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.changelog import POSITION_KEY, Change, Checkpoint, encode_position
from stream.errors import Fenced, Retry, Stop, StreamError
from stream.failpoints import failpoint
from stream.keyed_state import KeyedState
from stream.logs import logger
from stream.metrics import METRICS
from stream.transactions import OutputProducer

log = logger("step")
SMOOTHING = 0.2
"""Weight of the newest step in the averages of what steps take."""
LONGEST_GATHER_S = 0.02
"""A next batch waits no longer for the step that is being published, however slow that is."""
STUCK_S = 120.0
"""Far beyond the timeouts of a commit, an abort and a new producer together."""


@dataclass(frozen=True)
class Patience:
    """How often a failing step is done again. As it is: for somewhat more than a minute."""

    retries: int = 8
    """Failures in a row that may pass; the next one stops the worker."""
    first_pause_s: float = 0.5
    """Doubled with each failure in a row."""
    longest_pause_s: float = 30.0

    def pause_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        return float(min(self.longest_pause_s, self.first_pause_s * 2 ** (failures - 1)))


@dataclass
class Outputs:
    """What a step makes, to be published in one transaction."""

    records: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Topic, and what `OutputProducer.send` takes: key, value, partition, headers."""
    bulk: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By topic, records without headers as dicts of key, value and optionally partition."""
    changed: dict[int, tuple[Keys, Rows]] = field(default_factory=dict)
    """By source partition, the keys whose state changed and their rows; each key once."""
    deleted: dict[int, list[bytes]] = field(default_factory=dict)
    """By source partition, keys whose expired state goes; one that this step changed stays."""
    counts: dict[str, int] = field(default_factory=dict)
    """By metric, see `stream.metrics`."""
    alerts: list[tuple[str, str]] = field(default_factory=list)
    """Score band and what decided, of each alert."""
    oldest_ms: int | None = None
    """When the step's oldest record was published, epoch ms."""


Compute = Callable[[Batch], Outputs]


@dataclass(frozen=True)
class Step:
    """A step that is computed and not published."""

    number: int
    """The arena's."""
    batch: Batch
    outputs: Outputs
    changes: dict[int, list[Change]]
    """By source partition."""
    seconds: float
    """What computing took."""


class StepRunner:
    """Runs an agent's steps in two threads, one that computes and one that publishes."""

    def __init__(
        self,
        topic: BatchTopic,
        producer: OutputProducer,
        compute: Compute,
        state: KeyedState | None = None,
        changelog: str = "",
        patience: Patience = Patience(),
    ) -> None:
        self._patience = patience
        self._topic = topic
        self._producer = producer
        self._compute = compute
        self._state = state
        self._changelog = changelog
        self._checkpoints: dict[int, Checkpoint] = {}
        self._computer = ThreadPoolExecutor(1, thread_name_prefix=f"{topic.agent}-compute")
        self._publisher = ThreadPoolExecutor(1, thread_name_prefix=f"{topic.agent}-publish")
        self._computing = asyncio.Lock()
        self._in_flight: Future[None] | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._failures = 0
        self._failing = False
        self._begun: float | None = None
        self._compute_s = self._publish_s = 0.0
        """Moving averages of what a step takes."""
        topic.settle = self.settle

    @property
    def failing(self) -> bool:
        """Whether a step failed, and its partitions are not restored since."""
        return self._failing and bool(self._topic.partitions)

    @property
    def stuck(self) -> bool:
        """Whether a step is being published for longer than any of its calls may take: only a restart helps."""
        begun = self._begun
        return begun is not None and time.monotonic() - begun > STUCK_S

    def prepared(self, partition: int, checkpoint: Checkpoint) -> None:
        """A partition's state was restored up to `checkpoint`."""
        self._failing = False
        self._checkpoints[partition] = checkpoint

    def applied(self, partition: int) -> int:
        """Source offset from which on nothing is in the state yet; -1 for the beginning."""
        checkpoint = self._checkpoints.get(partition)
        return checkpoint.source_offset if checkpoint else -1

    def redo(self, batch: Batch) -> dict[int, int]:
        """By partition of a batch, the offset before which its records are in the state already."""
        return {partition: self.applied(partition) for partition in np.unique(batch.partitions).tolist()}

    def settle(self, timeout_s: float) -> bool:
        """Wait until no step is being published; False if one still is after so long. For any thread."""
        return self._in_flight is None or not wait([self._in_flight], timeout_s).not_done

    async def run(self, batch: Batch) -> None:
        """Compute the step for `batch`, and begin to publish it once the step before is resolved.

        A step that fails comes again; what must end the worker is reported to the topic's `on_failure`.
        """
        try:
            step: Step | Exception | None = None
            async with self._computing:
                if self._topic.is_current(batch):
                    try:
                        step = await self._in(self._computer, self._prepare, batch)
                    except Exception as error:
                        step = error
            if self._publishing is not None:
                await self._publishing
            if self._topic.is_going_back:
                return  # the step before failed, and took this one with it
            if not self._topic.is_current(batch):
                step = Retry("partitions of a step were taken away")
            if isinstance(step, Exception):
                await self._failed(step)
            elif step is not None:
                self._in_flight = self._publisher.submit(self._publish, step)
                self._publishing = asyncio.create_task(self._published(self._in_flight))
        finally:
            self._topic.done(self._spare_s())

    def _spare_s(self) -> float:
        """How much longer publishing takes than computing: what arrives in this time still catches the next step."""
        return min(LONGEST_GATHER_S, max(0.0, self._publish_s - self._compute_s))

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[Batch], Step], batch: Batch) -> Step:
        return await asyncio.get_running_loop().run_in_executor(thread, work, batch)

    async def _published(self, publishing: "Future[None]") -> None:
        try:
            await asyncio.wrap_future(publishing)
            self._failures = 0
        except Exception as error:
            async with self._computing:  # the next step may be computing on the records of this one
                await self._failed(error)

    async def _failed(self, error: Exception) -> None:
        """Forget what unfinished steps touched; then go back, or end. Nothing is computing or publishing here."""
        if self._state is not None:
            self._state.discard()
        if isinstance(error, Fenced | Stop):
            self._topic.fail(error)
            return
        self._failures += 1
        self._failing = True
        ours = isinstance(error, StreamError)
        log.warning(
            "step failed, going back to the committed offsets",
            agent=self._topic.agent,
            attempt=self._failures,
            error=str(error) if ours else type(error).__name__,  # another's words may quote a payment
            exc_info=None if ours else error,
        )
        METRICS.step_failures.labels(self._topic.agent).inc()
        if self._failures <= self._patience.retries:
            self._topic.rewind(self._patience.pause_s(self._failures))
        elif isinstance(error, StreamError):
            self._topic.fail(
                Stop(
                    f"{self._failures} steps failed in a row: {error}",
                    hint="see the log above; the worker starts again from the committed offsets",
                )
            )
        else:
            self._topic.fail(
                Stop(
                    f"the same records fail again and again: {type(error).__name__}",
                    hint="see the traceback above; the records stay on the topic",
                )
            )

    # In the computing thread

    def _prepare(self, batch: Batch) -> Step:
        started = time.perf_counter()
        number = self._state.begin() if self._state else 0  # 1
        outputs = self._compute(batch)  # 2
        changes: dict[int, list[Change]] = {}
        if self._state is not None:
            for partition, (keys, rows) in outputs.changed.items():
                changes[partition] = list(zip(as_bytes(keys), self._state.encode(rows), strict=True))
            for partition, expired in outputs.deleted.items():
                here = changes.setdefault(partition, [])
                kept = {key for key, _ in here}
                here += [(key, None) for key in expired if key not in kept]
        failpoint("computed", self._topic.agent)
        seconds = time.perf_counter() - started
        self._compute_s += SMOOTHING * (seconds - self._compute_s)
        return Step(number, batch, outputs, changes, seconds)

    # In the publishing thread

    def _publish(self, step: Step) -> None:
        self._begun = time.monotonic()
        try:
            self._publish_step(step)
        finally:
            self._begun = None

    def _publish_step(self, step: Step) -> None:
        agent, batch = self._topic.agent, step.batch
        started = time.perf_counter()
        self._producer.begin()  # 3
        try:
            positions = self._produce(step)
            produced = time.perf_counter()
            if not self._topic.is_current(batch):
                raise Retry("the partitions of a step were taken away")
            self._producer.commit(self._topic, batch.next_offsets(self._topic.topic))  # 4
        except BaseException:
            self._producer.abort()
            raise
        failpoint("committed", agent)
        committed = time.perf_counter()
        self._persist(step, positions)  # 5
        failpoint("persisted", agent)
        times = (step.seconds, produced - started, committed - produced, time.perf_counter() - committed)
        self._publish_s += SMOOTHING * (sum(times[1:]) - self._publish_s)
        METRICS.step(agent, len(batch), times)
        METRICS.made(step.outputs.counts, step.outputs.alerts, step.outputs.oldest_ms)

    def _produce(self, step: Step) -> dict[int, list[int]]:
        """Returns, by source partition, the next source offset, and once delivered the position's changelog offset."""
        for topic, records in step.outputs.bulk.items():
            self._producer.send_bulk(topic, records)
        for topic, record in step.outputs.records:
            self._producer.send(topic, **record)
        positions: dict[int, list[int]] = {}
        if self._state is None:
            return positions
        for offset in step.batch.next_offsets(self._topic.topic):
            partition = offset.partition
            # In at-least-once a redo must not take the position back.
            position = max(offset.offset, self.applied(partition))
            self._producer.send_changes(self._changelog, step.changes.get(partition, ()), partition)
            positions[partition] = [position]
            self._producer.send(
                self._changelog,
                POSITION_KEY,
                encode_position(position),
                partition=partition,
                sent=positions[partition].append,
            )
        return positions

    def _persist(self, step: Step, positions: dict[int, list[int]]) -> None:
        if self._state is None:
            return
        for partition, (position, *delivered) in positions.items():
            assert delivered, "a committed record was delivered"
            checkpoint = Checkpoint(position, delivered[0] + 1, self._checkpoints[partition].topic_id)
            self._state.persist(partition, step.changes.get(partition, ()), checkpoint)
            self._checkpoints[partition] = checkpoint
        self._state.keep(step.number)
