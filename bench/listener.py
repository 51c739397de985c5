"""A read_committed consumer of alerts in a thread, which notes when each one arrived."""

import threading
import time
from types import TracebackType

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from numpy.typing import NDArray

from schemas.alert import Alert
from schemas.codec import decode_alert
from stream.librdkafka import reader
from stream.settings import KafkaSettings

POLL_S = 0.1


class AlertListener:
    """Listens inside its `with` block; afterwards, or meanwhile, tells what came."""

    def __init__(self, kafka: KafkaSettings, topic: str, partitions: int) -> None:
        self._consumer = Consumer({**reader(kafka), "enable.partition.eof": False})
        self._consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in range(partitions)])
        self._arrived: list[tuple[int, bytes]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="alerts", daemon=True)

    def __enter__(self) -> "AlertListener":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def __len__(self) -> int:
        return len(self._arrived)

    def _listen(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(POLL_S)
            if message is not None and message.error() is None:
                self._arrived.append((time.time_ns(), message.value()))

    def alerts(self) -> dict[str, tuple[int, Alert]]:
        """By id, when each alert first arrived, epoch ns, and the alert."""
        first: dict[str, tuple[int, Alert]] = {}
        for received_ns, value in self._arrived:
            alert = decode_alert(value)
            first.setdefault(alert.alert_id, (received_ns, alert))
        return first

    def arrivals(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Of each alert's first arrival: when, epoch ns, and its payment's record timestamp, epoch ms; and repeats."""
        first = self.alerts().values()
        times = np.array([(at, alert.source.timestamp) for at, alert in first], dtype=np.int64).reshape(-1, 2)
        return times[:, 0], times[:, 1], len(self._arrived) - len(first)
