"""Tables that every worker holds: a compacted topic, read to its end before the worker is ready, then followed.

`TopicFollower` reads, outside any group; a `Table` keeps. Followed offsets belong to the table, so that one on disk
goes on where it stopped.
"""

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.errors import Retry, Stop, StreamError, translated
from stream.librdkafka import reader
from stream.logs import logger
from stream.metrics import METRICS
from stream.settings import KafkaSettings

log = logger("table")
BATCH = 5_000
WATERMARK_TIMEOUT_S = 30.0
LEADER_WITHIN_S = 60.0
RETRY_PAUSE_S = 0.2
Record = tuple[bytes, bytes | None]


class Table(Protocol):
    """Keeps the latest value of each key. `apply` comes from the follower's thread."""

    def next_offset(self, partition: int) -> int:
        """Where to go on; 0 for an empty table."""
        ...

    def apply(self, partition: int, records: Sequence[Record], next_offset: int) -> None:
        """Take records in order; a value of None removes its key."""
        ...


class TopicFollower:
    """Keeps a table up to date from all partitions of a topic, in a thread."""

    def __init__(self, kafka: KafkaSettings, topic: str, partitions: int, table: Table) -> None:
        self._kafka = kafka
        self._topic = topic
        self._table = table
        self._partitions = partitions
        self._behind: set[int] = set(range(partitions))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{topic}", daemon=True)
        self.failure: StreamError | None = None

    @property
    def ready(self) -> bool:
        """Every partition was read to the end that it had at the start."""
        return not self._behind and self.failure is None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        consumer = Consumer(reader(self._kafka))
        try:
            ends = self._started(consumer)
            while not self._stop.is_set():
                self._take(consumer, ends)
        except StreamError as error:
            self._failed(error)
        except KafkaException as error:
            self._failed(translated(error, f"reading {self._topic}"))
        except Exception as error:
            log.error("table failed", topic=self._topic, exc_info=error)
            self._failed(Stop(f"the table of {self._topic} failed: {error}", hint="see the traceback in the log"))
        finally:
            consumer.close()

    def _failed(self, error: StreamError) -> None:
        self.failure = error
        log.error("table cannot be followed", topic=self._topic, error=str(error), hint=error.hint)

    def _started(self, consumer: Consumer) -> dict[int, int]:
        """Assign, waiting for a partition that has no leader just now; after `LEADER_WITHIN_S` it is an error."""
        until = time.monotonic() + LEADER_WITHIN_S
        while True:
            try:
                return self._assign(consumer)
            except KafkaException as error:
                problem = translated(error, f"reading {self._topic}")
                if not isinstance(problem, Retry) or time.monotonic() > until or self._stop.wait(RETRY_PAUSE_S):
                    raise problem from error

    def _assign(self, consumer: Consumer) -> dict[int, int]:
        ends, starts = {}, []
        for partition in range(self._partitions):
            low, high = consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), timeout=WATERMARK_TIMEOUT_S
            )
            start = self._table.next_offset(partition)
            ends[partition] = high
            starts.append(TopicPartition(self._topic, partition, start if low <= start <= high else low))
        consumer.assign(starts)
        return ends

    def _take(self, consumer: Consumer, ends: dict[int, int]) -> None:
        records: dict[int, list[Record]] = {}
        nexts: dict[int, int] = {}
        for message in consumer.consume(1, timeout=0.1) + consumer.consume(BATCH, timeout=0):
            error = message.error()
            partition = message.partition()
            if error is None:
                records.setdefault(partition, []).append((message.key() or b"", message.value()))
                nexts[partition] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                if message.offset() >= ends[partition]:
                    self._behind.discard(partition)
            else:
                problem = translated(error, f"reading {self._topic}")
                if not isinstance(problem, Retry):
                    raise problem
        for partition, taken in records.items():
            self._table.apply(partition, taken, nexts[partition])
            METRICS.table_rows.labels(self._topic).inc(len(taken))
