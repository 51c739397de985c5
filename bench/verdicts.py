"""Payments published at a rate, and each verdict when the payments have come to the moment at which it became known."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from confluent_kafka import Producer

from bench.errors import BenchError
from bench.place import Place
from schemas.codec import encode
from schemas.label import Label
from simulator.publish import Published, PublishSettings, publish
from stream.librdkafka import producer
from stream.settings import ProducerSettings

FLUSH_S = 30.0
VERDICT = tuple(name for name in Label.__struct_fields__ if name != "source")


def verdicts_of(payments: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Frauds that become known, in that order, with what a bank's system would add to them: the payment's own fields.

    `due` is the number of payments after which each is known.
    """
    frauds = labels.filter(pl.col("is_fraud") & pl.col("known_at").is_not_null())
    more = [name for name in VERDICT if name not in frauds.columns and name in payments.columns]
    frauds = frauds.join(payments.select("transaction_id", *more), on="transaction_id").sort("known_at")
    times = np.sort(payments["event_time"].to_numpy())
    return frauds.with_columns(due=pl.Series(np.searchsorted(times, frauds["known_at"].to_numpy(), side="left")))


class Teller:
    """Writes verdicts to the labels topic as the payments move on; `advance` suits `simulator.publish.publish`."""

    def __init__(self, place: Place, verdicts: pl.DataFrame) -> None:
        self._topic = place.topics.labels
        self._writer = Producer(producer(place.kafka, ProducerSettings(guarantee="at_least_once"), "verdicts"))
        self._verdicts: Iterator[dict[str, Any]] = verdicts.iter_rows(named=True)
        self._next = next(self._verdicts, None)
        self._sent = self.told = 0

    def advance(self, count: int) -> None:
        """So many more payments were sent."""
        self._sent += count
        while self._next is not None and self._next["due"] <= self._sent:
            known = {name: self._next[name] for name in VERDICT if self._next.get(name) is not None}
            label = Label(**known, source="chargeback")
            self._writer.produce(self._topic, encode(label), label.payee.encode())
            self.told += 1
            self._next = next(self._verdicts, None)
        self._writer.poll(0)

    def finish(self) -> None:
        """Wait until the broker has them. Raises BenchError."""
        if self._writer.flush(FLUSH_S):
            raise BenchError("verdicts could not be published")


def publish_with_verdicts(
    place: Place, payments: pl.DataFrame, labels: pl.DataFrame, rate: float
) -> tuple[Published, int]:
    """What came of publishing, and how many verdicts were told."""
    teller = Teller(place, verdicts_of(payments, labels))
    settings = PublishSettings(place.kafka.bootstrap_servers, place.topics.transactions, rate=rate)
    published = publish([payments], settings, advance=teller.advance)
    teller.finish()
    if published.failed:
        raise BenchError(f"{published.failed:,} payments were not published: {published.error}")
    return published, teller.told
