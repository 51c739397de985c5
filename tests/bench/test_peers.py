"""The reduced job: its plain Python by hand-computed cases, our compiled code against it, and the books of a run."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.peers import features, reference
from bench.peers.__main__ import not_the_job
from bench.peers.chart import picture
from bench.peers.checking import Due, compare
from bench.peers.features import CODEC, RECORD, Payment, rows_of
from bench.peers.pace import Look, pace, second_half
from bench.peers.prepare import flag
from bench.peers.reference import DAY_MS, FEATURES, HOUR_MS, judge, kilometres, new_record
from bench.tables import tables

NOON = 1_767_225_600_000 + 6 * HOUR_MS + HOUR_MS // 2
"""2026-01-01, 12:00 in India."""


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": "t1",
        "event_time": NOON,
        "payer": "asha@bank",
        "payee": "shop@bank",
        "amount": 10_000,
        "device_id": "phone",
        "sim_id": "sim",
        "latitude": 19.0,
        "longitude": 73.0,
        "ip_latitude": 19.0,
        "ip_longitude": 74.0,
        "payee_type": "ENTITY",
        "network_risk_score": 250,
        **changes,
    }


def named(values: list[float]) -> dict[str, float]:
    return dict(zip(FEATURES, values, strict=True))


def judged(*payments: dict[str, Any]) -> dict[str, float]:
    """The features of the last of one payer's payments."""
    record = new_record()
    return named([judge(each, record) for each in payments][-1])


def test_a_first_payment_has_nothing_to_be_compared_with() -> None:
    found = judged(payment())
    assert found["amount"] == 100.0
    assert found["hour_of_day"] == 12
    assert found["payee_merchant"] == 1.0
    assert found["network_risk_score"] == 250
    assert found["gps_ip_km"] == pytest.approx(105.14, abs=0.01)  # a degree of longitude at 19 degrees north
    assert found["device_age_hours"] == 0.0
    zero = ("payments", "hour_count", "hour_rupees", "day_count", "day_rupees", "payee_count", "payees")
    assert [found[name] for name in zero] == [0] * len(zero)
    missing = ("amount_deviations", "amount_of_highest", "seconds_since_last", "device_changed", "sim_changed")
    assert all(math.isnan(found[name]) for name in (*missing, "distance_km", "speed_kmh"))


def test_a_second_payment_an_hour_later_sees_the_first_decayed() -> None:
    found = judged(payment(), payment(event_time=NOON + HOUR_MS, amount=5_000))
    assert found["seconds_since_last"] == 3600.0
    assert found["amount_of_highest"] == 0.5
    assert found["hour_count"] == pytest.approx(1 / math.e)
    assert found["hour_rupees"] == pytest.approx(100 / math.e)
    assert found["day_count"] == pytest.approx(math.exp(-1 / 24))
    assert (found["payments"], found["payee_count"], found["payees"]) == (1, 1, 1)
    assert (found["device_changed"], found["device_age_hours"], found["sim_changed"]) == (0.0, 1.0, 0.0)
    assert (found["distance_km"], found["speed_kmh"]) == (0.0, 0.0)


def test_the_amount_is_compared_with_the_payers_own_from_the_fourth_payment_on() -> None:
    same = [payment(event_time=NOON + i * DAY_MS) for i in range(3)]
    # The logarithm's mean is ln 100, its variance 0: e times as much is one over the floor of 0.25.
    found = judged(*same, payment(event_time=NOON + 3 * DAY_MS, amount=round(10_000 * math.e)))
    assert found["amount_deviations"] == pytest.approx(4.0, abs=1e-3)


def test_a_changed_device_and_sim_are_seen_and_then_known() -> None:
    new = payment(event_time=NOON + HOUR_MS, device_id="other", sim_id="other")
    found = judged(payment(), new)
    assert (found["device_changed"], found["device_age_hours"], found["sim_changed"]) == (1.0, 0.0, 1.0)
    found = judged(payment(), new, new | {"event_time": NOON + 3 * HOUR_MS})
    assert (found["device_changed"], found["device_age_hours"], found["sim_changed"]) == (0.0, 2.0, 0.0)


def test_a_journey_within_a_minute_counts_as_a_minute() -> None:
    found = judged(payment(), payment(event_time=NOON + 1000, longitude=74.0))
    assert found["distance_km"] == pytest.approx(105.14, abs=0.01)
    assert found["speed_kmh"] == pytest.approx(60 * found["distance_km"])


def test_a_payment_from_before_takes_neither_time_nor_place_back() -> None:
    found = judged(payment(), payment(event_time=NOON - HOUR_MS, longitude=80.0), payment(event_time=NOON + 60_000))
    assert found["seconds_since_last"] == 60.0
    assert found["distance_km"] == 0.0


def test_the_payee_paid_longest_ago_is_forgotten_for_a_ninth() -> None:
    paid = [payment(payee=f"p{i}") for i in (0, 1, 2, 3, 4, 5, 6, 7, 0, 8)]
    assert judged(*paid, payment(payee="p0"))["payee_count"] == 2
    assert judged(*paid, payment(payee="p1"))["payee_count"] == 0
    assert judged(*paid, payment(payee="p1"))["payees"] == 8


def test_distance_is_missing_without_a_coordinate() -> None:
    assert math.isnan(kilometres(None, 73.0, 19.0, 73.0))
    assert kilometres(90.0, 0.0, -90.0, 0.0) == pytest.approx(math.pi * 6371.0088)


coordinates = st.one_of(st.none(), st.floats(-90, 90))
payments = st.builds(
    payment,
    event_time=st.integers(NOON, NOON + 3 * DAY_MS),
    payer=st.sampled_from(["a@bank", "b@bank", "c@bank"]),
    payee=st.sampled_from([f"p{i}" for i in range(12)]),
    amount=st.integers(1, 10**9),
    device_id=st.sampled_from([None, "phone", "other"]),
    sim_id=st.sampled_from([None, "sim", "other"]),
    latitude=coordinates,
    longitude=coordinates,
    ip_latitude=coordinates,
    ip_longitude=coordinates,
    payee_type=st.sampled_from([None, "PERSON", "ENTITY"]),
    network_risk_score=st.one_of(st.none(), st.integers(0, 99_999)),
)


@settings(max_examples=60)
@given(st.lists(payments, min_size=1, max_size=40))
def test_our_compiled_features_are_those_of_the_plain_python(sent: list[dict[str, Any]]) -> None:
    plain: dict[str, reference.Record] = {}
    wanted = [judge(each, plain.setdefault(each["payer"], new_record())) for each in sent]
    payers = sorted({each["payer"] for each in sent})
    records = np.zeros(len(payers), dtype=RECORD)
    at = np.array([payers.index(each["payer"]) for each in sent])
    found = features.judge(rows_of([Payment(**each) for each in sent]), records, at)
    np.testing.assert_allclose(found, np.array(wanted, dtype=np.float32), rtol=1e-6, atol=1e-6)
    for payer, record in zip(payers, records, strict=True):
        kept = plain[payer]["payees"]
        used = int(record["payees"])
        assert list(zip(record["payee"][:used], record["payee_count"][:used], strict=True)) == [*map(tuple, kept)]


def test_a_record_comes_back_from_its_bytes() -> None:
    records = np.zeros(2, dtype=RECORD)
    features.judge(rows_of([Payment(**payment())]), records, np.array([1]))
    back = np.zeros(2, dtype=RECORD)
    CODEC.decode(CODEC.encode(records, np.arange(2)), back, np.arange(2))
    assert (back == records).all()


def test_the_threshold_lies_in_a_gap_and_flags_about_the_share() -> None:
    scores = np.concatenate([np.linspace(0, 0.5, 9_928), np.linspace(0.6, 0.9, 72)])
    flagged, threshold = flag(pl.DataFrame({"id": [str(i) for i in range(10_000)], "score": scores}))
    assert threshold == pytest.approx(0.55)
    assert flagged.height == 72


DUE = {"a": Due(0, 5, 0.9), "b": Due(1, 7, 0.8), "c": Due(1, 90, 0.7)}


def test_alerts_as_expected_are_no_problem() -> None:
    outcome = compare(DUE, {0: 6, 1: 8}, [("a", 0.9), ("b", 0.800001)])
    assert outcome.problems(repeats_allowed=False) == []
    assert outcome.compared == 2
    assert outcome.largest_difference == pytest.approx(1e-6)


def test_an_alert_past_the_committed_offsets_may_be_there_already() -> None:
    assert compare(DUE, {0: 6, 1: 8}, [("a", 0.9), ("b", 0.8), ("c", 0.7)]).problems(repeats_allowed=False) == []


@pytest.mark.parametrize(
    ("alerts", "problem"),
    [
        ([("a", 0.9)], "alerts missing: 1"),
        ([("a", 0.9), ("b", 0.8), ("x", 0.9)], "alerts unexpected: 1"),
        ([("a", 0.9), ("b", 0.8), ("b", 0.8)], "alerts repeated: 1"),
        ([("a", 0.9), ("b", 0.8001)], "alerts with another score: 1"),
    ],
)
def test_a_wrong_alert_is_named(alerts: list[tuple[str, float]], problem: str) -> None:
    assert compare(DUE, {0: 6, 1: 8}, alerts).problems(repeats_allowed=False) == [problem]


def test_repeats_are_none_of_the_problems_at_least_once() -> None:
    outcome = compare(DUE, {0: 6}, [("a", 0.9), ("a", 0.9)])
    assert outcome.repeated == 1
    assert outcome.problems(repeats_allowed=True) == []


def test_nothing_compared_proves_nothing() -> None:
    assert compare(DUE, {}, []).problems(repeats_allowed=True) == ["alerts compared, none: 1"]


def test_the_pace_counts_from_the_first_commit_seen_to_the_last() -> None:
    looks = [Look(10.0, 500), Look(11.0, 1_000), Look(12.5, 3_000), Look(14.0, 6_500)]
    assert pace(looks).rate == 1_500
    assert second_half(looks).payments == 3_500
    assert second_half(looks).seconds == 1.5


def test_one_commit_makes_no_pace() -> None:
    assert pace([Look(10.0, 500)]).rate is None
    assert pace([]).rate is None
    assert second_half([]).rate is None


def run(rate: int | None, problems: list[str] | None = None) -> dict[str, Any]:
    alerts = {"compared": 70, "missing": 0, "unexpected": 0, "repeated": 0, "differing": 0, "largest_difference": 2e-8}
    return {
        "payments": 9_000,
        "seconds": 1.0,
        "rate": rate,
        "rate_second_half": rate,
        "committed": 10_000,
        "commits_seen": 5,
        "cpu_s": 1.5,
        "peak_rss_mib": 300.0,
        "alerts": alerts,
        "problems": problems or [],
    }


def result() -> dict[str, Any]:
    def who(title: str, rate: int) -> dict[str, Any]:
        spread = {"median": float(rate), "lowest": rate - 100.0, "highest": rate + 100.0}
        described = {"title": title, "guarantee": "exactly once", "settings": {"threads": 2}, "options": ["-Xmx1g"]}
        return described | {"versions": {"x": "1.0"}, "runs": [run(rate), run(rate)], "rate": spread}

    return {
        "benchmark": "peers",
        "settings": {"runs": 2, "payments": 10_000, "seconds": 30.0},
        "participants": {
            "ours": who("FraudStream", 80_000),
            "faust": who("Faust", 4_000),
            "streams": {"title": "Kafka Streams", "guarantee": "exactly once", "skipped": "there is no JDK here"},
        },
    }


def test_the_table_shows_how_many_times_as_fast_ours_is_and_who_is_left_out() -> None:
    rates, alerts, settings, left_out = tables(result())
    faust = next(row for row in rates.rows if row[0] == "Faust")
    assert faust == ["Faust", "exactly once", "4,000", "3,900", "4,100", "20.0", "4,000", "10,000", "150", "300.00"]
    assert alerts.rows[0] == ["FraudStream", "140", "0", "0", "0", "0", "2.0e-08"]
    assert settings.rows[:3] == [
        ["FraudStream", "x", "1.0"],
        ["FraudStream", "options", "-Xmx1g"],
        ["FraudStream", "threads", "2"],
    ]
    assert left_out.rows == [["Kafka Streams", "there is no JDK here"]]


def test_the_picture_is_the_same_each_time_and_names_everyone() -> None:
    drawn = picture(result())
    assert drawn == picture(result())
    assert all(text in drawn for text in ("FraudStream", "Faust", "80,000"))
    assert "Kafka Streams" not in drawn


def test_a_run_that_was_not_the_job_is_named() -> None:
    found = result()
    assert not_the_job(found) == []
    found["participants"]["faust"]["runs"][1] = run(None, ["alerts missing: 3"])
    assert not_the_job(found) == ["run 2 of Faust: alerts missing: 3"]
