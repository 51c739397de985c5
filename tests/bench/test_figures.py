import numpy as np
import pytest

from bench.figures import latencies_ms, microseconds_each, percentile, slope, spread, summary, t_interval, wilson
from bench.processes import peak_mib
from bench.steady import Sample, lag_figures
from bench.worker import Metrics


def test_a_percentile_is_always_a_value_that_was_measured() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert [percentile(values, percent) for percent in (0, 33, 34, 50, 99.9, 100)] == [1, 1, 2, 2, 3, 3]


def test_the_99th_of_a_hundred_values_is_the_99th_smallest() -> None:
    assert percentile(np.arange(1.0, 101.0), 99) == 99
    assert percentile(np.arange(1.0, 1001.0), 99.9) == 999


def test_latency_counts_from_the_scheduled_time_and_leaves_the_warming_up_out() -> None:
    scheduled = np.array([1_000, 10_999, 11_000, 20_000])
    received = np.array([1_500, 11_999, 11_020, 20_007]) * 1_000_000
    assert latencies_ms(received, scheduled, first_ms=1_000, dropped_s=10).tolist() == [20.0, 7.0]


def test_a_summary_of_nothing_says_so() -> None:
    assert summary(np.empty(0)) == {"count": 0}


def test_runs_are_summed_up_as_median_and_range() -> None:
    assert spread([30, 10, 20]) == {"median": 20.0, "lowest": 10.0, "highest": 30.0}


def test_stages_are_told_in_microseconds_a_payment() -> None:
    assert microseconds_each({"compute": 2.5, "commit": 0.1}, 100_000) == {"compute": 25.0, "commit": 1.0}


def test_a_growing_lag_has_a_slope() -> None:
    assert slope([0, 1, 2], [10, 20, 30]) == pytest.approx(10)
    assert slope([0, 1, 2], [7, 7, 7]) == pytest.approx(0, abs=1e-9)
    assert slope([0], [5]) == 0


def test_lag_is_told_in_the_middle_at_the_end_and_by_its_growth() -> None:
    samples = [Sample(at_s=100.0 + i, sent=1_000 * i, committed=900 * i) for i in range(1, 12)]
    figures = lag_figures(samples)
    assert (figures["lag_middle"], figures["lag_end"], figures["lag_largest"]) == (600, 1_100, 1_100)
    assert figures["lag_growth_per_s"] == pytest.approx(100)


def test_metrics_are_summed_over_all_samples_that_have_the_labels() -> None:
    metrics = Metrics(
        "# TYPE fraudstream_alerts_total counter\n"
        'fraudstream_alerts_total{band="high",decided_by="model"} 3\n'
        'fraudstream_alerts_total{band="low",decided_by="list"} 2\n'
    )
    assert metrics.total("alerts_total") == 5
    assert metrics.total("alerts_total", decided_by="list") == 2
    assert metrics.total("unheard_of") == 0


def test_peak_memory_is_read_from_the_process_status() -> None:
    assert peak_mib("Name:\tpython\nVmHWM:\t  204800 kB\n") == 200


def test_an_interval_over_runs_is_students_by_the_printed_table() -> None:
    # 1 to 5: mean 3, deviation 1.5811, t with 4 degrees of freedom 2.776
    found = t_interval([1, 2, 3, 4, 5])
    assert found["mean"] == 3
    assert found["high"] == pytest.approx(3 + 2.776 * 1.5811 / 5**0.5, abs=1e-3)
    assert found["low"] == pytest.approx(3 - 2.776 * 1.5811 / 5**0.5, abs=1e-3)
    assert t_interval([0.5]) == {"mean": 0.5, "low": None, "high": None}
    assert t_interval([0.5, float("nan")]) == {"mean": None, "low": None, "high": None}


def test_wilsons_interval_by_hand_and_at_the_edges() -> None:
    # 8 of 10, z = 1.96: centre (0.8 + 0.192) / 1.384, reach 1.96 / 1.384 * sqrt(0.016 + 0.0096)
    assert wilson(8, 10) == pytest.approx((0.4901, 0.9433), abs=1e-4)
    low, high = wilson(0, 10) or (1, 1)
    assert low == pytest.approx(0, abs=1e-12)
    assert 0.2 < high < 0.3
    assert wilson(0, 0) is None
