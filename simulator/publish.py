"""Payments to a Kafka topic, keyed by payer: evenly spaced at a rate, or as fast as the broker takes them."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Any

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Producer

from simulator.encode import encode
from simulator.errors import SimulatorError
from simulator.pacing import Clock, Pacer, SystemClock

_FAST_ROWS, _PACED_ROWS = 20_000, 1_000
"""Rows encoded at once: few where payments are spaced, so that encoding never holds up a tick."""
_AHEAD_PAYMENTS = 60_000
"""Payments kept encoded and ready, about 80 MB."""
_FILL_S = 2.0
"""Before a paced run begins, it waits this long at most for those."""
_BUSY = 5_000.0
"""Payments a second."""
_QUEUE_MESSAGES = 100_000
"""Messages on their way to the broker."""
_ROOM_S = 0.01
_FLUSH_S = 60.0
_METADATA_S = 10.0

_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())  # failures are counted and named; librdkafka's own lines are for who asks

Message = dict[str, Any]


@dataclass(frozen=True)
class PublishSettings:
    """Where to, and how fast."""

    bootstrap_servers: str
    topic: str = "transactions"
    rate: float | None = None
    """Payments a second, evenly spaced; None: as fast as it goes."""
    security: Mapping[str, str] = field(default_factory=dict)
    """librdkafka's security properties."""

    def client(self) -> dict[str, Any]:
        """As librdkafka's configuration."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "fraudstream-publish",
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": self._linger_ms(),
            "batch.size": 1_000_000,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": _QUEUE_MESSAGES,
            "queue.buffering.max.kbytes": 2**31 - 1,  # counted in messages
            "delivery.report.only.error": True,
            **self.security,
        }

    def _linger_ms(self) -> int:
        """A busy source gathers as Kafka's producers do by default since 4.0; a quiet one sends at once."""
        if self.rate is None:
            return 20
        return 5 if self.rate >= _BUSY else 1


@dataclass(frozen=True)
class Published:
    """What came of it."""

    payments: int
    """Acknowledged by the broker."""
    failed: int
    """Never acknowledged."""
    seconds: float
    late: int
    """Sent more than 5 ms after their time; 0 without a rate."""
    worst_late_ms: float
    error: str = ""
    """The first failure, in the broker's words."""

    @property
    def rate(self) -> float:
        """Payments a second."""
        return self.payments / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        text = f"{self.payments:,} payments in {self.seconds:,.1f} s ({self.rate:,.0f}/s)"
        if self.late:
            text += f", {self.late:,} sent late (the worst by {self.worst_late_ms:,.0f} ms)"
        return text + (f", {self.failed:,} not delivered: {self.error}" if self.failed else "")


def publish(
    frames: Iterable[pl.DataFrame],
    settings: PublishSettings,
    *,
    advance: Callable[[int], None] = lambda count: None,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
) -> Published:
    """Sends every payment of `frames` in order and waits until the broker has them; `stop` ends it early.

    Frames are made and encoded by a thread of their own, ahead of the sending. The record's timestamp is the moment
    it is sent. Raises `SimulatorError` when the broker cannot be reached or lacks the topic.
    """
    clock, stop = clock or SystemClock(), stop or threading.Event()
    producer, failures = _connect(settings)
    sent = 0
    pacer: Pacer | None = None
    with _Ahead(frames, _PACED_ROWS if settings.rate else _FAST_ROWS) as parts:
        if settings.rate:
            parts.fill(clock)
            pacer = Pacer(settings.rate, clock, clock.now())
        began = clock.now()
        for part in parts:
            at = 0
            while at < len(part) and not stop.is_set():
                count = pacer.take(len(part) - at) if pacer else len(part)
                _send(producer, settings.topic, part[at : at + count], failures)
                at += count
                advance(count)
            sent += at
            if stop.is_set():
                break
    left = producer.flush(_FLUSH_S)
    failed = failures.count + left
    error = failures.first or (f"no answer within {_FLUSH_S:.0f} s" if left else "")
    late, worst = (pacer.late, pacer.worst_s * 1000) if pacer else (0, 0.0)
    return Published(sent - failed, failed, clock.now() - began, late, worst, error)


class _Failures:
    """Counts what the broker did not take; called by librdkafka for failures only."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def __call__(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            self.count += 1
            self.first = self.first or error.str()


def _connect(settings: PublishSettings) -> tuple[Producer, _Failures]:
    failures = _Failures()
    producer = Producer({**settings.client(), "on_delivery": failures}, logger=_LOG)
    try:
        found = producer.list_topics(settings.topic, timeout=_METADATA_S).topics[settings.topic]
    except KafkaException as error:
        raise SimulatorError(
            f"No broker answers at {settings.bootstrap_servers}: {error.args[0].str()}",
            hint="Start one with `fraudstream broker start`, or check --bootstrap-servers.",
        ) from None
    if found.error is not None:
        raise SimulatorError(
            f"The broker has no topic {settings.topic}: {found.error.str()}",
            hint=f"Create it: `fraudstream topics create --bootstrap-servers {settings.bootstrap_servers}`.",
        )
    return producer, failures


def _send(producer: Producer, topic: str, messages: list[Message], failures: _Failures) -> None:
    """Queues messages; waits for room first, since a queue that fills up midway would change a payer's order."""
    while len(producer) + len(messages) > _QUEUE_MESSAGES:
        producer.poll(_ROOM_S)
    if producer.produce_batch(topic, messages) < len(messages):
        for message in messages:
            failures(message.get("_error"), None)
    producer.poll(0)


class _Ahead:
    """Makes and encodes messages in a thread of its own, a bounded number of parts ahead; iterates over the parts."""

    def __init__(self, frames: Iterable[pl.DataFrame], rows: int) -> None:
        self._frames = frames
        self._rows = rows
        self._parts: Queue[list[Message] | BaseException | None] = Queue(_AHEAD_PAYMENTS // rows)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="encode", daemon=True)

    def __enter__(self) -> "_Ahead":
        self._thread.start()
        return self

    def fill(self, clock: Clock) -> None:
        """Waits until as many parts are ready as are kept, or all there are, or the time is up."""
        deadline = clock.now() + _FILL_S
        while not self._parts.full() and self._thread.is_alive() and clock.now() < deadline:
            clock.sleep(_ROOM_S)

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()

    def __iter__(self) -> Iterator[list[Message]]:
        while (part := self._parts.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part

    def _work(self) -> None:
        try:
            for frame in self._frames:
                for rows in frame.iter_slices(self._rows):
                    keys = rows["payer"].cast(pl.Binary).to_list()
                    part = [{"value": v, "key": k} for v, k in zip(encode(rows), keys, strict=True)]
                    if not self._put(part):
                        return
            self._put(None)
        except BaseException as error:  # shown where the parts are taken
            self._put(error)

    def _put(self, part: list[Message] | BaseException | None) -> bool:
        """False once nobody takes parts any more."""
        while not self._closed.is_set():
            try:
                self._parts.put(part, timeout=_ROOM_S)
                return True
            except Full:
                continue
        return False
