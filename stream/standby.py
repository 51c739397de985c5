"""Copies of state that other workers own, kept current, so that taking a partition over replays only its tail.

One thread follows the changelogs of all agents, read_committed, into databases in the same directories that the
worker would use as owner. Whether a partition is owned is told by `let_go` and `give_back`; what of the rest is
followed, by a hash of slot and partition, so that workers choose differently without talking to each other.

A copy is worth no worker: whatever is wrong with one, it is thrown away and begun again.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.admin import topic_id
from stream.changelog import Checkpoint
from stream.errors import Retry, translated
from stream.keyed_state import KeyedState
from stream.librdkafka import reader
from stream.logs import logger
from stream.replay import Replay
from stream.settings import KafkaSettings

log = logger("standby")
BATCH = 2_000
POLL_S = 0.1
CHOOSE_EVERY_S = 1.0
AGAIN_AFTER_S = 15.0
"""A copy that went wrong is left alone for so long."""
CATCH_UP_PER_S = 50_000
"""Records a second at most: the payments of the partitions that are owned go first."""
WATERMARK_TIMEOUT_S = 10.0


@dataclass
class Side:
    """One agent's changelog and state."""

    agent: str
    changelog: str
    partitions: int
    state: KeyedState
    settled: Callable[[], bool]
    """Whether the group has spoken and what is owned is restored: nothing is chosen before."""
    owned: set[int] = field(default_factory=set)
    followed: dict[int, Replay] = field(default_factory=dict)
    not_before: dict[int, float] = field(default_factory=dict)
    lag: int = 0


def chosen(slot: int, partitions: Iterable[int], limit: int) -> list[int]:
    """At most `limit` of `partitions`, others for each slot (rendezvous hashing)."""

    def weight(partition: int) -> bytes:
        return hashlib.blake2b(f"{slot}/{partition}".encode(), digest_size=8).digest()

    return sorted(sorted(partitions, key=weight)[:limit])


class Standby:
    """Follows at most `limit` partitions of each agent."""

    def __init__(self, kafka: KafkaSettings, limit: int) -> None:
        self._kafka = kafka
        self._limit = limit
        self._sides: dict[str, Side] = {}
        self._lock = threading.RLock()
        """Held while a database of a copy is opened, written or closed, and while `owned` and `followed` change."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standby", daemon=True)
        self._consumer: Consumer | None = None
        """Of the thread alone."""
        self._assigned: set[tuple[str, int]] = set()

    def agent(self, name: str, changelog: str, partitions: int, state: KeyedState, settled: Callable[[], bool]) -> None:
        """Add an agent, before `start`."""
        self._sides[name] = Side(name, changelog, partitions, state, settled)

    def start(self) -> None:
        if self._limit:
            self._thread.start()

    def stop(self) -> None:
        """Follow nothing more, and close the copies."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def let_go(self, agent: str, partition: int) -> None:
        """The partition is owned here from now on. Its copy stays open as it is, and is not touched any more."""
        side = self._sides[agent]
        with self._lock:
            side.owned.add(partition)
            side.followed.pop(partition, None)

    def give_back(self, agent: str, partition: int) -> None:
        """The partition is owned by others, its state closed."""
        with self._lock:
            self._sides[agent].owned.discard(partition)

    def followed(self, agent: str) -> list[int]:
        """Partitions whose state is kept current here for others."""
        return sorted(self._sides[agent].followed)

    def lag(self, agent: str) -> int:
        """Offsets of the changelogs that the copies of an agent have still to read."""
        return self._sides[agent].lag

    # In the thread

    def _run(self) -> None:
        self._consumer = Consumer(reader(self._kafka))
        chosen_at = 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() - chosen_at > CHOOSE_EVERY_S:
                    self._choose()
                    chosen_at = time.monotonic()
                self._assign()
                taken = self._take()
                self._note_lag()
                self._stop.wait(taken / CATCH_UP_PER_S)
            except Exception as error:
                log.warning("standby copies are disturbed", error=type(error).__name__, exc_info=error)
                self._stop.wait(AGAIN_AFTER_S)
        for side in self._sides.values():
            for partition in list(side.followed):
                self._leave(side, partition)
        self._consumer.close()

    def _choose(self) -> None:
        for side in self._sides.values():
            if not side.settled():
                continue
            now = time.monotonic()
            with self._lock:
                free = [p for p in range(side.partitions) if p not in side.owned]
            wanted = chosen(self._kafka.slot, free, self._limit)
            for partition in side.followed.keys() - wanted:
                self._leave(side, partition)
            for partition in wanted:
                if partition not in side.followed and side.not_before.get(partition, 0.0) <= now:
                    self._follow(side, partition)

    def _follow(self, side: Side, partition: int) -> None:
        try:
            identity = topic_id(self._kafka, side.changelog)
            assert self._consumer is not None, "made by the thread that runs this"
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(side.changelog, partition), timeout=WATERMARK_TIMEOUT_S
            )
            with self._lock:
                if partition in side.owned:
                    return
                checkpoint = side.state.open(partition)
                if checkpoint is None or not self._continues(checkpoint, identity, low, high):
                    if checkpoint is not None:
                        log.warning("the changelog does not go on from a copy", agent=side.agent, partition=partition)
                        side.state.wipe(partition)
                        side.state.open(partition)
                    checkpoint = Checkpoint(-1, low, identity)
                side.followed[partition] = Replay(side.state, side.changelog, partition, checkpoint)
                self._assigned.discard((side.changelog, partition))  # it is read from this checkpoint on
            log.info(
                "standby copy",
                agent=side.agent,
                partition=partition,
                offset=checkpoint.changelog_offset,
                left=high - checkpoint.changelog_offset,
            )
        except Exception as error:
            self._failed(side, partition, error)

    def _continues(self, checkpoint: Checkpoint, identity: bytes, low: int, high: int) -> bool:
        return checkpoint.topic_id == identity and low <= checkpoint.changelog_offset <= high

    def _leave(self, side: Side, partition: int) -> None:
        """Follow a copy no more, and close it; what it has stays on disk."""
        with self._lock:
            if side.followed.pop(partition, None) is not None:
                side.state.close(partition)

    def _assign(self) -> None:
        with self._lock:
            places = {
                (side.changelog, partition): replay.checkpoint.changelog_offset
                for side in self._sides.values()
                for partition, replay in side.followed.items()
            }
        if places.keys() != self._assigned:
            assert self._consumer is not None, "made by the thread that runs this"
            self._consumer.assign([TopicPartition(topic, p, offset) for (topic, p), offset in places.items()])
            self._assigned = set(places)

    def _take(self) -> int:
        """Read what is there and write it; returns how many records it was."""
        assert self._consumer is not None, "made by the thread that runs this"
        found: dict[tuple[str, int], list[Message]] = {}
        for message in self._consumer.consume(1, timeout=POLL_S) + self._consumer.consume(BATCH, timeout=0):
            found.setdefault((message.topic(), message.partition()), []).append(message)
        taken = 0
        for side in self._sides.values():
            for partition in list(side.followed):
                messages = found.get((side.changelog, partition))
                if messages:
                    try:
                        taken += self._write(side, partition, messages)
                    except Exception as error:
                        self._failed(side, partition, error)
        return taken

    def _note_lag(self) -> None:
        """In this thread, because a consumer's calls wait for each other."""
        assert self._consumer is not None, "made by the thread that runs this"
        for side in self._sides.values():
            lag = 0
            for partition, replay in list(side.followed.items()):
                place = TopicPartition(side.changelog, partition)
                _, high = self._consumer.get_watermark_offsets(place, cached=True)
                lag += max(0, high - replay.checkpoint.changelog_offset)
            side.lag = lag

    def _write(self, side: Side, partition: int, messages: list[Message]) -> int:
        end, good = -1, []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                end = message.offset()
            elif not isinstance(translated(error, ""), Retry):
                raise KafkaException(error)
        with self._lock:
            replay = side.followed.get(partition)
            if replay is None:  # let go meanwhile
                return 0
            taken = replay.take(good, end)
            side.state.bound_tail(partition, taken)
        return taken

    def _failed(self, side: Side, partition: int, error: Exception) -> None:
        """Close a copy that went wrong; when it is opened again, it shows whether it can go on."""
        log.warning("a standby copy went wrong", agent=side.agent, partition=partition, error=str(error))
        side.not_before[partition] = time.monotonic() + AGAIN_AFTER_S
        self._leave(side, partition)
        self._assigned.discard((side.changelog, partition))
