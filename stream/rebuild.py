"""Build an agent's changelog anew from its source, for when changelog and committed offsets disagree.

1. `plan`: what there is to read of each partition, up to the group's committed offset. Nobody may be in the group.
2. `fold`: read it once more through the agent's own function into a database of its own; nothing is published.
3. `replace`: delete the changelog, make it again, and publish of each partition, in transactions, a mark of what it
   is, each key's record, and last the position.

Up to 3 nothing is changed. Interrupted in 3, the changelog is short of the committed offsets, and no worker starts
on it; all of it can be done again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from numpy.typing import NDArray

from models.keys import as_bytes, as_keys
from stream import librdkafka
from stream.batch import Batch
from stream.changelog import POSITION_KEY, REBUILT_KEY, Change, Checkpoint, encode_position
from stream.errors import Retry, Stop, translated
from stream.keyed_state import CHECKPOINT_KEY, KeyedState
from stream.settings import KafkaSettings, ProducerSettings
from stream.step import Compute
from stream.topics import TopicSpec, recreate_topic

ASK_TIMEOUT_S = 30.0
STALL_TIMEOUT_S = 60.0
POLL_S = 0.2
SESSION_SLACK_S = 5.0
MEMBERS_PAUSE_S = 0.5
PUBLISH_RECORDS = 10_000
"""Of one transaction."""
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Folding:
    """What there is to read of one partition."""

    partition: int
    first: int
    """Where the source begins now."""
    end: int
    """The group's committed offset, -1 for none."""

    @property
    def records(self) -> int:
        """Offsets to read."""
        return max(0, self.end - self.first)

    @property
    def lost(self) -> int:
        """Offsets that were judged once and are on the source no more."""
        return min(self.first, max(0, self.end))


Finish = Callable[[Folding, Sequence[bytes], NDArray[np.void], NDArray[np.int64]], None]
"""Given keys and the rows of their records: sets what does not follow from the source."""


def wait_until_nobody_runs(
    kafka: KafkaSettings, agents: Sequence[str], session_timeout_s: float, waiting: Callable[[str], None]
) -> None:
    """Until the groups have no members. A worker that was stopped stays one until its session ends, because it may
    come back; after that, raises `Stop`. `waiting` is told once what is waited for."""
    client = AdminClient(librdkafka.admin(kafka))  # must outlive its futures
    groups = [f"{kafka.app}-{agent}" for agent in agents]
    until = time.monotonic() + session_timeout_s + SESSION_SLACK_S
    told = False
    while members := sum(_members(client, group) for group in groups):
        if time.monotonic() > until:
            raise Stop(
                f"the groups {', '.join(groups)} have {members} members", hint="stop all workers; then do it again"
            )
        if not told:
            waiting(f"waiting until the sessions of {members} members have ended, {session_timeout_s:.0f} s at most")
            told = True
        time.sleep(MEMBERS_PAUSE_S)


def _members(client: AdminClient, group: str) -> int:
    try:
        found = client.describe_consumer_groups([group], request_timeout=ASK_TIMEOUT_S)[group].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise translated(error, f"asking about the group {group}") from error
    return len(found.members)


class Rebuild:
    """One agent's changelog. `state` is empty, and the rebuild's own."""

    def __init__(
        self,
        kafka: KafkaSettings,
        agent: str,
        source: str,
        changelog: TopicSpec,
        state: KeyedState,
        compute: Compute,
        *,
        batch: int,
        finish: Finish = lambda folding, keys, records, rows: None,
    ) -> None:
        self._kafka = replace(kafka, slot=0)  # two rebuilds fence each other
        self._agent = agent
        self._source = source
        self._changelog = changelog
        self._state = state
        self._compute = compute
        self._finish = finish
        self._batch = batch

    def plan(self) -> list[Folding]:
        """By partition. Raises `Stop` when the group has come further than the source."""
        consumer = Consumer(
            {**librdkafka.reader(self._kafka), "group.id": f"{self._kafka.app}-{self._agent}", "log_level": 0}
        )
        places = [TopicPartition(self._source, p) for p in range(self._changelog.partitions)]
        plan = []
        try:
            for place in consumer.committed(places, timeout=ASK_TIMEOUT_S):
                if place.error is not None:
                    raise translated(place.error, f"asking for the offsets of {self._kafka.app}-{self._agent}")
                low, high = consumer.get_watermark_offsets(place, timeout=ASK_TIMEOUT_S)
                if place.offset > high:
                    raise Stop(
                        f"{self._source}-{place.partition} ends at {high}, the group committed {place.offset}",
                        hint="the source was made again: set the group's offsets to where it begins, first",
                    )
                plan.append(Folding(place.partition, low, max(place.offset, -1)))
        except KafkaException as error:
            raise translated(error, f"asking about {self._source}") from error
        finally:
            consumer.close()
        return plan

    def fold(self, plan: Sequence[Folding], advance: Advance) -> None:
        """Move the state on by all that is planned; `advance` is told the offsets passed."""
        for folding in plan:
            self._state.wipe(folding.partition)
            self._state.open(folding.partition)
            for messages, passed in self._read(folding):
                if messages:
                    self._step(folding.partition, messages)
                advance(passed)

    def _step(self, partition: int, messages: Sequence[Message]) -> None:
        count = len(messages)
        batch = Batch(
            [message.value() for message in messages],
            [message.key() for message in messages],
            np.full(count, partition, dtype=np.int32),
            np.fromiter((message.offset() for message in messages), dtype=np.int64, count=count),
            np.fromiter((message.timestamp()[1] for message in messages), dtype=np.int64, count=count),
        )
        number = self._state.begin()
        changed = self._compute(batch).changed
        for keys, rows in changed.values():
            records: list[Change] = list(zip(as_bytes(keys), self._state.encode(rows), strict=True))
            self._state.persist(partition, records, Checkpoint(int(batch.offsets[-1]) + 1, 0, bytes(16)))
        self._state.keep(number)

    def _read(self, folding: Folding) -> Iterator[tuple[list[Message], int]]:
        """Committed records before the end, in batches, each with how many offsets it passes."""
        if not folding.records:
            return
        consumer = Consumer(librdkafka.reader(self._kafka))
        consumer.assign([TopicPartition(self._source, folding.partition, folding.first)])
        at, last_news = folding.first, time.monotonic()
        try:
            while at < folding.end:
                messages = consumer.consume(1, timeout=POLL_S) + consumer.consume(self._batch - 1, timeout=0)
                good = [message for message in messages if message.error() is None]
                reached = max([at, *(message.offset() + 1 for message in good[-1:]), *self._ends(folding, messages)])
                if reached > at:
                    last_news = time.monotonic()
                    yield [m for m in good if m.offset() < folding.end], min(reached, folding.end) - at
                    at = reached
                elif time.monotonic() - last_news > STALL_TIMEOUT_S:
                    raise Stop(
                        f"{self._source}-{folding.partition} gives nothing after {at}, short of {folding.end}",
                        hint="look at the brokers' health, then do it again; nothing was changed",
                    )
        finally:
            consumer.close()

    def _ends(self, folding: Folding, messages: Sequence[Message]) -> list[int]:
        """Where the partition ended; raises what ends the reading."""
        ends = []
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                ends.append(message.offset())
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise Stop(
                    f"{self._source}-{folding.partition} no longer begins at {folding.first}",
                    hint="its retention went on meanwhile: do it again; nothing was changed",
                )
            else:
                problem = translated(error, f"reading {self._source}-{folding.partition}")
                if not isinstance(problem, Retry):
                    raise problem
        return ends

    def estimated_records(self) -> int:
        """What was folded, as RocksDB estimates it."""
        return self._state.estimated_records()

    def replace(self, plan: Sequence[Folding], advance: Advance) -> int:
        """Make the changelog again, with what was folded; returns the number of records. `advance` is told them."""
        producer = self._producer()
        recreate_topic(self._kafka, self._changelog, like=self._source)
        total = 0
        try:
            for folding in plan:
                for number, (records, last) in enumerate(self._transactions(folding)):
                    producer.begin_transaction()
                    if number == 0:
                        self._send(producer, [{"key": REBUILT_KEY, "value": b"\x01"}], folding.partition)
                    self._send(producer, records, folding.partition)
                    if last:
                        position = [{"key": POSITION_KEY, "value": encode_position(folding.end)}]
                        self._send(producer, position, folding.partition)
                    producer.commit_transaction(ASK_TIMEOUT_S)
                    total += len(records)
                    advance(len(records))
        except KafkaException as error:
            raise translated(error, f"publishing to {self._changelog.name}") from error
        finally:
            self._state.close_all()
        return total

    def _producer(self) -> Producer:
        settings = ProducerSettings(transaction_timeout_ms=int(2 * ASK_TIMEOUT_S * 1000))
        producer = Producer(librdkafka.producer(self._kafka, settings, f"{self._agent}-rebuild"))
        try:
            producer.init_transactions(ASK_TIMEOUT_S)
        except KafkaException as error:
            raise translated(error, "starting transactions") from error
        return producer

    def _send(self, producer: Producer, records: list[dict[str, bytes]], partition: int) -> None:
        queued = producer.produce_batch(self._changelog.name, records, partition)
        assert queued == len(records), "a transaction's records are fewer than the queue holds"

    def _transactions(self, folding: Folding) -> Iterator[tuple[list[dict[str, bytes]], bool]]:
        """The records of each transaction, and whether it is the last. A group without offset has no position."""
        if folding.end < 0:
            return
        keys = (key for key in self._state.keys(folding.partition) if key != CHECKPOINT_KEY)
        part = list(islice(keys, PUBLISH_RECORDS))
        while True:
            following = list(islice(keys, PUBLISH_RECORDS))
            yield self._records(folding, part), not following
            if not following:
                return
            part = following

    def _records(self, folding: Folding, keys: list[bytes]) -> list[dict[str, bytes]]:
        number = self._state.begin()
        rows = self._state.rows(folding.partition, as_keys(keys, self._state.key_bytes))
        self._finish(folding, keys, self._state.records, rows)
        values = self._state.encode(rows)
        self._state.keep(number)
        return [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
