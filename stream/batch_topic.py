"""BatchTopic: a Kafka topic as a Faust channel of batches, through librdkafka.

A thread consumes; an agent iterates `async for batch in batches`. The thread only consumes when the last batch is
computed, so records wait in librdkafka's queue and the next batch is whatever has arrived: a handful when it is quiet,
thousands under load. While a rebalance callback runs, at most one step is being published, and it is waited for.

Every call of a running consumer is made in its thread: confluent-kafka lets others wait until `consume` returns, and
until a rebalance callback does.

A partition's life: assigned and paused; prepared (its state restored) in another thread while polling goes on;
resumed at the committed offset; judged; revoked, when its state is closed. An epoch per partition counts its lives:
what belongs to an older one is dropped before it becomes a batch, and a batch that was fetched in an older one before
it is computed or committed.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from mode import Service

from stream import librdkafka
from stream.batch import Batch, batch_of
from stream.committed import CommittedOffsets
from stream.errors import Retry, Stop, StreamError, translated
from stream.failpoints import failpoint
from stream.logs import logger
from stream.settings import ConsumerSettings, KafkaSettings

log = logger("consumer")
PREPARE_PAUSE_S = 1.0
PREPARE_WITHIN_S = 600.0
"""Failures to prepare a partition may pass, one after another, for so long; then the worker stops."""
Prepare = Callable[[int, int, Callable[[], bool]], int]
"""Given partition, committed offset (negative for none) and a question whether the partition is still ours: makes its
state ready and returns where to start, negative for the beginning. Raises `Retry` to be called again."""
Release = Callable[[int], None]
"""Told that a partition is no longer ours."""
NOT_READY = 1 << 62
"""Above every offset."""
LAG_EVERY_S = 1.0
SLOW_STEP_S = 1.0
"""After so long the consumer is polled beside the step, so that a rebalance does not wait for it; until half of
`max_poll_interval_ms` has passed, so that a step that hangs loses its partitions in the end."""
LOST_WITHIN_S = 1.0
"""librdkafka takes itself for another member until it is told that a loss is known (its issue 3437)."""
LOST = -1
"""The epoch of no batch."""


class BatchTopic(Service):
    """Feeds an agent's channel from a topic. One consumer group member, one thread."""

    def __init__(
        self,
        app: Any,
        topic: str,
        agent: str,
        kafka: KafkaSettings,
        settings: ConsumerSettings,
        *,
        prepare: Prepare,
        release: Release,
    ) -> None:
        super().__init__()
        self.topic = topic
        self.channel = app.channel(maxsize=1)
        self.agent = agent
        self._settings = settings
        self._prepare = prepare
        self._release = release
        self._config = librdkafka.group_consumer(kafka, settings, agent)
        self._offsets = CommittedOffsets(kafka, agent, topic)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{agent}-consumer")
        self._preparing = ThreadPoolExecutor(settings.restore_threads, thread_name_prefix=f"{agent}-restore")
        self._consumer: Consumer | None = None
        self._lives = 0
        self._epochs: dict[int, int] = {}
        self._ready: dict[int, int] = {}
        """By partition that is prepared, the offset from which on records are handed over."""
        self._pending: dict[int, Future[int]] = {}
        self._prepared: dict[int, Future[int]] = {}
        """By partition, its last preparation, whatever became of it."""
        self._at_work: set[int] = set()
        """Partitions that a restoring thread works on, and closes itself if they are given up meanwhile."""
        self._giving_up = threading.Lock()
        self._failure: BaseException | None = None
        self._rewind_wanted = False
        self._not_before = 0.0
        self._serving = False
        self._held: list[Message] = []
        self._not_full_before = 0.0
        self._lag: dict[int, int] = {}
        self._behind: dict[int, int] = {}
        """By partition, the lag when its preparation last asked."""
        self._lag_known_at = 0.0
        self._to_commit: dict[int, int] = {}
        self._ended = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.assigned_once = False
        self.group_metadata: Any = None
        """Our place in the consumer group as of the last fetch or revocation; what fences a step's offsets."""
        self.on_failure: Callable[[StreamError], None] = lambda error: None
        """Told of the error that ended the reading."""
        self.settle: Callable[[float], bool] = lambda timeout_s: True
        """Waits until no step is being published; False if one still is after so many seconds."""

    # What the agent and the step use

    @property
    def consumer(self) -> Consumer:
        assert self._consumer is not None, "subscribed in on_start"
        return self._consumer

    def done(self, gather_s: float = 0.0) -> None:
        """The agent has computed its batch: the next one may be fetched, and wait so long from now to fill."""
        self._not_full_before = time.monotonic() + gather_s
        self._idle.set()

    def fail(self, error: StreamError) -> None:
        """Read nothing more: the agent cannot go on."""
        self._ended = True
        self._failed(error)

    def rewind(self, pause_s: float = 0.0) -> None:
        """Go back to the committed offsets of every partition, before anything else is read; its state is restored.

        Nothing is publishing. Batches fetched before are no longer current.
        """
        self._not_before = time.monotonic() + pause_s
        self._rewind_wanted = True

    def is_current(self, batch: Batch) -> bool:
        """Whether every partition of a batch is still in the life in which the batch was fetched."""
        return not self.is_going_back and all(self._epochs.get(p) == epoch for p, epoch in batch.epochs.items())

    @property
    def is_going_back(self) -> bool:
        """Whether everything that was fetched so far is to be dropped."""
        return self._rewind_wanted or self._ended

    def is_ready(self) -> bool:
        """Assigned, and every partition restored. A worker without a partition is ready to take one."""
        return self.assigned_once and not self._pending and self._failure is None

    def lag(self) -> dict[int, int]:
        """By partition, offsets from the last record fetched to the end of what librdkafka knew of it a moment ago."""
        return self._lag | {p: self._behind[p] for p in list(self._pending) if p in self._behind}

    def commit_later(self, offsets: Sequence[TopicPartition]) -> None:
        """Commit offsets of the group soon, outside any transaction: between two fetches, or when partitions go."""
        for place in offsets:
            self._to_commit[place.partition] = place.offset

    @property
    def partitions(self) -> list[int]:
        return sorted(self._epochs)

    # The service

    async def on_start(self) -> None:
        self._consumer = Consumer(self._config)
        self._consumer.subscribe(
            [self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    @Service.task
    async def _feed(self) -> None:
        loop = asyncio.get_running_loop()
        fetched = time.monotonic()
        try:
            while not (self.should_stop or self._ended):
                if not self._idle.is_set():
                    try:
                        await asyncio.wait_for(self._idle.wait(), timeout=SLOW_STEP_S)
                    except TimeoutError:
                        if time.monotonic() - fetched < self._settings.max_poll_interval_ms / 2000:
                            await loop.run_in_executor(self._thread, self._serve)
                        continue
                batch = await loop.run_in_executor(self._thread, self._fetch)
                fetched = time.monotonic()
                if batch is not None and not self.should_stop:
                    self._idle.clear()
                    await self.channel.send(value=batch)
        except StreamError as error:
            self._failed(error)
        except KafkaException as error:  # a fatal one, as when another process takes our slot
            self._failed(translated(error, f"reading {self.topic}"))
        except Exception as error:
            log.error("reading failed", agent=self.agent, exc_info=error)
            self._failed(Stop(f"reading {self.topic} failed: {error}", hint="see the traceback in the log"))

    def _failed(self, error: StreamError) -> None:
        self._failure = error
        self.on_failure(error)

    async def on_stop(self) -> None:
        """Let the step in progress end, if it does so in time; then leave the group and close the state."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout=self._settings.revoke_timeout_ms / 1000)
        await loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)
        self._preparing.shutdown(wait=False)

    # In the consumer's thread

    def _close(self) -> None:
        self.settle(self._settings.revoke_timeout_ms / 1000)
        self._commit(asynchronous=False)
        for partition in list(self._epochs):
            self._drop(partition)
        wait(self._prepared.values(), self._settings.revoke_timeout_ms / 1000)
        if self._consumer is not None:
            self._consumer.close()

    def _serve(self) -> None:
        """While a step is slow: let callbacks come, and no records. One that is on its way is kept for later."""
        if not self._serving:
            self._serving = True
            self.consumer.pause([TopicPartition(self.topic, p) for p in self._ready])
        self._held += self.consumer.consume(1, timeout=0)

    def _fetch(self) -> Batch | None:
        """Whatever has arrived, at most `max_batch`; None when there is nothing."""
        if self._serving:
            self._serving = False
            self.consumer.resume([TopicPartition(self.topic, p) for p in self._ready])
        if self._rewind_wanted:
            # One still in preparation had no part in the failed step.
            self._start_again([p for p in self._epochs if p not in self._pending])
            self._rewind_wanted = False  # only now: until here, what was fetched before counts as old by this
        self._resume_prepared()
        self._commit(asynchronous=True)
        self._look_at_lag()
        messages, self._held = self._held, []
        wait_s = self._settings.poll_ms / 1000 if not self._pending else 0.01
        messages += self.consumer.consume(1, timeout=0 if messages else wait_s)
        if self._failure is not None:
            raise self._failure
        if messages and self._settings.max_batch > 1:
            gather_s = max(self._settings.gather_ms / 1000, self._not_full_before - time.monotonic())
            messages += self.consumer.consume(self._settings.max_batch - 1, timeout=gather_s)
        if self._failure is not None:
            raise self._failure
        return self._batch(messages)

    def _batch(self, messages: Sequence[Message]) -> Batch | None:
        kept, ends = [], []
        for message in messages:
            error = message.error()
            if error is None:
                kept.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends.append(message)
            else:
                self._check(message, error)
        # What was fetched before a pause or a rewind belongs to an earlier life of its partition.
        kept, ends = (
            [m for m in some if m.offset() >= self._ready.get(m.partition(), NOT_READY)] for some in (kept, ends)
        )
        if not kept and not ends:
            return None
        batch = batch_of(kept, self._epochs, {m.partition(): m.offset() for m in ends})
        self.group_metadata = self.consumer.consumer_group_metadata()
        for place in batch.next_offsets(self.topic):
            self._ready[place.partition] = place.offset  # whatever comes, no record is handed over twice in one life
        return batch

    def _commit(self, *, asynchronous: bool) -> None:
        """What does not arrive is committed with the next step, or the records come again."""
        offsets, self._to_commit = self._to_commit, {}
        if not offsets:
            return
        try:
            places = [TopicPartition(self.topic, p, offset) for p, offset in offsets.items()]
            self.consumer.commit(offsets=places, asynchronous=asynchronous)
        except KafkaException as error:
            log.warning("offsets were not committed", agent=self.agent, error=error.args[0].str())

    def _look_at_lag(self) -> None:
        if time.monotonic() - self._lag_known_at < LAG_EVERY_S:
            return
        self._lag_known_at = time.monotonic()
        started = dict(self._ready)
        lag = {}
        for place in self.consumer.position([TopicPartition(self.topic, p) for p in started]) if started else []:
            _, high = self.consumer.get_watermark_offsets(place, cached=True)
            if high >= 0:
                lag[place.partition] = max(0, high - max(place.offset, started[place.partition]))
        self._lag = lag

    def _check(self, message: Message, error: KafkaError) -> None:
        """Raises what must end the worker; the rest is weather, which librdkafka sits out."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise Stop(
                f"the next records of {self.topic}-{message.partition()} are no longer there: {error.str()}",
                hint="the topic was made again, or its retention is shorter than the worker was away: "
                "decide what to do about the gap: docs/operations.md, When state and offsets disagree",
            )
        problem = translated(error, f"reading {self.topic}")
        if not isinstance(problem, Retry):
            raise problem
        log.warning("reading is disturbed", agent=self.agent, error=str(problem))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            # Where to start is known when the state is; any explicit place keeps librdkafka from looking for one.
            failpoint("assigned", self.agent)
            consumer.incremental_assign([TopicPartition(self.topic, p.partition, OFFSET_BEGINNING) for p in partitions])
            self.assigned_once = True
            log.info("partitions assigned", agent=self.agent, partitions=[p.partition for p in partitions])
            self._start_again([p.partition for p in partitions])
        except BaseException as error:  # an exception in a callback would lose the batch: raised after consume
            self._failure = self._failure or error

    def _start_again(self, partitions: list[int]) -> None:
        if not partitions:
            return
        self.consumer.pause([TopicPartition(self.topic, p) for p in partitions])
        for partition in partitions:
            self._lives += 1
            self._epochs[partition] = self._lives
            self._ready.pop(partition, None)
            before = self._prepared.get(partition)
            preparing = self._preparing.submit(self._make_ready, partition, self._lives, before)
            self._pending[partition] = self._prepared[partition] = preparing

    def _make_ready(self, partition: int, epoch: int, before: "Future[int] | None") -> int:
        """In a restoring thread: where to go on, once the state is there. Waits for brokers that come back."""
        if before is not None:
            wait([before])  # no two restores of one partition at once; this one was given up, and ends

        def still_ours() -> bool:
            return self._epochs.get(partition) == epoch

        with self._giving_up:
            self._at_work.add(partition)
        try:
            return self._restored(partition, still_ours)
        finally:
            with self._giving_up:
                self._at_work.discard(partition)
                left_to_us = partition not in self._epochs
            if left_to_us:
                self._release(partition)

    def _restored(self, partition: int, still_ours: Callable[[], bool]) -> int:
        until = time.monotonic() + PREPARE_WITHIN_S
        while still_ours():
            try:
                return self._prepare(partition, self._committed(partition, still_ours), still_ours)
            except Retry as error:
                if time.monotonic() > until:
                    raise Stop(str(error), hint="look at the brokers' health; nothing was lost") from error
                if still_ours():
                    log.warning("restoring again", agent=self.agent, partition=partition, error=str(error))
                    time.sleep(PREPARE_PAUSE_S)
        raise Retry(f"{self.topic}-{partition} was given up")

    def _committed(self, partition: int, still_ours: Callable[[], bool]) -> int:
        place = self._offsets.wait_for(partition, still_ours)
        self._behind[partition] = place.left
        return place.committed

    def _resume_prepared(self) -> None:
        if time.monotonic() < self._not_before:
            return
        for partition, future in list(self._pending.items()):
            if not future.done():
                continue
            start = future.result()
            try:
                self.consumer.seek(TopicPartition(self.topic, partition, start if start >= 0 else OFFSET_BEGINNING))
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE:
                    raise translated(error, f"going to {start} of {self.topic}-{partition}") from error
                continue  # the assignment has not reached librdkafka's fetcher yet: next time round
            del self._pending[partition]
            self._ready[partition] = max(start, 0)
            self.consumer.resume([TopicPartition(self.topic, partition)])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """They are ours until we return: a step that is being published is committed, if it is soon enough."""
        self._give_up(consumer, partitions, "revoked", self._settings.revoke_timeout_ms / 1000)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """They may be another's by now: what is not committed is aborted."""
        for partition in partitions:
            self._epochs[partition.partition] = LOST
        self._give_up(consumer, partitions, "lost", LOST_WITHIN_S)

    def _give_up(self, consumer: Consumer, partitions: list[TopicPartition], why: str, within_s: float) -> None:
        """State is written out and closed before anyone else may have the partition."""
        try:
            log.info("partitions given up", agent=self.agent, partitions=[p.partition for p in partitions], reason=why)
            self.group_metadata = consumer.consumer_group_metadata()
            if not self.settle(within_s):
                log.warning("a step takes too long and is aborted", agent=self.agent)
            self._commit(asynchronous=False)
            for partition in partitions:
                self._drop(partition.partition)
            failpoint("revoked", self.agent)
            consumer.incremental_unassign(partitions)
        except BaseException as error:
            self._failure = self._failure or error

    def _drop(self, partition: int) -> None:
        pending = self._pending.pop(partition, None)
        if pending is not None:
            pending.cancel()
        with self._giving_up:
            if self._epochs.pop(partition, None) is None:
                return  # when the consumer closes, all that were dropped are revoked as well
            self._ready.pop(partition, None)
            if partition in self._at_work:
                return  # whoever restores it notices that it is gone, and closes it
        self._release(partition)
