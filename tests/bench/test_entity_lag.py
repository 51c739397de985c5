"""Live against offline: differences by hand, verdicts in their time, and a small history through a real worker."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.entity_difference import compare_features, compare_scores
from bench.entity_lag import ENTITY_FEATURES, one_rate
from bench.model.worlds import simulate
from bench.tables import tables
from bench.verdicts import verdicts_of
from bench.world import fraudstream
from models.bundle import write_bundle
from models.catalogue import FEATURE_NAMES
from models.engine import RISK
from models.history import featurise
from models.training import Settings, train
from simulator.config import SimulationConfig
from stream.local_broker import LocalBroker

NAN = float("nan")
PAYMENTS = 6_000


def test_every_value_of_entity_risk_is_a_feature() -> None:
    assert len(ENTITY_FEATURES) == len(RISK.names or ())


def test_differences_of_a_feature_by_hand() -> None:
    name, other = ENTITY_FEATURES[0], next(name for name in FEATURE_NAMES if name not in ENTITY_FEATURES)
    live = np.zeros((5, len(FEATURE_NAMES)), dtype=np.float32)
    offline = live.copy()
    live[:, FEATURE_NAMES.index(name)] = (1, 4, NAN, NAN, 2)
    offline[:, FEATURE_NAMES.index(name)] = (1, 1, NAN, 3, 4)
    found = compare_features(live, offline, ENTITY_FEATURES)
    assert found["any_entity_feature_differs"] == 3
    assert found["any_other_feature_differs"] == 0
    assert set(found["features"]) == set(ENTITY_FEATURES)
    figures = found["features"][name]
    assert (figures["equal"], figures["known_live_only"], figures["known_offline_only"]) == (0.4, 0, 0.2)
    assert figures["mean"] == pytest.approx(2)  # offline, of those known in both: 1, 1, 4
    assert figures["difference_mean"] == pytest.approx(5 / 3)
    assert figures["difference_max"] == 3
    live[0, FEATURE_NAMES.index(other)] = 1
    found = compare_features(live, offline, ENTITY_FEATURES)
    assert found["any_other_feature_differs"] == 1
    assert other in found["features"]


def test_what_differences_do_to_alerts_is_counted_on_both_sides() -> None:
    live = np.array([0.9, 0.2, 0.6, 0.1], dtype=np.float32)
    offline = np.array([0.9, 0.6, 0.1, 0.1], dtype=np.float32)
    is_fraud = np.array([True, True, False, False])
    found = compare_scores(live, offline, live > 0.5, offline > 0.5, is_fraud)
    counts = [found[f"flagged_{where}"] for where in ("in_both", "live_only", "offline_only")]
    assert counts == [1, 1, 1]
    assert found["equal"] == 0.5
    assert found["difference_max"] == pytest.approx(0.5)
    assert (found["quality"]["live"]["auc"], found["quality"]["offline"]["auc"]) == (0.75, 1.0)
    assert found["quality"]["live"]["frauds_alerted"] == 1


def test_a_verdict_is_due_with_the_payment_at_whose_time_it_is_known_and_names_the_device() -> None:
    payments = pl.DataFrame(
        {
            "transaction_id": ["a", "b", "c", "d"],
            "event_time": [10, 20, 30, 40],
            "payer": ["p"] * 4,
            "device_id": ["phone", None, "other", "phone"],
            "amount": [1] * 4,
        }
    )
    labels = pl.DataFrame(
        {
            "transaction_id": ["a", "b", "c", "d"],
            "payer": ["p"] * 4,
            "payee": ["q"] * 4,
            "event_time": [10, 20, 30, 40],
            "is_fraud": [True, True, True, False],
            "kind": ["bot"] * 3 + [""],
            "known_at": [30, 99, None, 15],
        }
    )
    found = verdicts_of(payments, labels)
    assert found["transaction_id"].to_list() == ["a", "b"]
    assert found["due"].to_list() == [2, 4]  # after a and b were sent, before c; after all
    assert found["device_id"].to_list() == ["phone", None]


@pytest.mark.broker
def test_a_history_through_a_real_worker_differs_in_entity_features_alone(broker: LocalBroker, tmp_path: Path) -> None:
    sent, labels = simulate(SimulationConfig(PAYMENTS, 300, fraud_rate=0.1, seed=3, days=60))
    sent = sent.sort("event_time", "transaction_id")
    offline = featurise(sent, labels)
    trained = train(offline, Settings(trees=20), created_at=1_760_000_000_000)
    bundle = write_bundle(tmp_path / "model", trained.manifest, trained.model)
    fraudstream("config", "new-token-key", "--out", tmp_path / "token.key")
    figures = one_rate(broker, tmp_path, bundle, (sent, labels, offline), 2_000)
    features = figures["features"]
    assert features["payments"] == PAYMENTS
    assert features["any_other_feature_differs"] == 0
    assert set(features["features"]) == set(ENTITY_FEATURES)
    assert figures["verdicts"] > 100
    scores = figures["scores"]
    assert scores["quality"]["live"]["frauds"] == scores["quality"]["offline"]["frauds"] > 20
    assert scores["quality"]["live"]["auc"] == pytest.approx(scores["quality"]["offline"]["auc"], abs=0.1)
    result = {"benchmark": "entity_lag", "settings": {"payments": PAYMENTS}, "runs": [figures]}
    assert [len(table.rows) for table in tables(result)] == [6, len(ENTITY_FEATURES), 15]
