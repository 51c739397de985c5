"""The 85 parameters against cases worked out by hand."""

import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models import engine
from models.catalogue import CATALOGUE, FEATURE_NAMES
from models.features.common import haversine_km
from models.payer_state import PAYER_CODEC

HOUR, DAY = 3600, 86_400
MUMBAI, PUNE, DELHI = (19.0760, 72.8777), (18.5204, 73.8567), (28.6139, 77.2090)


def at(place):
    return {"latitude": place[0], "longitude": place[1]}


def test_haversine_agrees_with_published_distances():
    # One degree along the equator is 2 pi R / 360.
    assert haversine_km(0.0, 0.0, 0.0, 1.0) == pytest.approx(2 * math.pi * 6371.0088 / 360, rel=1e-12)
    # Nashville to Los Angeles airport, the worked example of the formula's best known description (R = 6371.0088).
    assert haversine_km(36.12, -86.67, 33.94, -118.40) == pytest.approx(2886.45, abs=0.05)
    assert math.isnan(haversine_km(np.nan, 0.0, 0.0, 1.0))


def test_speed_is_distance_over_time_since_the_last_fix(judge, payment):
    judge(payment(**at(MUMBAI)))
    features = judge(payment(after_s=HOUR, **at(DELHI)))
    distance = haversine_km(*MUMBAI, *DELHI)
    assert distance == pytest.approx(1148, abs=5)  # by air about 1,150 km
    assert features["distance_last_km"] == pytest.approx(distance, rel=1e-5)
    assert features["speed_kmh"] == pytest.approx(distance, rel=1e-5)
    assert features["fix_age_hours"] == 1


def test_two_fixes_in_the_same_second_give_the_speed_of_a_minute(judge, payment):
    judge(payment(latitude=0.0, longitude=0.0))
    features = judge(payment(latitude=0.0, longitude=0.001))
    assert features["speed_kmh"] == pytest.approx(0.001 * 111.195 * 60, rel=1e-3)


def test_a_payment_without_telemetry_has_unknown_location_device_and_behaviour(judge, payment):
    features = judge(payment())
    assert features["gps_missing"] == 1
    unknown = {name for name, value in features.items() if math.isnan(value)}
    assert {"speed_kmh", "device_new", "sim_changed", "typing_interval_ms", "gps_ip_km", "payee_payers"} <= unknown
    assert features["amount_rupees"] == 500
    assert features["payee_first"] == 1
    assert features["device_fields_missing"] == 10


def test_distance_from_home_is_measured_from_the_centre_of_the_fixes(judge, payment):
    for k in range(4):
        judge(payment(after_s=k * HOUR, **at(MUMBAI)))
    features = judge(payment(after_s=5 * HOUR, **at(PUNE)))
    assert features["distance_home_km"] == pytest.approx(haversine_km(*MUMBAI, *PUNE), rel=1e-4)
    assert features["home_spread_km"] == pytest.approx(0, abs=1e-3)


def test_gps_and_network_address_apart(judge, payment):
    features = judge(
        payment(
            **at(MUMBAI), ip_latitude=DELHI[0], ip_longitude=DELHI[1], cell_latitude=PUNE[0], cell_longitude=PUNE[1]
        )
    )
    assert features["gps_ip_km"] == pytest.approx(haversine_km(*MUMBAI, *DELHI), rel=1e-6)
    assert features["gps_cell_km"] == pytest.approx(haversine_km(*MUMBAI, *PUNE), rel=1e-6)


def test_the_first_payment_to_a_payee_and_the_next(judge, payment):
    assert judge(payment(rupees=100))["payee_first"] == 1
    assert judge.status & engine.FIRST_PAYEE
    features = judge(payment(after_s=DAY, rupees=300))
    assert (features["payee_first"], features["payee_payments"], features["payee_age_days"]) == (0, 1, 1)
    assert features["payee_amount_ratio"] == 3
    assert judge(payment(after_s=2 * DAY, payee="other@bank"))["payee_first"] == 1


def test_new_payees_of_a_day(judge, payment):
    for k in range(3):
        judge(payment(after_s=k * HOUR, payee=f"p{k}@bank"))
    assert judge(payment(after_s=4 * HOUR, payee="p3@bank"))["new_payees_day"] == 4
    assert judge(payment(after_s=2 * DAY, payee="p4@bank"))["new_payees_day"] == 1


def test_the_age_of_a_sim_counts_from_its_first_payment(judge, payment):
    judge(payment(sim_id="old"))
    features = judge(payment(after_s=30 * DAY, sim_id="new"))
    assert (features["sim_changed"], features["sim_age_hours"]) == (1, 0)
    assert judge.status & engine.NEW_SIM
    features = judge(payment(after_s=30 * DAY + 2 * HOUR, sim_id="new"))
    assert (features["sim_changed"], features["sim_age_hours"]) == (0, 2)


def test_a_payment_without_sim_leaves_the_known_one(judge, payment):
    judge(payment(sim_id="old"))
    assert math.isnan(judge(payment(after_s=60))["sim_changed"])
    assert judge(payment(after_s=120, sim_id="old"))["sim_changed"] == 0


def test_a_clone_carries_a_known_id_and_other_hardware(judge, payment):
    judge(payment(device_id="d1", imei="1", mac="m", processor="c"))
    features = judge(payment(after_s=60, device_id="d1", imei="2", mac="m", processor="c"))
    assert (features["device_new"], features["hardware_changed"]) == (0, 1)


def test_a_new_device_and_the_return_to_the_old_one(judge, payment):
    judge(payment(device_id="d1", os_version=14.0))
    features = judge(payment(after_s=10 * DAY, device_id="d2"))
    assert (features["device_new"], features["device_switched"], features["devices_known"]) == (1, 1, 1)
    features = judge(payment(after_s=11 * DAY, device_id="d1", os_version=13.0))
    assert (features["device_new"], features["device_switched"], features["device_age_days"]) == (0, 1, 11)
    assert features["os_version_change"] == -1
    assert features["newest_device_hours"] == 24


def test_the_hour_of_day_is_india_s(judge, payment):
    assert judge(payment(after_s=14 * HOUR))["hour_of_day"] == 2  # noon and 14 hours
    assert judge(payment(after_s=24 * HOUR))["hour_of_day"] == 12


def test_the_share_of_payments_at_this_time_of_day(judge, payment):
    for day in range(4):
        judge(payment(after_s=day * DAY))
    judge(payment(after_s=4 * DAY + 6 * HOUR))
    assert judge(payment(after_s=5 * DAY))["hour_share"] == pytest.approx(4 / 5)
    assert judge(payment(after_s=5 * DAY + 10 * HOUR))["hour_share"] == 0


def test_typing_against_the_payers_own_rhythm(judge, payment):
    for k, interval in enumerate((160.0, 180.0, 170.0, 170.0)):
        judge(payment(after_s=k * HOUR, typing_interval_ms=interval))
    features = judge(payment(after_s=5 * HOUR, typing_interval_ms=80.0))
    mean, variance = 170.0, 50.0  # of 160, 180, 170, 170
    assert features["typing_usual_ms"] == pytest.approx(mean)
    assert features["typing_deviations"] == pytest.approx((80 - mean) / math.sqrt(variance + 25), rel=1e-5)
    assert features["typing_interval_ms"] == 80


def test_the_amount_against_the_payers_own(judge, payment):
    for k in range(3):
        judge(payment(after_s=k * DAY, rupees=100))
    features = judge(payment(after_s=4 * DAY, rupees=1000))
    assert features["amount_usual_rupees"] == pytest.approx(100, rel=1e-5)
    assert features["amount_of_highest"] == pytest.approx(10)
    assert features["amount_deviations"] == pytest.approx(math.log(10) / 0.25, rel=1e-4)


def test_velocity_counts_this_payment_and_those_of_the_window(judge, payment):
    for minutes in (0, 200, 230, 238):
        judge(payment(after_s=minutes * 60, rupees=1000))
    features = judge(payment(after_s=240 * 60, rupees=1000))
    assert features["payments_10min"] == 2
    assert features["payments_hour"] == 4
    assert features["payments_day"] == 5
    assert features["amount_day_rupees"] == 5000
    assert features["minutes_since_last"] == 2


def test_a_burst_is_seen_within_one_batch(judge, payment):
    features = judge.matrix([payment(after_s=k) for k in range(20)])
    assert features[:, FEATURE_NAMES.index("payments_10min")].tolist() == list(range(1, 21))


@pytest.mark.parametrize(
    ("rupees", "under"), [(500, 0), (10_000, 0), (9_999, 1), (49_500, 1), (123.45, 0), (94_000, 0)]
)
def test_amounts_just_under_a_limit(judge, payment, rupees, under):
    assert judge(payment(rupees=rupees))["under_limit"] == under


def test_what_a_thief_takes_does_not_become_the_customers_usual(judge, payment):
    for k in range(5):
        judge(payment(after_s=k * DAY, rupees=100))
    judge(payment(after_s=5 * DAY, rupees=100_000))
    usual = judge(payment(after_s=6 * DAY, rupees=100))["amount_usual_rupees"]
    assert usual == pytest.approx(100 * math.exp(3 * 0.25 / 6), rel=1e-5)  # three deviations off, one of six amounts


def test_a_week_of_large_payments_against_the_payers_usual(judge, payment):
    for k in range(4):
        judge(payment(after_s=k * DAY, rupees=100))
    features = judge(payment(after_s=20 * DAY, rupees=400))
    assert features["amount_week_ratio"] == pytest.approx(4, rel=1e-5)


def test_a_repeated_payment_is_a_duplicate_and_counted_once(judge, payment):
    first = payment()
    judge(first)
    before = PAYER_CODEC.encode(judge.payers.records, np.array([0]))
    judge(first)
    assert judge.status & engine.DUPLICATE
    assert PAYER_CODEC.encode(judge.payers.records, np.array([0])) == before


def test_a_duplicate_within_one_batch_is_seen(judge, payment):
    first = payment()
    judge(first, first)
    assert judge.status & engine.DUPLICATE
    assert judge.record()["payments"] == 1


def test_the_same_id_with_other_content_is_a_conflict_and_counted(judge, payment):
    judge(payment(transaction_id="same"))
    judge(payment(transaction_id="same", rupees=90_000))
    assert judge.status & engine.ID_CONFLICT
    assert not judge.status & engine.DUPLICATE
    assert judge.record()["payments"] == 2


def test_a_redo_is_scored_and_leaves_the_record(judge, payment):
    judge(payment())
    features = judge(payment(after_s=60), redo=engine.REDO)
    assert features["amount_rupees"] == 500
    assert judge.record()["payments"] == 1


def test_a_late_payment_is_scored_and_never_moves_the_last_fix_back(judge, payment):
    judge(payment(after_s=DAY, **at(MUMBAI)))
    judge(payment(after_s=0, **at(DELHI)))
    assert judge.status & engine.LATE
    record = judge.record()
    assert record["fix_latitude"] == np.float32(MUMBAI[0])
    assert record["last_seen_ms"] - record["fix_ms"] == 0


def test_an_event_time_far_ahead_of_publication_is_set_back(judge, payment):
    later = payment(after_s=7 * DAY)
    judge(later, published=later.event_time - 7 * DAY * 1000)
    assert judge.status & engine.CLAMPED
    assert judge.record()["last_seen_ms"] == later.event_time - 7 * DAY * 1000


def test_a_payer_unseen_for_longer_than_the_ttl_is_unknown_again(judge, payment):
    judge(payment(device_id="d1", typing_interval_ms=100.0))
    features = judge(payment(after_s=401 * DAY, device_id="d2"))
    fresh = type(judge)()(payment(after_s=401 * DAY, device_id="d2"))
    assert features == pytest.approx(fresh, nan_ok=True)


def test_histories_stay_within_their_bounds(judge, payment):
    for k in range(60):
        judge(payment(after_s=k * HOUR, payee=f"p{k}@bank", device_id=f"d{k}"))
    record = judge.record()
    assert (record["payees"], record["devices"], record["recents"]) == (24, 4, 16)
    assert len(PAYER_CODEC.encode(judge.payers.records, np.array([0]))[0]) < 2048
    assert judge(payment(after_s=61 * HOUR, payee="p59@bank"))["payee_first"] == 0
    assert judge(payment(after_s=62 * HOUR, payee="p0@bank"))["payee_first"] == 1


def test_the_catalogue_has_85_parameters_in_four_groups():
    assert len(set(FEATURE_NAMES)) == len(CATALOGUE) == 85
    assert {feature.group for feature in CATALOGUE} == {"device", "location", "transaction", "behaviour"}
    assert all(feature.usual is None or feature.usual in FEATURE_NAMES for feature in CATALOGUE)


def test_every_sentence_can_be_said():
    for feature in CATALOGUE:
        for value in (0.0, 1.0, 123_456.7, math.nan):
            sentence = feature.say(value, 2.0)
            assert "{" not in sentence
            assert " nan" not in sentence


def test_what_is_not_known_is_said_within_a_sentence_without_breaking_abbreviations():
    said = {feature.name: feature.say(math.nan) for feature in CATALOGUE}
    assert said["amount_rupees"] == "Not known for this payment: amount"
    assert said["purpose"] == "Not known for this payment: UPI's purpose code"
    assert said["payee_mule_flag"] == "Not known for this payment: a registry lists the payee as a suspected mule"


NARROW = {
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_ICL",
    "NUMBA_CPU_NAME": "x86-64",
    "NUMBA_CPU_FEATURES": "+sse2",
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="switches x86-64's vector instructions off")
def test_features_do_not_depend_on_the_widest_vector_instructions(tmp_path):
    """The same payments with everything above SSE2 switched off: differences stay at single precision's last bits."""
    results = []
    for name, settings in (("wide", {}), ("narrow", NARROW)):
        out = tmp_path / f"{name}.npy"
        command = [sys.executable, Path(__file__).with_name("golden_features.py"), out]
        subprocess.run(command, env={**os.environ, **settings, "NUMBA_CACHE_DIR": str(tmp_path / name)}, check=True)
        results.append(np.load(out))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-5)
