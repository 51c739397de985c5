"""A historic topic as a source: committed records between two times, each partition in order of its offsets.

`--from` and `--to` are event times. A payment is not published more than five minutes before its event time, beyond
that the engine takes the time of publication; so what was published earlier than that is not read. When a payment is
published after its event time is nobody's promise, so a partition ends where its payments have all been later than
the window for a while. No consumer group is joined and nothing is committed: a reader leaves no trace on the brokers.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from backtest.slab import Slab
from backtest.source import BEGINNING, Offsets, Position, SourceError, Window, event_times, slab_of
from models.batch import from_records
from models.engine import AHEAD_MS
from models.tokens import Tokeniser
from stream.batch import batch_of
from stream.scan import Scan, Span
from stream.settings import KafkaSettings

SLAB = 20_000
FETCH = 5_000
LATE_MS = 3_600_000
"""A partition ends after `SLAB` payments in a row that are later than the window by as much."""


@dataclass
class TopicSource:
    """Payments of a topic."""

    kafka: KafkaSettings
    topic: str
    tokeniser: Tokeniser
    window: Window
    offsets: Offsets

    def __post_init__(self) -> None:
        read_from = self.window.read_from
        published_from = None if read_from is None else read_from - AHEAD_MS
        with Scan(self.kafka, self.topic, published_from) as scan:
            self._spans = {span.partition: self._limited(span) for span in scan.spans}
        self.unreadable = 0
        self._lock = threading.Lock()
        self.partitions = tuple(self._spans)
        self.total = sum(span.end - span.first for span in self._spans.values())
        self.description = f"topic {self.topic} on {self.kafka.bootstrap_servers}"
        if not self.total:
            raise SourceError(
                f"the {self.description} holds nothing from the window on",
                hint="check --from; `fraudstream topics` and retention tell what there is",
            )
        self.notes = tuple(self._removed())

    def whole(self, partition: int) -> bool:
        """See `backtest.source.Source`."""
        return self.window.read_from is None and self.offsets.whole(partition, self._spans[partition].first)

    def read(self, partition: int, position: Position | None, advance: Callable[[int], None]) -> Iterator[Slab]:
        """See `backtest.source.Source`."""
        span = self._spans[partition]
        time = BEGINNING
        if position is not None:
            advance(position.offset - span.first)
            span, time = replace(span, first=position.offset), position.time
        with Scan(self.kafka, self.topic, partitions=(partition,)) as scan:
            gathered = []
            for messages in scan.batches(advance, [span], FETCH):
                gathered += messages
                if len(gathered) < SLAB:
                    continue
                slab, through = self._slab(partition, gathered, time)
                gathered = []
                if len(slab):
                    time = int(slab.times[-1])
                    yield slab
                if through:
                    return
            if gathered:
                yield self._slab(partition, gathered, time)[0]

    def _slab(self, partition: int, messages: list[object], since: int) -> tuple[Slab, bool]:
        """Payments of the window and of the warm-up among records, and whether the window is past."""
        records = batch_of(messages, {partition: 0})
        batch, rejected = from_records(records.values, records.keys, records.timestamps, self.tokeniser)
        with self._lock:
            self.unreadable += len(rejected)
        offsets = np.delete(records.offsets, [reject.index for reject in rejected])
        end = self.window.end
        through = end is not None and len(batch) > 0 and bool(event_times(batch.rows).min() >= end + LATE_MS)
        return slab_of(batch, partition, offsets, self.window, since), through

    def _limited(self, span: Span) -> Span:
        first = max(span.first, self.offsets.asked(span.partition))
        end = min(span.end, self.offsets.end.get(span.partition, span.end))
        return replace(span, first=min(first, end), end=end)

    def _removed(self) -> Iterator[str]:
        """What retention has removed of what was asked for."""
        for span in self._spans.values():
            asked = self.offsets.asked(span.partition)
            if span.low > asked and span.first == span.low:
                yield (
                    f"partition {span.partition} of {self.topic} begins at offset {span.low:,}: what came before"
                    " was removed by retention, and payers and accounts are known from there on only"
                )
