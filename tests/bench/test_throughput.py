"""The throughput benchmark's pure parts: tables and picture of both guarantees."""

from typing import Any

from bench.charts import stages
from bench.figures import spread
from bench.tables import tables
from stream.metrics import STAGES


def backlog(*rates: int) -> dict[str, Any]:
    spent = dict.fromkeys(STAGES, 2.0)
    run = {
        "payments": 1_000, "seconds": 0.5, "alerts": 8, "alerts_share": 0.008, "dead_letters": 0, "steps": 3,
        "failed_steps": 0, "risk_records": 240, "entities_drained_s": 0.1, "worker_cpu_s": 1.0, "broker_cpu_s": 0.2,
        "worker_peak_rss_mib": 900.0, "stages_us": spent | {"not computing": 1.0}, "entities_us": spent,
    }  # fmt: skip
    return {"runs": [run | {"rate": rate} for rate in rates], "rate": spread(rates)}


def result() -> dict[str, Any]:
    return {
        "benchmark": "throughput",
        "exactly_once": {"backlog": backlog(50_000, 60_000, 40_000)},
        "at_least_once": {"backlog": backlog(70_000, 55_000, 65_000)},
    }


def test_both_guarantees_stand_side_by_side() -> None:
    rates, *each = tables(result())
    assert rates.head == ["", "exactly once", "at least once"]
    assert rates.rows[0] == ["payments a second, median", "50,000", "65,000"]
    assert [table.title for table in each] == [
        "Each backlog, exactly once",
        "Stages, µs a payment, exactly once",
        "Each backlog, at least once",
        "Stages, µs a payment, at least once",
    ]


def test_one_guarantee_alone_has_nothing_beside_it() -> None:
    alone = {name: value for name, value in result().items() if name != "at_least_once"}
    assert [table.title for table in tables(alone)] == [
        "Each backlog, exactly once",
        "Stages, µs a payment, exactly once",
    ]


def test_the_picture_is_the_same_each_time_and_names_every_stage() -> None:
    drawn = stages(result())
    assert drawn == stages(result())
    assert all(stage in drawn for stage in (*STAGES, "scoring", "entities"))
