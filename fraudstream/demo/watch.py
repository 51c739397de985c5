"""Reads alerts and decisions as any subscriber would, committed records only, and keeps the figures of the demo."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.alert import Alert
from schemas.codec import decode_alert
from schemas.decision import decode_decisions
from stream.librdkafka import reader
from stream.settings import KafkaSettings
from stream.topics import Topics

POLL_S = 0.1
MAX_LATENCIES = 1_000_000
RATE_OVER_S = 3.0
MAX_ODD = 20


@dataclass
class Figures:
    """What was seen of the live payments so far."""

    decided: int = 0
    doubles: int = 0
    """Payments decided once more than they should be."""
    gaps: int = 0
    """Payments passed over by the decisions."""
    flagged: int = 0
    """Payments that the decisions say were flagged: each has an alert."""
    bands: Counter[str] = field(default_factory=Counter)
    """Alerts by band, or by what else decided: see `label_of`."""
    alerted: list[str] = field(default_factory=list)
    """Transaction ids of the alerts."""
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_LATENCIES))
    """From a payment's publication to its alert here, of each alert."""
    world_ms: int = 0
    """The simulated bank's clock: the latest event time."""

    def latency_ms(self, percent: float) -> float | None:
        """A percentile of the latencies; None before the first alert."""
        return float(np.percentile(np.array(self.latencies_ms), percent)) if self.latencies_ms else None


def label_of(alert: Alert) -> str:
    """The band, where the model decided; a list, a rule or the second opinion may flag any score."""
    return alert.band if alert.decided_by == "model" else f"by {alert.decided_by.replace('_', ' ')}"


class Ledger:
    """Which offsets of the source were decided. Rows of a partition come in order, so each offset must be the next."""

    def __init__(self) -> None:
        self.next: dict[int, int] = {}
        self.odd: list[str] = []
        """The first records that did not follow, in words."""

    def enter(self, partition: int, first: int, last: int, rows: int) -> tuple[int, int]:
        """Doubles and gaps that rows for the offsets `first` to `last` make."""
        due = self.next.get(partition, 0)
        self.next[partition] = max(due, last + 1)
        doubles = max(0, min(due, last + 1) - first)
        gaps = max(0, first - due) + (last + 1 - first - rows)
        if (doubles or gaps) and len(self.odd) < MAX_ODD:
            self.odd.append(f"partition {partition}: offsets {first} to {last} in {rows} rows came where {due} was due")
        return doubles, gaps


class Watch:
    """A thread that reads. Until `go_live` it counts the past's decisions only."""

    def __init__(self, kafka: KafkaSettings, topics: Topics, partitions: int, show: Callable[[Alert], None]) -> None:
        self.past = 0
        """Payments of the past that are decided."""
        self.figures = Figures()
        self.failure = ""
        self._topics = topics
        self._show = show
        self.ledger = Ledger()
        self._live_from: dict[int, int] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._decided_at: deque[tuple[float, int]] = deque()
        self._consumer = Consumer({**reader(kafka), "enable.partition.eof": False, "error_cb": self._on_error})
        self._consumer.assign(
            [TopicPartition(name, p, 0) for name in (topics.alerts, topics.decisions) for p in range(partitions)]
        )
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def go_live(self) -> None:
        """From here on payments count: everything published so far must be decided."""
        with self._lock:
            self._live_from = dict(self.ledger.next)

    def rate(self) -> float:
        """Live payments decided a second, over the last seconds."""
        now, decided = time.monotonic(), self.figures.decided
        self._decided_at.append((now, decided))
        while len(self._decided_at) > 2 and now - self._decided_at[1][0] > RATE_OVER_S:
            self._decided_at.popleft()
        then, before = self._decided_at[0]
        return (decided - before) / (now - then) if now > then else 0.0

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                message = self._consumer.poll(POLL_S)
                if message is None:
                    continue
                if message.error() is not None:
                    raise RuntimeError(message.error().str())
                if message.topic() == self._topics.alerts:
                    self._alert(message.value())
                else:
                    self._decisions(message.value())
        except Exception as error:  # a thread's end is told where it is missed: see `check` of the run
            self.failure = f"{type(error).__name__}: {error}"

    def _alert(self, value: bytes) -> None:
        seen_ms = time.time_ns() / 1e6
        alert = decode_alert(value)
        if self._live_from is None or alert.source.offset < self._live_from.get(alert.source.partition, 0):
            return
        self.figures.latencies_ms.append(seen_ms - alert.source.timestamp)
        self.figures.alerted.append(alert.transaction_id)
        self.figures.bands[label_of(alert)] += 1
        self._show(alert)

    def _decisions(self, value: bytes) -> None:
        meta, rows = decode_decisions(value)
        with self._lock:
            doubles, gaps = self.ledger.enter(meta.partition, meta.first_offset, meta.last_offset, len(rows))
            if self._live_from is None:
                self.past += len(rows)
                return
            figures = self.figures
            figures.decided += len(rows)
            figures.doubles += doubles
            figures.gaps += gaps
            figures.flagged += int(rows["flagged"].sum())
            figures.world_ms = max(figures.world_ms, int(rows["event_time"][-1]))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.failure = error.str()
