"""Attackers who adapt: the versions of a world differ in nothing else, and the page says what the figures say."""

import re
from typing import Any

import numpy as np
import polars as pl
import pytest

from bench import charts
from bench.adapting import ALL, KNOBS, REPORTED, SILENT, STANDARD, STRENGTHS, Past, Version, silenced, versions
from bench.findings import robustness
from bench.robustness import judged, summary
from bench.tables import tables
from models.history import featurise
from models.passage import CHUNK
from models.scoring import Scores
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

CONFIG = SimulationConfig(payments=2 * CHUNK, payers=200, fraud_rate=0.05, seed=3, days=20)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def past() -> Past:
    return Past(CONFIG)


def test_every_knob_is_turned_in_every_step_and_nothing_twice():
    found = list(versions())
    assert len(found) == len(set(found))
    for knob in KNOBS:
        assert [v.strength for v in found if v.knob == knob] == [s for s in STRENGTHS if s or knob != SILENT]
    assert Version("amount", 0.5).config(CONFIG).adapt == {"amount": 0.5}
    assert set(Version(ALL, 1).config(CONFIG).adapt.values()) == {1}
    assert Version(STANDARD, 0).config(CONFIG) == CONFIG


def test_what_goes_on_from_a_copy_is_what_one_pass_over_everything_gives(past):
    slots = list(Simulation(CONFIG).between(CONFIG.start_ms, CONFIG.end_ms + 3 * DAY_MS))
    payments, labels = pl.concat([s.payments for s in slots]), pl.concat([s.labels for s in slots])
    whole = featurise(payments, labels)
    past.future(Version(ALL, 1.0), 3)  # leaves no trace
    future = past.future(Version(STANDARD, 0.0), 3)
    later = whole.payments["event_time"].to_numpy() >= CONFIG.end_ms
    kept = np.flatnonzero(later & (whole.status & 1 == 0))
    assert future.payments["transaction_id"].to_list() == whole.payments["transaction_id"][kept].to_list()
    np.testing.assert_array_equal(future.features, whole.features[kept])
    np.testing.assert_array_equal(past.history.features, whole.features[~later])


def test_adapting_changes_the_frauds_and_leaves_the_honest_as_they_are(past):
    none, full = past.future(Version("amount", 0.0), 3), past.future(Version("amount", 1.0), 3)
    honest = [
        each.payments.filter(~pl.col("is_fraud")).select("event_time", "payer", "amount") for each in (none, full)
    ]
    assert honest[0].equals(honest[1])
    rupees = [each.payments.filter("is_fraud")["amount"].mean() for each in (none, full)]
    assert rupees[1] < rupees[0]


def test_the_silent_are_frauds_of_a_share_of_the_victims_and_report_nothing():
    slots = list(Simulation(CONFIG).history())
    payments, labels = pl.concat([s.payments for s in slots]), pl.concat([s.labels for s in slots])
    fraud = payments["transaction_id"].is_in(labels.filter("is_fraud")["transaction_id"].to_list())
    assert silenced(payments, labels, 0).equals(payments)
    everyone = silenced(payments, labels, 1)
    assert everyone.filter(~fraud).equals(payments.filter(~fraud))
    assert everyone.filter(fraud).select(REPORTED).null_count().row(0) == (fraud.sum(),) * len(REPORTED)
    half = silenced(payments, labels, 0.5).filter(fraud)["typing_interval_ms"].null_count()
    assert payments.filter(fraud)["typing_interval_ms"].null_count() < half < fraud.sum()


def figures(seed: int, knob: str, strength: float, recall: float) -> dict[str, Any]:
    at = {
        rate: {"recall": recall + extra, "false_positive_rate": float(rate), "alert_share": float(rate) + 0.003}
        for rate, extra in (("0.005", 0), ("0.013", 0.05))
    }
    kinds = {"sim_swap": 0.9, "app_scam": recall / 2}
    return {
        "seed": seed,
        "knob": knob,
        "strength": strength,
        "payments": 1000,
        "frauds": 10,
        "auc": 0.9,
        "at": at,
        "recall_by_kind": kinds,
    }


@pytest.fixture
def result() -> dict[str, Any]:
    """Amounts cost 20 points in either world, timing nothing that is certain."""
    costs = {"amount": 0.2, "timing": 0.0, ALL: 0.5}
    runs = [
        figures(seed, v.knob, v.strength, 0.8 + 0.02 * seed - costs.get(v.knob, 0.0) * v.strength)
        for seed in (1, 2)
        for v in versions()
    ]
    return {"benchmark": "robustness", **summary(runs)}


def test_losses_are_taken_world_by_world(result):
    lost = result["lost"]["amount"]["0.005"]
    assert (lost["mean"], lost["low"], lost["high"]) == pytest.approx((0.2, 0.2, 0.2))
    assert result["knobs"]["amount"]["0.5"]["at"]["0.005"]["recall"]["mean"] == pytest.approx(0.73)
    assert result["knobs"][SILENT]["0"] == result["standard"]


def test_tables_picture_and_words_say_what_the_figures_say(result):
    recall, *_ = tables(result)
    row = next(row for row in recall.rows if row[0] == "amount")
    assert row[1].startswith("83.0 ± ")
    assert row[5].startswith("63.0 ± ")
    assert row[6] == "20.0 ± 0.0"
    assert all(knob in charts.robustness(result) for knob in KNOBS)
    words = robustness(result)
    assert "Amount: with every campaign adapted 20.0 ± 0.0 % of the frauds are missed in addition" in words
    assert "timing +0.0" in words
    assert re.search(r"app_scam \(4[12] % → 1[67] %\)", words)
    assert "sim_swap" not in words


def test_one_world_alone_has_no_intervals():
    runs = [figures(1, v.knob, v.strength, 0.8) for v in versions()]
    result = {"benchmark": "robustness", **summary(runs)}
    assert tables(result)[0].rows[0][1] == "80.0"
    assert "No loss that these worlds tell from chance" in robustness(result)


def test_a_version_is_judged_by_the_bands_of_training(past):
    from models.training import Settings, train

    trained = train(past.history, Settings(trees=5, threads=1, validation_share=0.4, label_delay_ms=0), created_at=0)
    n = len(past.history)
    starts = {band.name: band.from_score for band in trained.manifest.bands}
    score = np.full(n, starts["high"], dtype=np.int16)
    scores = Scores(score.astype(np.float32), np.zeros(n, dtype=np.float32), score, np.zeros(n, dtype=np.uint8))
    found = judged(3, Version(STANDARD, 0), past.history, scores, trained.manifest)
    assert found["at"]["0.005"] == {"recall": 1.0, "false_positive_rate": 1.0, "alert_share": 1.0}
    assert found["frauds"] == past.history.payments["is_fraud"].sum()
