"""Chunks that pass compiled come out as those that pass by the functions of the live agents, bit for bit."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from models import entity_state
from models.activity import activity_of, activity_of_verdicts
from models.arena import GrowingArena
from models.batch import PaymentBatch, from_frame
from models.engine import DUPLICATE, compute
from models.entity_risk import SEEN, assemble
from models.entity_state import ENTITY, ENTITY_KEY_BYTES, VALUES, entity_keys
from models.keys import of_tokens
from models.passage import CHUNK_MS, Passage, chunks
from models.payer_state import PAYER
from models.tokens import Tokeniser
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

TOKENISER = Tokeniser(b"k" * 32)


@pytest.fixture(scope="module")
def world() -> tuple[pl.DataFrame, pl.DataFrame]:
    slots = list(Simulation(SimulationConfig(6_000, 200, fraud_rate=0.05, seed=3, days=12.0)).history())
    payments = pl.concat([slot.payments for slot in slots])
    # Several in each minute, the same one twice, clocks that are ahead of publication, and payers who pay payers.
    time = pl.col("event_time") // (10 * CHUNK_MS) * (10 * CHUNK_MS)
    payments = payments.with_columns(event_time=time, published=time).sort("event_time", "transaction_id")
    ahead = pl.int_range(pl.len()) % 50 == 7
    payments = payments.with_columns(
        published=pl.when(ahead).then(pl.col("published") - 600_000).otherwise(pl.col("published")),
        payee=pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.col("payer").shift(5)).otherwise("payee").fill_null("m"),
    )
    again = payments.filter(pl.int_range(pl.len()) % 300 == 0)
    payments = pl.concat([payments, again]).sort("event_time", "transaction_id")
    return payments, pl.concat([slot.labels for slot in slots])


def slowly(payments: pl.DataFrame, labels: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Features and status, a chunk at a time as `agents.scoring`, `agents.entities` and `agents.labels` go about it."""
    payers, entities = GrowingArena(PAYER), GrowingArena(ENTITY, ENTITY_KEY_BYTES)
    published: dict[bytes, np.void] = {}

    def apply(activity: np.ndarray) -> None:
        keys = entity_keys(activity["kind"], activity["token"])
        rows = entities.rows(keys)
        entity_state.update(activity, entities.records, rows)
        touched, first = np.unique(rows, return_index=True)
        changed, values = entity_state.publishable(entities.records, touched)
        published.update(zip([keys[i].tobytes() for i in first[changed]], values[changed].copy(), strict=True))

    frauds = labels.filter(pl.col("is_fraud") & pl.col("known_at").is_not_null())
    due = payments.join(frauds.select("transaction_id", "known_at"), on="transaction_id", maintain_order="left")
    named = {"payer": due["payer"].to_list(), "payee": due["payee"].to_list(), "device": due["device_id"].to_list()}
    said = activity_of_verdicts(TOKENISER, named, due["event_time"].to_numpy())
    known_at = due["known_at"].to_numpy()[said.of]
    order = np.argsort(known_at, kind="stable")
    verdicts, known_at = said.activity[order], known_at[order]

    batch, times = from_frame(payments, TOKENISER), payments["event_time"].to_numpy()
    bounds = [*chunks(times).tolist(), len(batch)]
    features, status = [], []
    for begin, end in pairwise(bounds):
        told = int(np.searchsorted(known_at, times[begin], side="right"))
        apply(verdicts[:told])
        verdicts, known_at = verdicts[told:], known_at[told:]
        part = PaymentBatch(batch.ids[begin:end], batch.rows[begin:end])
        values = {}
        for name, kind in SEEN:
            keys = entity_keys(kind, part.tokens(name))
            values[name] = np.array([published.get(key.tobytes(), np.zeros((), VALUES)) for key in keys], dtype=VALUES)
        risk = assemble(values, part.rows["event_time"])
        bits = np.zeros(len(part), dtype=np.uint8)
        rows = payers.rows(of_tokens(part.tokens("payer")))
        features.append(compute(part.rows, payers.records, rows, risk, bits))
        status.append(bits)
        counted = np.flatnonzero(bits & DUPLICATE == 0)
        apply(activity_of(part.rows[counted], bits[counted], risk[counted]))
    return np.concatenate(features), np.concatenate(status)


def test_compiled_chunks_are_those_of_the_agents(world):
    payments, labels = world
    expected, expected_status = slowly(payments, labels)
    judged = list(Passage(TOKENISER, labels).judge(payments))
    features, status = (np.concatenate(part) for part in zip(*judged, strict=True))
    assert status.tobytes() == expected_status.tobytes()
    assert features.tobytes() == expected.tobytes()
    assert (status & DUPLICATE).any()


def test_chunks_begin_with_a_minute_and_after_two_thousand_payments():
    times = np.repeat([0, 60_000, 120_000], [3, 4_500, 1]).astype(np.int64)
    assert chunks(times).tolist() == [0, 3, 2_003, 4_003, 4_503]


def test_chunks_go_on_within_a_minute_that_was_begun():
    times = np.repeat([60_000, 120_000], [2_500, 10]).astype(np.int64)
    assert chunks(times, before=4_000).tolist() == [0, 2_000, 2_500]
    assert chunks(times[:0], before=4_000).tolist() == []
