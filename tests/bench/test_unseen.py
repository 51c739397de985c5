"""Leaving kinds out: what is taken out of history, and how recall at a rate is counted."""

import numpy as np
import polars as pl

from bench.charts import unseen
from bench.tables import tables
from bench.unseen import FALSE_POSITIVE_RATE, Judged, World, flagged, measured, summary, without

HONEST, FRAUDS = 10_000, 100


def judged(model, second):
    """Honest payments with scores 0 to 1, then frauds with the scores given."""
    random = np.random.default_rng(1)
    return Judged(
        kind=np.array([""] * HONEST + ["a"] * 50 + ["b"] * 50),
        is_fraud=np.arange(HONEST + FRAUDS) >= HONEST,
        model=np.concatenate([random.random(HONEST), np.full(FRAUDS, model)]),
        second=np.concatenate([random.random(HONEST), np.full(FRAUDS, second)]),
        deployed=np.zeros(HONEST + FRAUDS, dtype=np.bool_),
    )


def test_a_left_out_kind_begins_at_the_cutoff():
    rows = [("old", "a", 10), ("new", "a", 20), ("other", "b", 10), ("honest", "", 10)]
    labels = pl.DataFrame(
        [(name, kind != "", kind, at) for name, kind, at in rows],
        schema=["transaction_id", "is_fraud", "kind", "event_time"],
        orient="row",
    )
    world = World(labels.select("transaction_id", "event_time"), labels, 0, 20)
    left = without(world, "a")
    assert left.payments["transaction_id"].to_list() == ["new", "other", "honest"]
    assert left.labels["transaction_id"].to_list() == ["new", "other", "honest"]
    assert without(world, None) is world


def test_as_many_honest_payments_are_flagged_as_the_rate_allows_however_it_is_shared():
    for share in (0.0, 0.2, 0.5, 0.8):
        found = flagged(judged(2.0, 2.0), share)
        assert found[:HONEST].sum() == FALSE_POSITIVE_RATE * HONEST
        assert found[HONEST:].all()


def test_what_only_the_second_opinion_sees_counts_only_with_it():
    row = measured(judged(0.5, 2.0), judged(2.0, 0.5), "a", 0.4)
    assert (row["frauds"], row["seen"], row["alone"], row["both"]) == (50, 1.0, 0.0, 1.0)
    assert set(row["by_share"].values()) == {1.0}
    assert row["deployed_false_positive_rate"] == 0


def test_kinds_count_alike_and_seeds_by_their_frauds():
    few = {"by_share": {"0.4": 1.0}, "seen": 1.0, "alone": 1.0, "both": 1.0, "deployed": 1.0}
    none = {"by_share": {"0.4": 0.0}, "seen": 0.0, "alone": 0.0, "both": 0.0, "deployed": 0.0}
    runs = [
        {"seed": 1, "kind": "a", "frauds": 10, "deployed_false_positive_rate": 0.01, **few},
        {"seed": 2, "kind": "a", "frauds": 30, "deployed_false_positive_rate": 0.02, **none},
        {"seed": 1, "kind": "b", "frauds": 5, "deployed_false_positive_rate": 0.03, **few},
    ]
    result = summary(runs)
    assert result["by_kind"]["a"]["both"] == 0.25
    assert result["over_kinds"]["both"] == {"mean": 0.625, "lowest": 0.25, "highest": 1.0}
    settings = {"false_positive_rate": FALSE_POSITIVE_RATE}
    shown = {"benchmark": "unseen", "settings": settings, **result}
    assert "| a | 40 | 25.0% | 25.0% | 25.0% | 25.0% |" in "\n".join(table.markdown() for table in tables(shown))
    assert "with the second opinion" in unseen(shown)
