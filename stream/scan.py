"""Reading a bounded piece of a topic once, without a consumer group: for questions, not for processing.

    with Scan(kafka, "decisions", from_ms=…, to_ms=…) as scan:
        for message in scan:
            …

Only committed records are seen. What counts as the end is fixed when the scan starts, so it always ends.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from stream.errors import Retry, StreamError, translated
from stream.librdkafka import reader
from stream.settings import KafkaSettings

REQUEST_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
"""A scan that sees nothing for this long gives up."""
BATCH = 500
POLL_S = 0.1
RETRY_PAUSE_S = 0.2
"""The library waits this long for a batch to fill."""


class ScanError(StreamError):
    """A topic cannot be read."""


@dataclass(frozen=True)
class Span:
    """Offsets from `first` up to, not including, `end` of one partition."""

    partition: int
    first: int
    end: int
    low: int = 0
    """The first offset that the topic still holds."""


class Scan:
    """The committed records of a topic, or of those of its partitions that are named, between two times (epoch ms of
    publication, either may be None)."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        from_ms: int | None = None,
        to_ms: int | None = None,
        partitions: Collection[int] | None = None,
    ) -> None:
        self.topic = topic
        self._partitions = partitions
        self._servers = kafka.bootstrap_servers
        self._failure: KafkaError | None = None
        self._consumer = Consumer({**reader(kafka), "log_level": 0, "error_cb": self._on_error})
        try:
            self.spans = self._spans(from_ms, to_ms)
        except BaseException:
            self._consumer.close()
            raise
        self.total = sum(span.end - span.first for span in self.spans)
        """Offsets to pass, an upper bound of the records: compaction and transactions leave gaps."""

    def __enter__(self) -> "Scan":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def __iter__(self) -> Iterator[Any]:
        return self.messages()

    def messages(self, advance: Callable[[int], None] = lambda passed: None) -> Iterator[Any]:
        """The records as they arrive, those of a partition in order; `advance` is told how many offsets were passed."""
        for batch in self.batches(advance):
            yield from batch

    def batches(
        self,
        advance: Callable[[int], None] = lambda passed: None,
        spans: Sequence[Span] | None = None,
        size: int = BATCH,
    ) -> Iterator[list[Any]]:
        """The same, at most `size` at once, of `spans` in place of this scan's own."""
        spans = self.spans if spans is None else spans
        open_spans = {span.partition: span for span in spans if span.first < span.end}
        passed = {partition: span.first for partition, span in open_spans.items()}
        self._consumer.assign([TopicPartition(self.topic, s.partition, s.first) for s in open_spans.values()])
        last_seen = monotonic()
        while open_spans:
            batch = self._consumer.consume(size, POLL_S)
            if not batch and monotonic() - last_seen > STALL_TIMEOUT_S:
                raise self._unreachable(f"{self.topic} gave nothing for {STALL_TIMEOUT_S:.0f} s")
            kept = []
            reached: dict[int, int] = {}
            for message in batch:
                partition, error = message.partition(), message.error()
                if partition not in open_spans:
                    continue
                if error is None:
                    reached[partition] = offset = message.offset() + 1
                    if offset <= open_spans[partition].end:
                        kept.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached[partition] = open_spans[partition].end
                else:
                    raise ScanError(f"reading {self.topic} failed: {error.str()}", hint="check the broker's logs")
            for partition, offset in reached.items():
                end = open_spans[partition].end
                advance(min(offset, end) - passed[partition])
                passed[partition] = min(offset, end)
                if offset >= end:
                    del open_spans[partition]
                    self._consumer.pause([TopicPartition(self.topic, partition)])
            if kept:
                yield kept
            if batch:
                last_seen = monotonic()  # after the caller had them, who may take long

    def _spans(self, from_ms: int | None, to_ms: int | None) -> list[Span]:
        """What to read; a partition that has no leader just now, as one just made, is asked again for a while."""
        until = monotonic() + REQUEST_TIMEOUT_S
        while True:
            try:
                return self._asked(from_ms, to_ms)
            except KafkaException as error:
                if monotonic() > until or not isinstance(translated(error, "asking"), Retry):
                    raise self._unreachable(
                        f"asking {self._servers} about {self.topic} failed", error.args[0]
                    ) from None
            sleep(RETRY_PAUSE_S)

    def _asked(self, from_ms: int | None, to_ms: int | None) -> list[Span]:
        found = self._consumer.list_topics(self.topic, timeout=REQUEST_TIMEOUT_S).topics[self.topic]
        if found.error is not None:
            hint = f"create the topics with `fraudstream topics create --bootstrap-servers {self._servers}`"
            raise ScanError(f"there is no topic {self.topic} on {self._servers}", hint=hint)
        partitions = sorted(p for p in found.partitions if self._partitions is None or p in self._partitions)
        firsts = self._at(from_ms, partitions)
        ends = self._at(to_ms, partitions)
        spans = []
        for partition in partitions:
            place = TopicPartition(self.topic, partition)
            low, high = self._consumer.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
            first = min(max(firsts.get(partition, low), low), high)
            spans.append(Span(partition, first, max(first, min(ends.get(partition, high), high)), low))
        return spans

    def _at(self, time_ms: int | None, partitions: list[int]) -> dict[int, int]:
        """Offset of the first record at or after a time; partitions without one are left at their end."""
        if time_ms is None:
            return {}
        asked = [TopicPartition(self.topic, partition, time_ms) for partition in partitions]
        found = self._consumer.offsets_for_times(asked, timeout=REQUEST_TIMEOUT_S)
        return {p.partition: p.offset if p.offset != OFFSET_END and p.offset >= 0 else 2**63 - 1 for p in found}

    def _on_error(self, error: KafkaError) -> None:
        self._failure = error

    def _unreachable(self, what: str, error: KafkaError | None = None) -> ScanError:
        cause = error or self._failure
        hint = "is a broker running there? start one with `fraudstream broker start`, or correct --bootstrap-servers"
        return ScanError(f"{what}: {cause.str()}" if cause is not None else what, hint=hint)
