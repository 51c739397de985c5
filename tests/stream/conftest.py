"""What the stream's tests share: topics with records, a reader of what is committed, and the counting job."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from stream.settings import KafkaSettings

READ_TIMEOUT_S = 0.2


@pytest.fixture(scope="session")
def counting() -> ModuleType:
    """`counting_job.py`, which is also run as a process of its own."""
    path = Path(__file__).with_name("counting_job.py")
    spec = importlib.util.spec_from_file_location("counting_job", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["counting_job"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kafka(broker, topic_name) -> KafkaSettings:
    return KafkaSettings(broker.bootstrap_servers, app=topic_name)


@pytest.fixture
def publish(broker) -> Callable[..., None]:
    """`publish(topic, [(key, value), …], partition=-1)`, in order, acknowledged; keys go where Java's would."""

    def send(topic: str, records: list[tuple[bytes, bytes]], partition: int = -1) -> None:
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 20,
            }
        )
        for start in range(0, len(records), 5_000):
            batch: list[dict[str, Any]] = [{"key": k, "value": v} for k, v in records[start : start + 5_000]]
            assert producer.produce_batch(topic, batch, partition) == len(batch)
            assert producer.flush(30) == 0

    return send


@pytest.fixture
def read_committed(broker) -> Callable[[str, int], list[Any]]:
    """`read_committed(topic, partitions)`: every committed record as it stands now, partition after partition."""

    def read(topic: str, partitions: int = 1) -> list[Any]:
        config = {"group.id": "tests", "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, **config})
        found: dict[int, list[Any]] = {p: [] for p in range(partitions)}
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        ended: set[int] = set()
        while len(ended) < partitions:
            for message in consumer.consume(5_000, READ_TIMEOUT_S):
                if message.error() is None:
                    found[message.partition()].append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        consumer.close()
        return [message for p in range(partitions) for message in found[p]]

    return read
