"""A payer who was forgotten is one never seen: collecting an expired record changes nothing."""

import numpy as np
import polars as pl
import pytest

from models.arena import GrowingArena
from models.batch import PaymentBatch, from_frame
from models.engine import RISK, TTL_MS, compute
from models.keys import as_keys, of_tokens
from models.payer_state import PAYER, PAYER_CODEC
from models.tokens import Tokeniser, new_key
from simulator.config import SimulationConfig
from simulator.simulation import Simulation


@pytest.fixture(scope="module")
def payments() -> pl.DataFrame:
    config = SimulationConfig(4_000, 150, seed=5, days=20.0)
    return pl.concat([slot.payments for slot in Simulation(config).history()])


def judged(batch: PaymentBatch, arena: GrowingArena) -> bytes:
    rows = arena.rows(of_tokens(batch.tokens("payer")))
    risk = np.full(len(batch), np.nan, dtype=RISK)
    return compute(batch.rows, arena.records, rows, risk, np.zeros(len(batch), dtype=np.uint8)).tobytes()


def test_features_and_records_are_the_same_with_and_without_collection(payments):
    tokeniser = Tokeniser(new_key())
    later = payments.with_columns(
        event_time=pl.col("event_time") + TTL_MS + 40 * 86_400_000,
        transaction_id=pl.col("transaction_id") + "L",
        latitude=pl.lit(None, pl.Float64),  # nothing of the old record is overwritten by a new fix
        longitude=pl.lit(None, pl.Float64),
    )
    first, second = from_frame(payments, tokeniser), from_frame(later, tokeniser)
    kept, collected = GrowingArena(PAYER), GrowingArena(PAYER)
    judged(first, kept)
    assert judged(second, kept) == judged(second, collected)
    keys = sorted(set(second.tokens("payer").tolist()))
    records = [PAYER_CODEC.encode(arena.records, arena.rows(as_keys(keys))) for arena in (kept, collected)]
    assert records[0] == records[1]
