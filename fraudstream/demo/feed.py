"""A process of the demo: the bank's past goes to the topic at once, then, told so, live payments evenly spaced.

python -m fraudstream.demo.feed ORDER      # as JSON, see `Feed` in run.py

Verdicts follow on the labels topic when the world's time has come to know them, as analysts would give them. The
truth about the live payments' frauds is written to a file for the summary, and told to nobody else.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from confluent_kafka import Producer

from fraudstream.demo.children import Talk
from fraudstream.demo.world import World
from schemas.codec import encode
from schemas.label import Label
from simulator.publish import PublishSettings, publish
from simulator.simulation import Simulation, Slot
from simulator.stream import payments as live_payments
from stream.topics import Topics

REPORT_EVERY_S = 0.1
FLUSH_S = 30.0


class Verdicts:
    """Publishes what becomes known of frauds, each after the payments that came before that moment."""

    def __init__(self, settings: PublishSettings) -> None:
        self._producer = Producer(settings.client())
        self._unknown: list[tuple[int, str, bytes, bytes]] = []
        """A heap of (known_at, transaction id, key, value)."""
        self._due: deque[tuple[int, bytes, bytes]] = deque()
        """(number of payments that go before, key, value); filled where payments are made, emptied where sent."""
        self._made = 0
        self._sent = 0

    def follow(self, slots: Iterator[Slot]) -> Iterator[pl.DataFrame]:
        """The slots' payments; their verdicts are kept until they become known."""
        for slot in slots:
            self._add(slot)
            yield slot.payments
            self._made += len(slot.payments)
            now = slot.payments["event_time"][-1]
            while self._unknown and self._unknown[0][0] <= now:
                _, _, key, value = heapq.heappop(self._unknown)
                self._due.append((self._made, key, value))

    def advance(self, count: int) -> None:
        """So many more payments were sent."""
        self._sent += count
        while self._due and self._due[0][0] <= self._sent:
            _, key, value = self._due.popleft()
            self._producer.produce(Topics.labels, key=key, value=value)
        self._producer.poll(0)

    def flush(self) -> None:
        self._producer.flush(FLUSH_S)

    def _add(self, slot: Slot) -> None:
        devices = slot.payments.get_column("device_id", default=pl.Series("device_id", [None], dtype=pl.String))
        known = slot.labels.with_columns(devices.alias("device_id")).filter(
            pl.col("is_fraud") & pl.col("known_at").is_not_null()
        )
        for row in known.iter_rows(named=True):
            label = Label(**row)
            key = label.payer.encode()
            heapq.heappush(self._unknown, (label.known_at, label.transaction_id, key, encode(label)))


def main() -> None:
    """The past, then a word from the demo, then live payments; a report some times a second."""
    talk = Talk()
    order = talk.order
    config = World(order["customers"], order["seed"]).config
    fast = PublishSettings(order["bootstrap_servers"])
    verdicts = Verdicts(fast)
    past = publish(verdicts.follow(Simulation(config).history()), fast, advance=_reporting(talk, "past", verdicts))
    verdicts.flush()
    talk.report(stage="past", published=past.payments, failed=past.failed, whole=True)
    talk.wait_for_word()

    frauds: list[pl.DataFrame] = []
    slots = _first(live_payments(config, config.end_ms, order["rate"]), order["payments"], frauds)
    paced = PublishSettings(order["bootstrap_servers"], rate=order["rate"])
    live = publish(verdicts.follow(slots), paced, advance=_reporting(talk, "live", verdicts))
    verdicts.flush()
    pl.concat(frauds).write_parquet(Path(order["truth"]))
    talk.report(stage="live", published=live.payments, failed=live.failed, seconds=live.seconds, whole=True)


def _first(slots: Iterator[Slot], count: int, frauds: list[pl.DataFrame]) -> Iterator[Slot]:
    """The first `count` payments; what is fraud among them goes to `frauds`."""
    for slot in slots:
        cut = Slot(slot.payments[:count], slot.labels[:count])
        frauds.append(cut.labels.filter("is_fraud").select("transaction_id", "kind"))
        yield cut
        count -= len(cut.payments)
        if count <= 0:
            return


def _reporting(talk: Talk, stage: str, verdicts: Verdicts) -> Callable[[int], None]:
    published = 0
    reported = 0.0

    def advance(count: int) -> None:
        nonlocal published, reported
        verdicts.advance(count)
        published += count
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            talk.report(stage=stage, published=published)

    return advance


if __name__ == "__main__":
    main()
