"""The offsets that a group has committed, asked for by someone who is not a member."""

import time
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream import librdkafka
from stream.errors import Retry, of_known_partition, translated
from stream.settings import KafkaSettings

WITHIN_S = 30.0
"""Above the transaction timeout and the broker's abort interval: by then a dead owner's offsets are stable."""
ASK_S = 1.0


class Place(NamedTuple):
    """Where a group stands on a partition."""

    committed: int
    """Negative for none."""
    low: int
    """The first offset that the topic still holds."""
    end: int

    @property
    def left(self) -> int:
        """Offsets that are still to be read."""
        return self.end - max(self.committed, self.low)


class CommittedOffsets:
    """Of one agent's group on its topic. For any thread: each question has a consumer of its own."""

    def __init__(self, kafka: KafkaSettings, agent: str, topic: str) -> None:
        self._config = librdkafka.group_offsets(kafka, agent)
        self._topic = topic

    def wait_for(self, partition: int, still_wanted: Callable[[], bool] = lambda: True) -> Place:
        """Where a partition stands, once no transaction is open on its offset.

        Raises `Retry` after `WITHIN_S`, or once it is no longer wanted.
        """
        until = time.monotonic() + WITHIN_S
        while True:
            try:
                return self._ask(partition)
            except Retry:
                if time.monotonic() > until or not still_wanted():
                    raise

    def _ask(self, partition: int) -> Place:
        doing = f"asking for the committed offset of {self._topic}-{partition}"
        consumer = Consumer(self._config)
        try:
            place = TopicPartition(self._topic, partition)
            committed = consumer.committed([place], timeout=ASK_S)[0]
            low, high = consumer.get_watermark_offsets(place, timeout=ASK_S)
        except KafkaException as error:
            raise of_known_partition(error, doing) from error
        finally:
            consumer.close()
        if committed.error:
            raise translated(committed.error, doing)
        return Place(int(committed.offset), int(low), int(high))
