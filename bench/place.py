"""One run's own topics on the broker, and the broker itself."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.errors import BenchError
from stream.librdkafka import admin
from stream.local_broker import BrokerSettings, LocalBroker
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics

PARTITIONS = 4
ENTITY_PARTITIONS = 1
"""One worker has all of them."""
REQUEST_TIMEOUT_S = 30.0
PROPERTIES = {"log.segment.delete.delay.ms": "1000"}
"""What a run leaves is gone when the next one begins."""


@contextmanager
def broker() -> Iterator[LocalBroker]:
    """A real Kafka for benchmarks, in a temporary directory, gone afterwards."""
    with LocalBroker(BrokerSettings(heap="bench", properties=PROPERTIES)) as running:
        yield running


@dataclass(frozen=True)
class Place:
    """Topics, consumer groups and transactional ids of one run."""

    kafka: KafkaSettings
    prefix: str
    topics: Topics

    def options(self) -> dict[str, object]:
        """The same as options of the product's commands."""
        return {
            "bootstrap-servers": self.kafka.bootstrap_servers,
            "topic-prefix": self.prefix,
            "group-id": self.kafka.app,
        }


@contextmanager
def fresh_place(
    running: LocalBroker, name: str, partitions: int = PARTITIONS, entity_partitions: int = ENTITY_PARTITIONS
) -> Iterator[Place]:
    """New topics under the prefix `name-`, deleted afterwards."""
    kafka = KafkaSettings(running.bootstrap_servers, app=name)
    place = Place(kafka, f"{name}-", Topics.named(prefix=f"{name}-", app=name))
    create_topics(kafka, place.topics, partitions=partitions, entity_partitions=entity_partitions)
    try:
        yield place
    finally:
        client = AdminClient(admin(kafka))  # must outlive its futures
        for future in client.delete_topics(place.topics.all(), request_timeout=REQUEST_TIMEOUT_S).values():
            with suppress(KafkaException):  # a broker that is gone has no topics to delete
                future.result(2 * REQUEST_TIMEOUT_S)


class Progress:
    """How far an agent is on its topic, by the broker's word."""

    def __init__(self, place: Place, agent: str, topic: str) -> None:
        # Not a member of the group. Read-uncommitted: the last offsets that count, without waiting for a commit
        # that is under way.
        self._consumer = Consumer(
            {
                **admin(place.kafka),
                "group.id": f"{place.kafka.app}-{agent}",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
            }
        )
        try:
            partitions = self._consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions
        except KafkaException as error:
            raise BenchError(f"the broker does not answer: {error.args[0].str()}") from error
        self._partitions = [TopicPartition(topic, partition) for partition in sorted(partitions)]

    def committed(self) -> int:
        """Sum of the committed offsets over the partitions."""
        return sum(self._committed())

    def by_partition(self) -> dict[int, int]:
        """The committed offset of each partition."""
        return dict(zip((each.partition for each in self._partitions), self._committed(), strict=True))

    def ends(self) -> int:
        """Sum of the end offsets: on a topic written without transactions, the records sent so far."""
        return sum(self._ends())

    def lag(self) -> int:
        """Offsets between the two; commit markers count on a topic written in transactions."""
        return self.ends() - self.committed()

    def largest_lag(self) -> int:
        """The lag of the partition that is furthest behind."""
        return max(end - committed for committed, end in zip(self._committed(), self._ends(), strict=True))

    def close(self) -> None:
        self._consumer.close()

    def _committed(self) -> list[int]:
        try:
            found = self._consumer.committed(self._partitions, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as error:
            raise BenchError(f"the broker does not tell the offsets: {error.args[0].str()}") from error
        return [max(0, each.offset) for each in found]

    def _ends(self) -> list[int]:
        try:
            return [
                self._consumer.get_watermark_offsets(each, timeout=REQUEST_TIMEOUT_S)[1] for each in self._partitions
            ]
        except KafkaException as error:
            raise BenchError(f"the broker does not tell the ends: {error.args[0].str()}") from error
