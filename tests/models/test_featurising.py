"""Features made to disk, a part at a time, are those made in memory, bit for bit."""

import numpy as np
import polars as pl
import pytest

from models.featurising import featurise_to_disk
from models.history import featurise
from schemas.history import HistoryError
from simulator.config import SimulationConfig
from simulator.simulation import Simulation


@pytest.fixture(scope="module")
def world():
    slots = list(Simulation(SimulationConfig(9_000, 300, fraud_rate=0.03, seed=5, days=20.0)).history())
    payments = pl.concat([slot.payments for slot in slots])
    # many payments of one moment, which parts will cut through
    payments = payments.with_columns(event_time=pl.col("event_time") // 600_000 * 600_000).sort("event_time")
    return payments, pl.concat([slot.labels for slot in slots])


@pytest.mark.parametrize("part_rows", [1_711, 5_000, 20_000])
def test_the_same_features_as_in_memory_however_the_parts_are_cut(world, tmp_path, part_rows):
    payments, labels = world
    expected = featurise(payments, labels)
    done: list[int] = []
    stored = featurise_to_disk(
        payments.iter_slices(part_rows), labels.lazy(), tmp_path / "features", progress=done.append
    )
    assert stored.features.tobytes() == expected.features.tobytes()
    assert stored.status.tobytes() == expected.status.tobytes()
    assert sum(done) == len(stored) == payments.height
    rows = np.array([3, 4, 4_000, 8_999])
    taken, wanted = stored.take(rows), expected.take(rows)
    assert taken.drop("known_at").equals(wanted.drop("known_at").select(taken.drop("known_at").columns))
    everything = np.arange(payments.height)
    frauds = expected.payments["is_fraud"]
    assert stored.take(everything)["known_at"].filter(frauds).equals(expected.payments["known_at"].filter(frauds))
    assert stored.take(rows[:0]).columns == taken.columns


def test_a_history_without_payments_is_refused(world, tmp_path):
    with pytest.raises(HistoryError, match="no payments"):
        featurise_to_disk([], world[1].lazy(), tmp_path / "features")
