"""The simulated world: what it promises about counts, order, labels, continuity and sameness."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.codec import decode_transaction
from schemas.history import TRANSACTION_COLUMNS
from simulator.arrays import DAY_MS, HOUR_MS
from simulator.config import SimulationConfig
from simulator.encode import encode
from simulator.errors import SimulatorError
from simulator.scenario import standard
from simulator.simulation import Simulation

SMALL = SimulationConfig(payments=4_000, payers=300, days=4, seed=9, fraud_rate=0.02)


def run(config, start_ms=None, end_ms=None):
    slots = list(Simulation(config).between(start_ms or config.start_ms, end_ms or config.end_ms))
    return pl.concat([s.payments for s in slots]), pl.concat([s.labels for s in slots])


def test_exactly_as_many_payments_as_asked_for_in_order_of_time(history):
    assert len(history.payments) == history.config.payments
    times = history.payments["event_time"]
    assert times.is_sorted()
    assert history.config.start_ms <= times[0]
    assert times[-1] < history.config.end_ms
    assert history.payments["transaction_id"].is_unique().all()


def test_the_fraud_rate_is_near_what_was_asked_for(history):
    assert history.labels["is_fraud"].mean() == pytest.approx(history.config.fraud_rate, rel=0.25)


def test_without_fraud_there_is_none():
    _, labels = run(SimulationConfig(payments=2_000, payers=100, days=2, fraud_rate=0))
    assert not labels["is_fraud"].any()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first, labels = run(SMALL)
    again, labels_again = run(SMALL)
    assert encode(first) == encode(again)
    assert_frame_equal(labels, labels_again)
    other, _ = run(SimulationConfig(payments=4_000, payers=300, days=4, seed=10, fraud_rate=0.02))
    assert encode(other) != encode(first)


def test_a_part_of_history_is_the_same_whether_or_not_the_rest_was_asked_for():
    whole, _ = run(SMALL)
    part, _ = run(SMALL, SMALL.start_ms + DAY_MS, SMALL.start_ms + 3 * DAY_MS)
    inside = pl.col("event_time").is_between(SMALL.start_ms + DAY_MS, SMALL.start_ms + 3 * DAY_MS, closed="left")
    assert_frame_equal(whole.filter(inside), part)


def test_every_attack_kind_occurs_and_every_payment_is_a_valid_transaction(history):
    assert set(history.labels["kind"].unique()) == {"", *standard().names}
    for record in encode(history.payments[::7]):
        decode_transaction(record)
    frauds = history.payments.join(history.labels.filter("is_fraud").select("transaction_id"), on="transaction_id")
    for record in encode(frauds):
        decode_transaction(record)


def test_columns_are_the_transactions_fields_in_their_types(history):
    for name, kind in history.payments.schema.items():
        assert TRANSACTION_COLUMNS[name] == kind, name


def test_labels_say_the_truth_about_each_payment_and_when_it_became_known(history):
    labels = history.labels
    common = ["transaction_id", "payer", "payee", "event_time"]
    assert_frame_equal(labels.select(common), history.payments.select(common))
    assert labels.filter(pl.col("is_fraud") != (pl.col("kind") != "")).is_empty()
    assert labels.filter(~pl.col("is_fraud"))["known_at"].null_count() == (~labels["is_fraud"]).sum()
    frauds = labels.filter("is_fraud")
    delays = (frauds["known_at"] - frauds["event_time"]).drop_nulls()
    assert delays.min() >= HOUR_MS
    assert delays.max() > 10 * DAY_MS
    assert 0 < frauds["known_at"].null_count() < 0.5 * len(frauds)


def test_nobody_pays_himself(history):
    assert history.payments.filter(pl.col("payer") == pl.col("payee")).is_empty()


def test_most_payments_go_to_merchants_and_most_fraud_value_is_authorised_by_the_victim(history):
    assert 0.6 < (history.payments["payee_type"] == "ENTITY").mean() < 0.68
    frauds = history.labels.filter("is_fraud").join(
        history.payments.select("transaction_id", "amount"), on="transaction_id"
    )
    value = dict(frauds.group_by("kind").agg(pl.col("amount").sum()).iter_rows())
    authorised = sum(value[k] for k in ("app_scam", "qr_phishing", "collect_phishing", "remote_access", "mule_network"))
    assert authorised > 0.5 * sum(value.values())


def test_mules_and_devices_are_reused_across_victims(history):
    frauds = history.payments.join(
        history.labels.filter("is_fraud").select("transaction_id", "kind"), on="transaction_id"
    )
    assert frauds.group_by("payee").agg(pl.col("payer").n_unique()).filter(pl.col("payer") >= 3).height >= 10
    taken = frauds.filter(pl.col("kind").is_in(["account_takeover", "sim_swap", "emulator_farm"]))
    assert taken.group_by("device_id").agg(pl.col("payer").n_unique())["payer"].max() >= 3
    honest = history.payments.join(
        history.labels.filter(~pl.col("is_fraud")).select("transaction_id"), on="transaction_id"
    )
    assert honest["payee"].is_in(frauds["payee"].unique().to_list()).any()


def test_a_clone_has_the_known_id_and_other_hardware(history):
    clones = history.payments.join(
        history.labels.filter(kind="device_clone").select("transaction_id"), on="transaction_id"
    )
    before = history.payments.join(
        history.labels.filter(~pl.col("is_fraud")).select("transaction_id"), on="transaction_id"
    )
    known = clones.join(before.select("payer", "device_id", own="imei").unique(), on=["payer", "device_id"]).drop_nulls(
        "imei"
    )
    assert len(known)
    assert (known["imei"] != known["own"]).any()


def test_an_authorised_scam_comes_from_the_victims_own_device(history):
    scams = history.payments.join(history.labels.filter(kind="app_scam").select("transaction_id"), on="transaction_id")
    scams = scams.drop_nulls("device_id")
    own = history.payments.join(
        history.labels.filter(~pl.col("is_fraud")).select("transaction_id"), on="transaction_id"
    )
    met = scams.join(own.select("payer", "device_id").unique(), on=["payer", "device_id"], how="semi")
    assert len(met) > 0.85 * len(scams)


def test_only_the_chosen_attacks_happen():
    config = SimulationConfig(
        payments=6_000, payers=300, days=5, fraud_rate=0.05, attacks={"sim_swap": 1, "bot_burst": 3}
    )
    _, labels = run(config)
    assert set(labels["kind"].unique()) == {"", "sim_swap", "bot_burst"}


def test_telemetry_is_missing_for_some_and_complete_when_asked_for():
    some, _ = run(SMALL)
    assert 0.02 < some["device_id"].null_count() / len(some) < 0.3
    assert some["latitude"].null_count() > some["device_id"].null_count()
    full, _ = run(SimulationConfig(payments=1_000, payers=300, days=2, full_telemetry=True))
    assert full.null_count().sum_horizontal().item() == 0


def test_a_payment_with_all_telemetry_is_about_1100_bytes_of_json():
    payments, _ = run(SimulationConfig(payments=5_000, payers=1_000, days=2, full_telemetry=True))
    sizes = [len(record) for record in encode(payments)]
    assert 1_050 <= sum(sizes) / len(sizes) <= 1_150


def test_a_dense_world_keeps_its_count_in_slots_of_hours():
    config = SimulationConfig(payments=40_000, payers=500, days=1 / 24, fraud_rate=0.003)
    simulation = Simulation(config)
    assert simulation.slot_ms == HOUR_MS
    assert sum(len(slot.payments) for slot in simulation.history()) == 40_000


def ranked(values: np.ndarray, fraud: np.ndarray) -> float:
    """Area under the ROC curve of one column, whichever way it points; nulls count as the median."""
    values = np.where(np.isnan(values), np.nanmedian(values), values)
    ranks = pl.Series(values).rank().to_numpy()
    positives = fraud.sum()
    area = (ranks[fraud].sum() - positives * (positives + 1) / 2) / (positives * (~fraud).sum())
    return max(area, 1 - area)


def test_no_single_field_gives_fraud_away(history):
    fraud = history.labels["is_fraud"].to_numpy()
    times = {"event_time"}
    for column in history.payments:
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            if column.name not in times:
                assert ranked(column.cast(pl.Float64).to_numpy(), fraud) < 0.85, column.name
        elif column.n_unique() < 100:
            for value in column.unique().drop_nulls():
                matches = (column == value).fill_null(False).cast(pl.Float64).to_numpy()
                assert ranked(matches, fraud) < 0.85, f"{column.name} {value}"


@pytest.mark.parametrize(
    "wrong",
    [{"payments": 0}, {"payers": 3}, {"fraud_rate": 0.9}, {"attacks": {"heist": 1}}, {"attacks": {"sim_swap": -1}}],
)
def test_a_wrong_setting_is_refused_when_it_is_made(wrong):
    with pytest.raises(SimulatorError):
        SimulationConfig(**wrong)
