"""The paper's rules by hand: each counts one, the amount only breaks ties, what is not known counts nothing."""

import numpy as np
import pytest

from bench.paper_rules import fired, rule_score
from models.catalogue import FEATURE_NAMES, position

QUIET = {"amount_rupees": 500.0, "hour_of_day": 14.0, "device_new": 0.0, "payee_first": 0.0, "payee_mule_flag": 0.0}


def payment(**values: float) -> np.ndarray:
    row = np.full(len(FEATURE_NAMES), np.nan, dtype=np.float32)
    for name, value in (QUIET | values).items():
        row[position(name)] = value
    return row


@pytest.mark.parametrize(
    ("rule", "breaks", "keeps"),
    [
        (0, {"speed_kmh": 151.0}, {"speed_kmh": 150.0}),
        (1, {"typing_interval_ms": 99.0}, {"typing_interval_ms": 100.0}),
        (2, {"amount_rupees": 50_000.0, "hour_of_day": 4.0}, {"amount_rupees": 49_999.0, "hour_of_day": 4.0}),
        (2, {"amount_rupees": 50_000.0, "hour_of_day": 0.0}, {"amount_rupees": 50_000.0, "hour_of_day": 5.0}),
        (3, {"device_new": 1.0}, {"device_new": 0.0}),
        (4, {"payee_first": 1.0, "payee_mule_flag": 1.0}, {"payee_first": 1.0}),
        (4, {"payee_first": 1.0, "payee_mule_flag": 1.0}, {"payee_mule_flag": 1.0}),
    ],
)
def test_each_rule_fires_just_beyond_its_limit_and_alone(rule, breaks, keeps):
    rules = fired(np.stack([payment(**breaks), payment(**keeps)]))
    assert list(np.flatnonzero(rules[0])) == [rule]
    assert not rules[1].any()


def test_the_score_counts_the_rules_and_the_amount_breaks_ties_only():
    everything = payment(
        speed_kmh=800.0,
        typing_interval_ms=60.0,
        amount_rupees=60_000.0,
        hour_of_day=2.0,
        device_new=1.0,
        payee_first=1.0,
        payee_mule_flag=1.0,
    )
    rows = [payment(amount_rupees=5e5), payment(device_new=1.0, amount_rupees=1.0), payment(device_new=1.0), everything]
    score = rule_score(np.stack(rows))
    assert np.floor(score).tolist() == [0, 1, 1, 5]
    assert (np.diff(score) > 0).all()


def test_what_is_not_known_breaks_no_rule():
    row = np.full(len(FEATURE_NAMES), np.nan, dtype=np.float32)
    row[position("amount_rupees")] = 50_000.0
    assert rule_score(row[None]) == pytest.approx(0.5)
