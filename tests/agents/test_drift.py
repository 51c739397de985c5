"""Drift live: what a worker counts, what the gauges say, and when it calls for retraining."""

import math

import msgspec
import pytest
from structlog.testing import capture_logs

from agents.champion import Models
from agents.drift import DriftWatch
from models.bundle import write_bundle
from models.catalogue import FEATURE_NAMES
from models.drift import FILE
from models.drift_counts import in_sample
from models.retrain import RetrainPolicy
from models.scoring import Scorer
from stream.metrics import METRICS

FEW = RetrainPolicy(payments=20, hours=1)


def value(name: str, **labels: str) -> float | None:
    return METRICS.registry.get_sample_value(f"fraudstream_{name}", labels)


@pytest.fixture(autouse=True)
def nothing_known():
    METRICS.drift_unknown()


@pytest.fixture
def watched(make_desk):
    """`watched(policy)`: a desk whose scoring counts for a watch of this policy."""

    def make(policy=FEW):
        desk = make_desk()
        watch = DriftWatch(policy)
        object.__setattr__(desk.scoring, "drift", watch)
        return desk, watch

    return make


def odd(payment, count):
    """Payments unlike any of training: all to new payees, by emulators, of huge amounts."""
    return [
        payment(40 * i, 90_000 + i, payee=f"p{i}@x", emulator=True, rooted=True, on_call=True, screen_shared=True)
        for i in range(count)
    ]


def test_a_sample_of_what_is_judged_is_counted(watched, payment):
    desk, watch = watched()
    desk.judge(*(payment(60 * i) for i in range(300)))
    found = watch.look()
    assert found.payments == sum(bool(in_sample(offset)) for offset in range(300))
    assert value("drift_payments") == found.payments


def test_payments_unlike_those_of_training_ask_for_retraining_and_say_so_once(watched, payment):
    desk, watch = watched()
    desk.judge(*odd(payment, 400))
    with capture_logs() as logs:
        found = watch.look()
        watch.look()
    assert found.retrain
    assert value("retrain_wanted") == 1
    assert value("drift_features") == len(found.shifted) > 9
    assert value("score_psi") == found.score
    assert {name: value("feature_psi", feature=name) for name in FEATURE_NAMES} == found.features
    (line,) = logs
    assert line["log_level"] == "warning"
    assert all(name in FEATURE_NAMES for name in line["features"].split(", ") if name != "score")
    assert "fraudstream models drift" in line["hint"]


def test_until_enough_is_counted_nothing_is_said(watched, payment):
    desk, watch = watched(RetrainPolicy(payments=1_000, hours=1))
    desk.judge(*odd(payment, 400))
    with capture_logs() as logs:
        found = watch.look()
    assert (found.settled, value("retrain_wanted"), logs) == (False, 0, [])
    assert math.isnan(value("score_psi"))
    assert value("feature_psi", feature=FEATURE_NAMES[0]) is None


def test_another_champion_begins_anew_against_its_own_reference(watched, payment, bundle, tmp_path):
    desk, watch = watched()
    desk.judge(*odd(payment, 400))
    assert watch.look().retrain
    manifest = msgspec.structs.replace(bundle.manifest, name="another", files={})
    extra = {FILE: bundle.contents[FILE]}
    another = Scorer(write_bundle(tmp_path / "another", manifest, bundle.model, extra))
    models = Models(another, (), desk.scoring.models().decider)
    object.__setattr__(desk.scoring, "models", lambda: models)
    desk.judge(payment())
    found = watch.look()
    assert found.payments <= 1
    assert value("retrain_wanted") == 0
    assert math.isnan(value("score_psi"))


def test_a_champion_without_a_reference_is_judged_by_and_never_drifts(watched, payment, bundle, tmp_path):
    desk, watch = watched()
    old = Scorer(write_bundle(tmp_path / "old", bundle.manifest, bundle.model))
    models = Models(old, (), desk.scoring.models().decider)
    object.__setattr__(desk.scoring, "models", lambda: models)
    step = desk.judge(*odd(payment, 50))
    assert len(step.rows) == 50
    assert watch.look() is None
    assert value("drift_payments") == 0
    assert math.isnan(value("score_psi"))


def test_payments_dated_into_the_future_do_not_end_the_window(watched, payment):
    desk, watch = watched()
    desk.judge(*(payment(60 * i) for i in range(200)))
    before = watch.look().payments
    # published at noon like all others here: clamped to that
    desk.judge(*(payment(10**7 + 60 * i) for i in range(200)))
    assert watch.look().payments > before


def test_before_the_first_step_there_is_nothing_to_compare():
    assert DriftWatch().look() is None


def test_the_thread_looks_by_itself_and_ends(watched, payment, monkeypatch):
    monkeypatch.setattr("agents.drift.LOOK_EVERY_S", 0.01)
    desk, watch = watched()
    desk.judge(*odd(payment, 400))
    watch.start()
    for _ in range(3_000):
        if value("retrain_wanted") == 1:
            break
        watch._thread.join(0.01)
    watch.stop()
    assert value("retrain_wanted") == 1
    assert not watch._thread.is_alive()


def test_what_is_published_does_not_depend_on_what_is_counted(make_desk, watched, payment):
    payments = odd(payment, 30)
    desk, _ = watched()
    other = make_desk()
    counted, plain = desk.judge(*payments), other.judge(*payments)
    assert counted.rows.equals(plain.rows)
    assert desk.kept == other.kept
