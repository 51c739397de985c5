"""Bring a partition's local state to what Kafka has committed, before anything of the partition is judged.

1. Wait until the group's committed offset is stable (no transaction of a predecessor is open on it).
2. Only then ask for the changelog's end, as a reader of everything: a step whose offsets are committed has written
   all its changelog records and their commit marker below it, or the marker still comes.
3. Replay committed records from the local checkpoint until the end of the partition lies at or beyond that end.
   An open transaction holds the end back, so waiting for it waits for the marker.
4. The reserved key's position must agree with the committed offset.

Every wait has a limit. A disagreement stops the worker; nothing is guessed. A restore that is cut short goes on from
the checkpoint of its last batch that reached the disk.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.admin import topic_id
from stream.changelog import POSITION_KEY, REBUILT_KEY, Checkpoint
from stream.errors import Retry, Stop, of_known_partition, translated
from stream.failpoints import failpoint
from stream.keyed_state import KeyedState
from stream.librdkafka import reader
from stream.logs import logger
from stream.replay import REBUILD, Replay, read_position
from stream.settings import KafkaSettings, RestoreSettings

log = logger("restore")
POLL_S = 0.2
TELL_EVERY_S = 5.0


@dataclass(frozen=True)
class Restored:
    """A partition that is ready."""

    source_offset: int
    """Next offset of the source to judge, which is the committed one; -1 for the earliest."""
    checkpoint: Checkpoint
    records: int
    """Changelog records replayed."""


@dataclass(frozen=True)
class Progress:
    """How far a restore is."""

    records: int
    """Changelog records replayed."""
    left: int
    """Offsets still to read; compaction and transactions leave gaps, so there are fewer records."""
    seconds_left: float
    """At the pace so far."""


class Restorer:
    """Restores partitions of one agent's state from its changelog topic."""

    def __init__(
        self,
        kafka: KafkaSettings,
        changelog: str,
        state: KeyedState,
        settings: RestoreSettings,
        *,
        agent: str = "",
        exact: bool,
        accept_loss: bool = False,
    ) -> None:
        self._kafka = kafka
        self._changelog = changelog
        self._state = state
        self._settings = settings
        self._agent = agent
        self._exact = exact
        self._accept_loss = accept_loss

    def restore(
        self,
        partition: int,
        committed: int,
        still_ours: Callable[[], bool] = lambda: True,
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Restored:
        """Make one partition ready; `committed` is the group's stable offset, negative for none.

        Raises `Stop` when state and offsets disagree, `Retry` once the partition is no longer ours.
        """
        started = time.monotonic()
        identity = topic_id(self._kafka, self._changelog)
        low, high = self._watermarks(partition)
        fresh = Checkpoint(-1, low, identity)
        checkpoint = self._usable(partition, self._state.open(partition), fresh, high, committed, still_ours)
        checkpoint, records = self._replay(partition, checkpoint, high, still_ours, progress)
        self._agree(partition, checkpoint.source_offset, committed)
        log.info(
            "partition restored",
            agent=self._agent,
            partition=partition,
            records=records,
            offset=checkpoint.source_offset,
            committed=committed,
            seconds=round(time.monotonic() - started, 3),
        )
        return Restored(max(committed, -1), checkpoint, records)

    def _usable(
        self,
        partition: int,
        checkpoint: Checkpoint | None,
        fresh: Checkpoint,
        high: int,
        committed: int,
        still_ours: Callable[[], bool],
    ) -> Checkpoint:
        """Where the replay starts: the local checkpoint, if this changelog goes on from it."""
        low, name = fresh.changelog_offset, f"{self._changelog}-{partition}"
        if low > 0:
            self._refuse(
                f"the changelog {name} was truncated: it starts at {low}, and compaction never moves its start"
            )
        if checkpoint is None:
            return fresh
        if checkpoint.topic_id != fresh.topic_id:
            # Looked at before the local state goes, which may be the last copy.
            position = self._rebuilt(partition, low, high, still_ours)
            if position is None or not self._agrees(position, committed):
                stands = "and was not rebuilt" if position is None else f"and stands at source offset {position}"
                self._refuse(
                    f"the changelog {name} was made again since the local state was written, {stands}; "
                    f"the group committed {committed}"
                )
            else:
                log.warning("the changelog was rebuilt, replacing the local state", partition=partition)
        elif checkpoint.changelog_offset > high:
            self._refuse(
                f"the changelog {name} ends at {high}, short of the local state's {checkpoint.changelog_offset}"
            )
        elif checkpoint.changelog_offset >= low:
            return checkpoint
        self._state.wipe(partition)
        self._state.open(partition)
        return fresh

    def _rebuilt(self, partition: int, low: int, high: int, still_ours: Callable[[], bool]) -> int | None:
        """The last position of a changelog that was rebuilt, which is near its end; None for another one."""
        first = next((messages[0] for messages, _ in self._read(partition, low, high, still_ours) if messages), None)
        if first is None or first.key() != REBUILT_KEY:
            return None
        for back in (1_000, 100_000, high):
            position, start = -1, max(low, high - back)
            for messages, _ in self._read(partition, start, high, still_ours):
                for message in messages:
                    if message.key() == POSITION_KEY:
                        position = read_position(f"{self._changelog}-{partition}", message.value())
            if position >= 0 or start == low:
                return position
        return -1

    def _watermarks(self, partition: int) -> tuple[int, int]:
        """Start and end of the changelog, with what is not committed yet."""
        consumer = Consumer(reader(self._kafka, committed_only=False))
        try:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(self._changelog, partition), timeout=self._settings.committed_timeout_s
            )
        except KafkaException as error:
            raise of_known_partition(error, f"asking for the end of {self._changelog}-{partition}") from error
        finally:
            consumer.close()
        return int(low), int(high)

    def _replay(
        self,
        partition: int,
        checkpoint: Checkpoint,
        high: int,
        still_ours: Callable[[], bool],
        progress: Callable[[Progress], None],
    ) -> tuple[Checkpoint, int]:
        replay = Replay(self._state, self._changelog, partition, checkpoint)
        pace = _Pace(checkpoint.changelog_offset, high)
        for messages, end in self._read(partition, checkpoint.changelog_offset, high, still_ours):
            self._state.bound_tail(partition, replay.take(messages, end))
            progress(pace.at(replay.records, replay.checkpoint.changelog_offset))
            self._tell(partition, pace)
        return replay.checkpoint, replay.records

    def _read(
        self, partition: int, offset: int, high: int, still_ours: Callable[[], bool]
    ) -> Iterator[tuple[list[Message], int]]:
        """Committed records from `offset` on, in batches, each with where the partition ended just then, -1 if it did
        not; until it ends at or beyond `high`."""
        if offset >= high:
            return
        consumer = Consumer(reader(self._kafka))
        consumer.assign([TopicPartition(self._changelog, partition, offset)])
        last_news, troubled, end = time.monotonic(), False, -1
        try:
            while end < high:
                if not still_ours():
                    raise Retry(f"partition {partition} was given up during its restore")
                messages = consumer.consume(1, timeout=POLL_S)
                messages += consumer.consume(self._settings.batch, timeout=0)  # what is there, without waiting for more
                failpoint("restoring", self._agent)
                good = [message for message in messages if message.error() is None]
                end, trouble = self._errors(partition, messages)
                reached = max(end, good[-1].offset() + 1 if good else -1)
                if reached > offset or end >= high:
                    offset, last_news, troubled = max(offset, reached), time.monotonic(), False
                    yield good, end
                elif time.monotonic() - last_news > self._settings.stalled_timeout_s:
                    self._stalled(partition, offset, high, troubled or trouble)
                troubled = troubled or trouble
        finally:
            consumer.close()

    def _errors(self, partition: int, messages: list[Message]) -> tuple[int, bool]:
        """Where the partition ended, -1 if it did not; and whether the brokers are in trouble, which passes.

        Raises what ends the restore.
        """
        end, trouble = -1, False
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                end = message.offset()
            elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise Stop(f"the changelog {self._changelog}-{partition} was truncated while it was read", hint=REBUILD)
            else:
                problem = translated(error, f"reading {self._changelog}-{partition}")
                if not isinstance(problem, Retry):
                    raise problem
                trouble = True
        return end, trouble

    def _stalled(self, partition: int, offset: int, high: int, trouble: bool) -> None:
        problem = f"{self._changelog}-{partition} ends at {offset}, short of {high}, and nothing more comes"
        if trouble:
            raise Retry(problem)
        raise Stop(problem, hint="a transaction may hang: look for it with `kafka-transactions.sh find-hanging`")

    def _tell(self, partition: int, pace: "_Pace") -> None:
        if pace.due():
            log.info(
                "restoring",
                agent=self._agent,
                partition=partition,
                records=pace.now.records,
                left=pace.now.left,
                seconds_left=round(pace.now.seconds_left, 1),
            )

    def _agrees(self, position: int, committed: int) -> bool:
        if position == max(committed, -1) or (committed < 0 and position <= 0):
            return True
        return not self._exact and position > committed  # what lies between was applied and is done again

    def _agree(self, partition: int, position: int, committed: int) -> None:
        if not self._agrees(position, committed):
            self._refuse(
                f"the changelog {self._changelog}-{partition} stands at source offset {position}, "
                f"the group committed {committed}"
            )

    def _refuse(self, problem: str) -> None:
        if not self._accept_loss:
            raise Stop(problem, hint=REBUILD)
        log.warning("going on without the lost state", reason=problem)


class _Pace:
    """How fast offsets pass, from the first batch's start."""

    def __init__(self, first: int, high: int) -> None:
        self._first, self._high = first, high
        self._started = self._told = time.monotonic()
        self.now = Progress(0, high - first, float("inf"))

    def at(self, records: int, offset: int) -> Progress:
        passed, left = offset - self._first, max(0, self._high - offset)
        seconds = time.monotonic() - self._started
        self.now = Progress(records, left, left * seconds / passed if passed else float("inf"))
        return self.now

    def due(self) -> bool:
        """Whether it is time to tell again."""
        if time.monotonic() - self._told < TELL_EVERY_S:
            return False
        self._told = time.monotonic()
        return True
