"""A history directory through broker and worker: all at once, or day by day with the verdicts known by then.

Day by day means: a day's payments, until they are decided; then the verdicts that became known, until they have
reached entity risk; then the next day. So no payment is judged with a verdict that came after it.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl
from confluent_kafka import Producer

from bench.backlog import LOOK_S, STALL_S, follow
from bench.errors import BenchError
from bench.place import Place, Progress
from bench.worker import WorkerProcess
from fraudstream.progress import progress
from schemas.codec import encode
from schemas.history import read_transactions, scan_labels
from schemas.label import Label
from simulator.publish import PublishSettings, publish
from stream.librdkafka import producer
from stream.settings import ProducerSettings

DAY_MS = 86_400_000
FLUSH_S = 30.0
CAUGHT_UP_LOOKS = 2


def publish_all(place: Place, data: Path, count: int) -> None:
    """Every payment, as fast as it goes."""
    with progress("publishing", count) as advance:
        _publish(place, read_transactions(data), advance)


def replay_at_once(place: Place, worker: WorkerProcess, count: int) -> float:
    """Follow a worker over the backlog; returns the seconds from the first step's begin to the last commit."""
    followed = follow(place, worker, count)
    return followed.ended - followed.began


def replay_by_day(place: Place, worker: WorkerProcess, data: Path, count: int) -> int:
    """Send everything day by day, with verdicts; returns the number of verdicts."""
    payments = pl.concat(read_transactions(data))
    verdicts = scan_labels(data).filter(pl.col("is_fraud") & pl.col("known_at").is_not_null()).collect()
    scoring = Progress(place, "scoring", place.topics.transactions)
    labels = Progress(place, "labels", place.topics.labels)
    entities = Progress(place, "entities", place.topics.entity_activity)
    sent = told = 0
    try:
        with progress("judging day by day", count) as advance:
            for day in payments.with_columns(day=pl.col("event_time") // DAY_MS).partition_by("day"):
                due = pl.col("known_at") <= day["day"][0] * DAY_MS
                told += tell(place, verdicts.filter(due))
                verdicts = verdicts.filter(~due)
                _until_caught_up(worker, labels, entities, told)
                _publish(place, [day.drop("day")])
                sent += day.height
                until_committed(worker, scoring, sent)
                advance(day.height)
        return told
    finally:
        for each in (scoring, labels, entities):
            each.close()


def _publish(place: Place, frames: Iterable[pl.DataFrame], advance: Callable[[int], None] = lambda count: None) -> None:
    settings = PublishSettings(place.kafka.bootstrap_servers, place.topics.transactions)
    result = publish(frames, settings, advance=advance)
    if result.failed:
        raise BenchError(f"{result.failed:,} payments were not published: {result.error}")


def tell(place: Place, verdicts: pl.DataFrame) -> int:
    """Publish verdicts as a chargeback would be; returns how many."""
    if verdicts.is_empty():
        return 0
    settings = ProducerSettings(guarantee="at_least_once")
    writer = Producer(producer(place.kafka, settings, "verdicts"))
    for row in verdicts.iter_rows(named=True):
        label = Label(**{name: row[name] for name in row if name in Label.__struct_fields__}, source="chargeback")
        writer.produce(place.topics.labels, encode(label), label.payee.encode())
    if writer.flush(FLUSH_S):
        raise BenchError("verdicts could not be published")
    return verdicts.height


def until_committed(worker: WorkerProcess, agent: Progress, count: int) -> None:
    """Until an agent has committed `count` offsets. Raises BenchError when it ends or stands still."""
    until = time.monotonic() + STALL_S
    while agent.committed() < count:
        worker.check()
        if time.monotonic() > until:
            raise BenchError(f"the worker stands still at {agent.committed():,} of {count:,} records")
        time.sleep(LOOK_S)


def _until_caught_up(worker: WorkerProcess, labels: Progress, entities: Progress, told: int) -> None:
    """Until the verdicts told are in the entities' state: nothing but a commit marker is left on each partition."""
    until_committed(worker, labels, told)
    until, looks = time.monotonic() + STALL_S, 0
    while looks < CAUGHT_UP_LOOKS:
        worker.check()
        looks = looks + 1 if entities.largest_lag() <= 1 else 0
        if time.monotonic() > until:
            raise BenchError("the entities agent stands still")
        time.sleep(LOOK_S)
