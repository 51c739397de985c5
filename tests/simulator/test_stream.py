"""The live continuation: the same people, devices, payees and mules as in the history before it."""

from itertools import islice

import polars as pl
import pytest

from simulator.config import SimulationConfig
from simulator.errors import SimulatorError
from simulator.simulation import Simulation
from simulator.stream import acceleration, payments, start_for

CONFIG = SimulationConfig(payments=30_000, payers=600, days=15, fraud_rate=0.02, seed=4)


def taken(count, **options):
    slots = list(islice(payments(CONFIG, CONFIG.end_ms, 1_000.0, **options), count))
    return pl.concat([s.payments for s in slots]), pl.concat([s.labels for s in slots])


def test_the_stream_goes_on_where_history_ends_with_the_same_customers_devices_and_mules():
    slots = list(Simulation(CONFIG).history())
    before, old_labels = pl.concat([s.payments for s in slots]), pl.concat([s.labels for s in slots])
    live, labels = taken(8)
    assert live["event_time"][0] >= CONFIG.end_ms
    assert live["event_time"].is_sorted()
    assert live["payer"].is_in(before["payer"].unique().to_list()).mean() > 0.97
    pairs = before.select("payer", "device_id").drop_nulls().unique()
    known = live.drop_nulls("device_id").join(pairs, on=["payer", "device_id"], how="semi")
    assert len(known) > 0.85 * live["device_id"].count()
    payees = live.join(before.select("payer", "payee").unique(), on=["payer", "payee"], how="semi")
    assert len(payees) > 0.3 * len(live)
    mules = old_labels.filter("is_fraud")["payee"].unique().to_list()
    assert labels.filter("is_fraud")["payee"].is_in(mules).any()
    assert not live["transaction_id"].is_in(before["transaction_id"].to_list()).any()


def test_chunks_are_cut_from_one_and_the_same_stream():
    small, _ = taken(20, chunk_rows=100)
    large, _ = taken(1, chunk_rows=2_000)
    common = min(len(small), len(large))
    assert small[:common].equals(large[:common])


def test_each_chunk_has_a_label_for_each_of_its_payments():
    for slot in islice(payments(CONFIG, CONFIG.end_ms, 500.0, chunk_rows=700), 5):
        assert slot.labels["transaction_id"].equals(slot.payments["transaction_id"])


def test_at_world_speed_1_event_time_keeps_step_with_the_clock():
    live, _ = taken(3, world_speed=1.0, chunk_rows=2_000)
    assert live["event_time"][-1] - CONFIG.end_ms == pytest.approx(len(live), rel=0.15)  # 1,000 a second


def test_a_stream_that_is_to_end_now_starts_as_much_earlier_as_the_world_runs_faster():
    assert acceleration(CONFIG, 1_000) == pytest.approx(15 * 86_400 * 1_000 / 30_000)
    assert start_for(CONFIG, 1_000, 60, CONFIG.end_ms) == CONFIG.end_ms - 60 * 15 * 86_400 * 1_000 // 30


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(SimulatorError):
        next(payments(CONFIG, CONFIG.end_ms, 0))
