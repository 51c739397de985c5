"""Bring a partition's local state to what Kafka has committed, before anything of the partition is judged.

1. Wait until the group's committed offset is stable (no transaction of a predecessor is open on it).
2. Only then ask for the changelog's end, as a reader of everything: a step whose offsets are committed has written
   all its changelog records and their commit marker below it, or the marker still comes.
3. Replay committed records from the local checkpoint until the end of the partition lies at or beyond that end.
   An open transaction holds the end back, so waiting for it waits for the marker.
4. The reserved key's position must agree with the committed offset.

Every wait has a limit. A disagreement stops the worker; nothing is guessed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.admin import topic_id
from stream.changelog import POSITION_KEY, Checkpoint, decode_position
from stream.errors import Retry, Stop, translated
from stream.failpoints import failpoint
from stream.keyed_state import KeyedState
from stream.librdkafka import reader
from stream.logs import logger
from stream.settings import KafkaSettings, RestoreSettings

log = logger("restore")
POLL_S = 0.2
REBUILD = "restore the topic, rebuild, or accept the loss: docs/operations.md, When state and offsets disagree"


@dataclass(frozen=True)
class Restored:
    """A partition that is ready."""

    source_offset: int
    """Next offset of the source to judge, which is the committed one; -1 for the earliest."""
    checkpoint: Checkpoint
    records: int
    """Changelog records replayed."""


class Restorer:
    """Restores partitions of one agent's state from its changelog topic."""

    def __init__(
        self,
        kafka: KafkaSettings,
        changelog: str,
        state: KeyedState,
        settings: RestoreSettings,
        *,
        exact: bool,
        accept_loss: bool = False,
    ) -> None:
        self._kafka = kafka
        self._changelog = changelog
        self._state = state
        self._settings = settings
        self._exact = exact
        self._accept_loss = accept_loss

    def restore(
        self,
        partition: int,
        committed: int,
        still_ours: Callable[[], bool] = lambda: True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Restored:
        """Make one partition ready; `committed` is the group's stable offset, negative for none.

        `progress` is told records replayed and changelog offsets left. Raises `Stop` when state and offsets disagree,
        `Retry` once the partition is no longer ours.
        """
        started = time.monotonic()
        identity = topic_id(self._kafka, self._changelog)
        low, high = self._watermarks(partition)
        checkpoint = self._usable(partition, self._state.open(partition), identity, low, high)
        checkpoint, records = self._replay(partition, checkpoint, high, still_ours, progress)
        self._agree(partition, checkpoint.source_offset, committed)
        log.info(
            "partition restored",
            partition=partition,
            records=records,
            offset=checkpoint.source_offset,
            committed=committed,
            seconds=round(time.monotonic() - started, 3),
        )
        return Restored(max(committed, -1), checkpoint, records)

    def _usable(
        self, partition: int, checkpoint: Checkpoint | None, identity: bytes, low: int, high: int
    ) -> Checkpoint:
        """Where the replay starts: the local checkpoint, if this changelog goes on from it."""
        fresh = Checkpoint(-1, low, identity)
        name = f"{self._changelog}-{partition}"
        if low > 0:
            self._refuse(
                f"the changelog {name} was truncated: it starts at {low}, and compaction never moves its start"
            )
        if checkpoint is None:
            return fresh
        if checkpoint.topic_id != identity:
            self._refuse(f"the changelog {name} was made again since the local state was written")
        elif checkpoint.changelog_offset > high:
            self._refuse(
                f"the changelog {name} ends at {high}, short of the local state's {checkpoint.changelog_offset}"
            )
        elif checkpoint.changelog_offset >= low:
            return checkpoint
        self._state.wipe(partition)
        self._state.open(partition)
        return fresh

    def _watermarks(self, partition: int) -> tuple[int, int]:
        """Start and end of the changelog, with what is not committed yet."""
        consumer = Consumer(reader(self._kafka, committed_only=False))
        try:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(self._changelog, partition), timeout=self._settings.committed_timeout_s
            )
        except KafkaException as error:
            raise translated(error, f"asking for the end of {self._changelog}-{partition}") from error
        finally:
            consumer.close()
        return int(low), int(high)

    def _replay(
        self,
        partition: int,
        checkpoint: Checkpoint,
        high: int,
        still_ours: Callable[[], bool],
        progress: Callable[[int, int], None] | None,
    ) -> tuple[Checkpoint, int]:
        position, offset, total = checkpoint.source_offset, checkpoint.changelog_offset, 0
        if offset >= high:
            return checkpoint, 0
        consumer = Consumer(reader(self._kafka))
        consumer.assign([TopicPartition(self._changelog, partition, offset)])
        last_news = time.monotonic()
        ended = False
        try:
            while not ended:
                if not still_ours():
                    raise Retry(f"partition {partition} was given up during its restore")
                messages = consumer.consume(1, timeout=POLL_S)
                messages += consumer.consume(self._settings.batch, timeout=0)  # what is there, without waiting for more
                failpoint("restoring")
                records = []
                for message in messages:
                    error = message.error()
                    if error is None:
                        key, value = message.key(), message.value()
                        if key == POSITION_KEY:
                            position = self._position(partition, value)
                        else:
                            records.append((key, value))
                        offset = message.offset() + 1
                    elif error.code() == KafkaError._PARTITION_EOF:
                        ended = message.offset() >= high
                        offset = max(offset, message.offset())
                    else:
                        self._check(partition, error)
                if offset > checkpoint.changelog_offset or ended:
                    last_news = time.monotonic()
                    checkpoint = Checkpoint(position, offset, checkpoint.topic_id)
                    self._state.restore(partition, records, checkpoint)
                    total += len(records)
                    if progress:
                        progress(total, max(0, high - offset))
                elif time.monotonic() - last_news > self._settings.stalled_timeout_s:
                    raise Stop(
                        f"{self._changelog}-{partition} ends at {offset}, short of {high}, and nothing more comes",
                        hint="a transaction may hang: look for it with `kafka-transactions.sh find-hanging`",
                    )
        finally:
            consumer.close()
        return checkpoint, total

    def _check(self, partition: int, error: KafkaError) -> None:
        """Raises what ends the restore; the rest is weather, and the limit of the wait stands."""
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise Stop(f"the changelog {self._changelog}-{partition} was truncated while it was read", hint=REBUILD)
        problem = translated(error, f"reading {self._changelog}-{partition}")
        if not isinstance(problem, Retry):
            raise problem

    def _position(self, partition: int, value: bytes | None) -> int:
        try:
            return decode_position(value or b"")
        except ValueError as error:
            raise Stop(
                f"the changelog {self._changelog}-{partition} holds a position that is none", hint=REBUILD
            ) from error

    def _agree(self, partition: int, position: int, committed: int) -> None:
        if position == max(committed, -1) or (committed < 0 and position <= 0):
            return
        if not self._exact and position > committed:
            return  # what lies between was applied and is done again
        self._refuse(
            f"the changelog {self._changelog}-{partition} stands at source offset {position}, "
            f"the group committed {committed}"
        )

    def _refuse(self, problem: str) -> None:
        if not self._accept_loss:
            raise Stop(problem, hint=REBUILD)
        log.warning("going on without the lost state", reason=problem)
