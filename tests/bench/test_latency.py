"""The latency benchmark's pure parts: how much is flagged, the histogram, table and picture."""

from typing import Any

import numpy as np
import pytest

from bench.charts import latencies
from bench.errors import BenchError
from bench.figures import histogram
from bench.latency import MOST_FLAGGED, USUAL_SHARE, _rates, _share
from bench.tables import tables


def result() -> dict[str, Any]:
    """A run of each guarantee at one rate."""
    values = np.array([3.2, 4.1, 4.2, 9.0, 40.0])
    run = {
        "rate": 5_000.0,
        "latency_ms": {"p50": 4.2, "p99": 40.0, "p99.9": 40.0, "max": 40.0, "count": 5},
        "histogram": histogram(values),
        "generator": {"late": 2, "late_means_ms": 5.0, "worst_late_ms": 7.5},
        "mean_step": 31.0,
        "lag_growth_per_s": 0.0,
    }
    runs = [{"guarantee": guarantee} | run for guarantee in ("exactly_once", "at_least_once")]
    return {"benchmark": "latency", "runs": runs}


def test_so_much_is_flagged_that_enough_alerts_are_measured() -> None:
    assert _share(10_000, 60, 10_000) * 600_000 >= 10_000
    assert _share(10**6, 1_000, 10_000) == USUAL_SHARE  # never less than the job flags
    assert _share(5_000, 1, 10_000) == MOST_FLAGGED
    assert _share(1_000, 60, 10_000) == USUAL_SHARE  # a quiet stream as it is


def test_rates_that_are_no_numbers_are_refused() -> None:
    assert _rates("1000,5e3") == [1_000, 5_000]
    with pytest.raises(BenchError):
        _rates("fast")


def test_a_histogram_has_ten_steps_a_decade_and_counts_everything() -> None:
    found = histogram(np.array([1.0, 1.1, 1.3, 12.0, 0.01]))
    assert found["from"][0] == 0.1
    assert found["from"][-1] == 10.0
    assert sum(found["count"]) == 5
    assert found["count"][found["from"].index(1.0)] == 2
    assert histogram(np.empty(0)) == {"from": [], "count": []}


def test_the_table_has_a_line_for_each_run() -> None:
    (table,) = tables(result())
    assert [row[0] for row in table.rows] == ["5,000, exactly once", "5,000, at least once"]
    assert table.rows[0][1:5] == ["4.20", "40.00", "40.00", "40.00"]


def test_the_picture_is_the_same_each_time_and_names_every_run() -> None:
    drawn = latencies(result())
    assert drawn == latencies(result())
    assert "5,000/s, exactly once" in drawn
    assert "5,000/s, at least once" in drawn
