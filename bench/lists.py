"""A block list and a watch list, of accounts and devices that occur in the payments."""

import time
from collections.abc import Iterator
from typing import Literal

from confluent_kafka import Producer

from bench.errors import BenchError
from bench.place import Place
from bench.world import World
from models.tokens import Tokeniser
from schemas.codec import encode
from schemas.entity_list import ListEntry
from schemas.entity_risk import entity_key
from stream.librdkafka import producer
from stream.settings import ProducerSettings

EACH = 100
"""Accounts, and as many devices, on each of the two lists."""
FLUSH_S = 30.0


def load_lists(place: Place, world: World) -> int:
    """Write both lists to the place's topic; returns the number of entries."""
    writer = Producer(producer(place.kafka, ProducerSettings(guarantee="at_least_once"), "lists"))
    entries = list(_entries(world))
    for entry in entries:
        writer.produce(place.topics.entity_lists, key=entity_key(entry.kind, entry.token), value=encode(entry))
    if writer.flush(FLUSH_S):
        raise BenchError("the lists could not be written")
    return len(entries)


def _entries(world: World) -> Iterator[ListEntry]:
    tokeniser = Tokeniser.load(world.token_key)
    frame = next(world.frames())
    now = time.time_ns() // 1_000_000
    columns: tuple[tuple[Literal["account", "device"], str], ...] = (("account", "payer"), ("device", "device_id"))
    for kind, column in columns:
        named = frame[column].drop_nulls().unique(maintain_order=True)[: 2 * EACH].to_list()
        for i, name in enumerate(named):
            yield ListEntry(
                list="watch" if i % 2 else "block",
                kind=kind,
                token=tokeniser.token(name, kind),
                reason="benchmark",
                added_at=now,
                added_by="bench",
            )
