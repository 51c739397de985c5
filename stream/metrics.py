"""Every metric, declared and described here; docs/metrics.md is made from this file (`python -m stream.metrics`).

The hot path touches them once a step, never once a payment.
"""

import math
import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

LATENCY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STAGES = ("compute", "publish", "commit", "persist")
BATCH_BUCKETS = (1, 3, 10, 30, 100, 300, 1_000, 2_000, 4_000, 8_000, 20_000)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"fraudstream_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"fraudstream_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"fraudstream_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.records = counter("records_total", "Records whose step was committed", "agent")
        self.payments = counter("payments_total", "Payments decided")
        self.alerts = counter(
            "alerts_total", "Alerts committed, by score band and by what decided", "band", "decided_by"
        )
        self.dead_letters = counter("dead_letters_total", "Records set aside as dead letters")
        self.duplicates = counter("duplicates_total", "Payments that repeated an earlier one")
        self.expired = counter("expired_payers_total", "Payers' records deleted long after they had expired")
        self.risk_records = counter("entity_risk_records_total", "Risk records published by the entities agent")
        self.latency = histogram(
            "decision_latency_seconds",
            "From a payment's publication to the commit of its decision, oldest of each step",
            LATENCY_BUCKETS,
        )
        self.batch = histogram("step_records", "Records in one step", BATCH_BUCKETS, "agent")
        self.stage = histogram(
            "step_seconds",
            "Time of a step's stages: compute, publish, commit, persist",
            LATENCY_BUCKETS,
            "agent",
            "stage",
        )
        self.step_failures = counter("step_failures_total", "Steps that were aborted and done again", "agent")
        self.lag = gauge(
            "lag_records",
            "Records from the committed offset to the end of the topic, commit markers included",
            "agent",
            "partition",
        )
        self.assigned = gauge("partitions_assigned", "Partitions assigned to this worker", "agent")
        self.ready = gauge("ready", "1 when every assigned partition is restored and every table is read")
        self.restore_records = gauge(
            "restore_records",
            "Changelog records replayed by the restore in progress or last done",
            "agent",
            "partition",
        )
        self.restore_left = gauge(
            "restore_offsets_left",
            "Changelog offsets that the restore in progress has still to read",
            "agent",
            "partition",
        )
        self.restore_seconds_left = gauge(
            "restore_seconds_left",
            "Seconds that the restore in progress still takes, at its pace so far",
            "agent",
            "partition",
        )
        self.state_rows = gauge("state_rows_in_memory", "State records in the arena", "agent")
        self.state_disk = gauge("state_disk_bytes", "Bytes on disk of the databases that are open here", "agent")
        self.state_records = gauge(
            "state_records_estimate", "Records in the databases that are open here, by RocksDB's estimate", "agent"
        )
        self.standby_partitions = gauge(
            "standby_partitions", "Partitions of other workers whose state is kept current here", "agent"
        )
        self.standby_lag = gauge(
            "standby_lag_records",
            "Changelog offsets that the standby copies have still to read, commit markers included",
            "agent",
        )
        self.table_rows = gauge("table_records", "Records read from a table topic since the start", "table")
        self.lake_blocks = counter("lake_blocks_total", "Blocks written to the lake", "topic")
        self.lake_rows = counter("lake_rows_total", "Rows of the blocks written to the lake", "topic")
        self.lake_bytes = counter("lake_bytes_total", "Bytes of the blocks written to the lake", "topic")
        self.lake_open_rows = gauge("lake_open_rows", "Rows in memory that are in no block of the lake yet", "topic")
        self.model_rejected = counter("model_rejected_total", "Model bundles that failed verification")
        self.feature_psi = gauge(
            "feature_psi",
            "Population stability index of a feature: the last day here against the model's reference",
            "feature",
        )
        self.score_psi = gauge(
            "score_psi", "Population stability index of the score; NaN while too few payments are counted"
        )
        self.drift_features = gauge("drift_features", "Features that shifted beyond the limit")
        self.drift_payments = gauge("drift_payments", "Payments of the last day that were counted for stability")
        self.retrain_wanted = gauge("retrain_wanted", "1 while shifts ask for training the model again")
        self.score_psi.set(math.nan)
        self.model = gauge("model_info", "Always 1; the labels tell which model decides", "name", "sha256")

    def step(self, agent: str, records: int, seconds: tuple[float, float, float, float]) -> None:
        """Account for one committed step; `seconds` are those of `STAGES`."""
        self.records.labels(agent).inc(records)
        self.batch.labels(agent).observe(records)
        for stage, duration in zip(STAGES, seconds, strict=True):
            self.stage.labels(agent, stage).observe(duration)

    def made(self, counts: Mapping[str, int], alerts: Iterable[tuple[str, str]], oldest_ms: int | None) -> None:
        """Account for what a committed step published."""
        for name, count in counts.items():
            getattr(self, name).inc(count)
        for band, decided_by in alerts:
            self.alerts.labels(band, decided_by).inc()
        if oldest_ms is not None:
            self.latency.observe(max(0.0, time.time() - oldest_ms / 1000))

    def archived(self, topic: str, rows: int, size: int) -> None:
        """Account for a block that was written."""
        self.lake_blocks.labels(topic).inc()
        self.lake_rows.labels(topic).inc(rows)
        self.lake_bytes.labels(topic).inc(size)

    def restoring(self, agent: str, partition: int, records: int, left: int, seconds_left: float) -> None:
        """How far a restore is."""
        self.restore_records.labels(agent, partition).set(records)
        self.restore_left.labels(agent, partition).set(left)
        self.restore_seconds_left.labels(agent, partition).set(seconds_left)

    def drifted(self, features: Mapping[str, float], score: float, shifted: int, retrain: bool) -> None:
        """How far payments have moved: PSI of each feature and of the score, how many shifted, what follows."""
        for name, psi in features.items():
            self.feature_psi.labels(name).set(psi)
        self.score_psi.set(score)
        self.drift_features.set(shifted)
        self.retrain_wanted.set(retrain)

    def drift_unknown(self) -> None:
        """Nothing is known yet: a worker that has just begun, or another model."""
        self.feature_psi.clear()
        self.score_psi.set(math.nan)
        for each in (self.drift_features, self.drift_payments, self.retrain_wanted):
            each.set(0)

    def described(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Name, kind, description and labels of each metric, in order."""
        metrics = [value for value in vars(self).values() if isinstance(value, MetricWrapperBase)]
        rows = []
        for metric in metrics:
            family = next(iter(metric.describe()))
            name = family.name + ("_total" if family.type == "counter" else "")
            rows.append((name, family.type, family.documentation, metric._labelnames))
        return rows


METRICS = Metrics()


def page() -> str:
    """docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Made from `stream/metrics.py` by `python -m stream.metrics`. Served on `--metrics-port` under `/metrics`.",
        "",
        "| metric | kind | labels | what it says |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {kind} | {', '.join(labels)} | {text} |" for name, kind, text, labels in METRICS.described()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from pathlib import Path

    Path(__file__).parents[1].joinpath("docs", "metrics.md").write_text(page())
