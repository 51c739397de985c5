"""A changelog of payers' records that real payments made, for runs that begin with known payers."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from confluent_kafka import Producer

from bench.errors import BenchError
from bench.place import Place
from fraudstream.progress import progress
from models.arena import GrowingArena
from models.batch import PaymentBatch
from models.engine import RISK, compute
from models.keys import of_tokens
from models.payer_state import PAYER, PAYER_CODEC
from stream.changelog import POSITION_KEY, encode_position
from stream.librdkafka import producer
from stream.settings import ProducerSettings

TIMEOUT_S = 60.0
Records = Sequence[tuple[bytes, bytes]]
"""Keys and values."""


def records_after(payments: PaymentBatch) -> list[bytes]:
    """The record of each payer after these payments, in the order in which the payers appear."""
    arena = GrowingArena(PAYER)
    rows = arena.rows(of_tokens(payments.tokens("payer")))
    risk = np.full(len(payments), np.nan, dtype=RISK)
    compute(payments.rows, arena.records, rows, risk, np.zeros(len(payments), dtype=np.uint8))
    return PAYER_CODEC.encode(arena.records, np.unique(rows))


def fill(place: Place, steps: Iterable[Mapping[int, Records]], total: int) -> None:
    """Each step's records by partition, as steps of a worker leave them, of a group that has committed nothing."""
    publisher = Producer(producer(place.kafka, ProducerSettings(transaction_timeout_ms=120_000), "fill"))
    publisher.init_transactions(TIMEOUT_S)
    with progress("filling the changelog", total) as advance:
        for step in steps:
            publisher.begin_transaction()
            for partition, records in step.items():
                batch = [{"key": key, "value": value} for key, value in records]
                batch.append({"key": POSITION_KEY, "value": encode_position(0)})
                produce(publisher, place.topics.scoring_changelog, batch, partition)
            publisher.commit_transaction(TIMEOUT_S)
            advance(sum(map(len, step.values())))


def produce(publisher: Producer, topic: str, batch: list[dict[str, bytes]], partition: int) -> None:
    """Queue a batch for one partition. Raises BenchError."""
    if batch and publisher.produce_batch(topic, batch, partition) != len(batch):
        raise BenchError(f"{topic} could not be filled")
