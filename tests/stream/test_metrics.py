"""Every metric is described once, counts what was committed, and the page of them is up to date."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from stream.metrics import METRICS, STAGES, Metrics, page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"fraudstream_{name}", labels)


def test_the_page_has_not_drifted():
    assert PAGE.read_text() == page(), "write it anew: python -m stream.metrics"


def test_every_metric_says_what_it_is():
    described = METRICS.described()
    assert len({name for name, *_ in described}) == len(described)
    for name, kind, text, _ in described:
        assert name.startswith("fraudstream_")
        assert kind in ("counter", "gauge", "histogram")
        assert len(text) > 10
        assert name.endswith("_total") == (kind == "counter")


def test_every_metric_of_the_registry_is_on_the_page():
    for family in METRICS.registry.collect():
        assert f"`{family.name}" in page()


def test_a_committed_step_counts_once_for_its_agent():
    metrics = Metrics()
    metrics.step("scoring", 40, (0.1, 0.2, 0.3, 0.4))
    metrics.step("scoring", 2, (0.1, 0.2, 0.3, 0.4))
    metrics.step("labels", 1, (0.1, 0.2, 0.3, 0.4))
    assert value(metrics, "records_total", agent="scoring") == 42
    assert value(metrics, "step_records_count", agent="scoring") == 2
    for stage, total in zip(STAGES, (0.2, 0.4, 0.6, 0.8), strict=True):
        assert value(metrics, "step_seconds_sum", agent="scoring", stage=stage) == pytest.approx(total)


def test_what_a_step_published_is_counted_by_what_decided():
    metrics = Metrics()
    metrics.made({"payments": 9, "dead_letters": 2, "duplicates": 1}, [("high", "model"), ("high", "model")], None)
    assert value(metrics, "payments_total") == 9
    assert value(metrics, "dead_letters_total") == 2
    assert value(metrics, "alerts_total", band="high", decided_by="model") == 2
    assert value(metrics, "decision_latency_seconds_count") == 0


def test_a_payment_from_the_future_has_no_negative_latency():
    metrics = Metrics()
    metrics.made({}, [], 4_000_000_000_000)
    assert value(metrics, "decision_latency_seconds_sum") == 0


def test_prometheus_can_read_it():
    assert b"fraudstream_ready" in generate_latest(METRICS.registry)
