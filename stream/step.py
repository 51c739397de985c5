"""One step of an agent: a batch in, everything that follows from it out, in one transaction.

1. Pin: a new step begins in the state's arena.
2. Compute: the agent's own function; it may change state records in place and sends nothing.
3. Begin the transaction; produce the results, the changelog records, and last the position of each source partition.
4. Commit, with the source offsets.
5. Only then write RocksDB: the changed records and the checkpoint, at once for each partition.

If 2 to 4 fail: abort, forget what the step touched, go back to the committed offsets. If 5 fails, nothing is lost: the
checkpoint stays behind and the changelog brings the database forward.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.batch_topic import Batch, BatchTopic
from stream.changelog import POSITION_KEY, Checkpoint, encode_position
from stream.errors import Fenced, Stop, StreamError
from stream.failpoints import failpoint
from stream.keyed_state import KeyedState
from stream.logs import logger
from stream.metrics import METRICS
from stream.transactions import OutputProducer

log = logger("step")


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
    changed: dict[int, tuple[list[bytes], NDArray[np.int64]]] = field(default_factory=dict)
    """By source partition, the keys whose state changed and their rows; each key once."""
    counts: dict[str, int] = field(default_factory=dict)
    """By metric, see `stream.metrics`."""
    alerts: list[tuple[str, str]] = field(default_factory=list)
    """Score band and what decided, of each alert."""
    oldest_ms: int | None = None
    """When the step's oldest record was published, epoch ms."""


Compute = Callable[[Batch], Outputs]


class StepRunner:
    """Runs an agent's steps, one at a time, in a thread of their own."""

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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{topic.agent}-step")
        self._failures = 0

    def prepared(self, partition: int, checkpoint: Checkpoint) -> None:
        """A partition's state was restored up to `checkpoint`."""
        self._checkpoints[partition] = checkpoint

    def applied(self, partition: int) -> int:
        """Source offset from which on nothing is in the state yet; -1 for the beginning."""
        checkpoint = self._checkpoints.get(partition)
        return checkpoint.source_offset if checkpoint else -1

    def redo(self, batch: Batch) -> dict[int, int]:
        """By partition of a batch, the offset before which its records are in the state already."""
        return {partition: self.applied(partition) for partition in np.unique(batch.partitions).tolist()}

    async def run(self, batch: Batch) -> None:
        """Do the step for `batch`, or rewind so that it comes again.

        Raises `Fenced` or `Stop` when the worker must end.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._step, batch)
            self._failures = 0
        except (Fenced, Stop):
            self._topic.end()
            raise
        except Exception as error:
            await self._again(error)
        finally:
            self._topic.done()

    async def _again(self, error: Exception) -> None:
        self._failures += 1
        ours = isinstance(error, StreamError)
        log.warning(
            "step failed, going back to the committed offsets",
            agent=self._topic.agent,
            attempt=self._failures,
            error=str(error) if ours else type(error).__name__,  # another's words may quote a payment
            exc_info=not ours,
        )
        METRICS.step_failures.labels(self._topic.agent).inc()
        if self._failures > self._patience.retries:
            self._topic.end()
            if isinstance(error, StreamError):
                raise Stop(
                    f"{self._failures} steps failed in a row: {error}",
                    hint="see the log above; the worker starts again from the committed offsets",
                ) from error
            raise Stop(
                f"the same records fail again and again: {type(error).__name__}",
                hint="see the traceback above; the records stay on the topic",
            ) from error
        self._topic.rewind()
        await asyncio.sleep(self._patience.pause_s(self._failures))

    def _step(self, batch: Batch) -> None:
        started = time.perf_counter()
        agent = self._topic.agent
        if self._state is not None:
            self._state.begin()  # 1
        begun = False
        try:
            outputs = self._compute(batch)  # 2
            computed = time.perf_counter()
            failpoint("computed", agent)
            values = {p: self._state.encode(rows) for p, (_, rows) in outputs.changed.items()} if self._state else {}
            self._producer.begin()  # 3
            begun = True
            positions = self._publish(batch, outputs, values)
            published = time.perf_counter()
            self._producer.commit(self._topic.consumer, batch.next_offsets(self._topic.topic))  # 4
        except BaseException:
            if self._state is not None:
                self._state.discard()
            if begun:
                self._producer.abort()
            raise
        failpoint("committed", agent)
        committed = time.perf_counter()
        self._persist(outputs, values, positions)  # 5
        failpoint("persisted", agent)
        done = time.perf_counter()
        times = (computed - started, published - computed, committed - published, done - committed)
        METRICS.step(agent, len(batch), times)
        METRICS.made(outputs.counts, outputs.alerts, outputs.oldest_ms)

    def _publish(self, batch: Batch, outputs: Outputs, values: dict[int, list[bytes]]) -> dict[int, list[int]]:
        """Returns, by source partition, the next source offset, and once delivered the position's changelog offset."""
        for topic, records in outputs.bulk.items():
            self._producer.send_bulk(topic, records)
        for topic, record in outputs.records:
            self._producer.send(topic, **record)
        positions: dict[int, list[int]] = {}
        if self._state is None:
            return positions
        for offset in batch.next_offsets(self._topic.topic):
            partition = offset.partition
            # In at-least-once a redo must not take the position back.
            position = max(offset.offset, self.applied(partition))
            keys = outputs.changed[partition][0] if partition in outputs.changed else []
            self._producer.send_bulk(
                self._changelog,
                [{"key": k, "value": v} for k, v in zip(keys, values.get(partition, []), strict=True)],
                partition,
            )
            positions[partition] = [position]
            self._producer.send(
                self._changelog,
                POSITION_KEY,
                encode_position(position),
                partition=partition,
                sent=positions[partition].append,
            )
        return positions

    def _persist(self, outputs: Outputs, values: dict[int, list[bytes]], positions: dict[int, list[int]]) -> None:
        assert self._state is not None or not positions, "only state has positions"
        for partition, (position, *delivered) in positions.items():
            assert delivered, "a committed record was delivered"
            checkpoint = Checkpoint(position, delivered[0] + 1, self._checkpoints[partition].topic_id)
            keys = outputs.changed[partition][0] if partition in outputs.changed else []
            self._state.persist(partition, keys, values.get(partition, []), checkpoint)  # type: ignore[union-attr]
            self._checkpoints[partition] = checkpoint
