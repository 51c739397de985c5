"""What was decided about a payment, found again on the topics that keep it.

1. `decisions` says what was decided, and from which record of the transactions topic.
2. `alerts` has the reasons, for a payment that was flagged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from schemas.alert import Alert, alert_id
from schemas.codec import decode_alert
from schemas.decision import DecisionMeta, decode_decisions, flags_of
from schemas.errors import DecodeError
from stream.scan import Scan
from stream.settings import KafkaSettings
from stream.topics import Topics

ALERT_SLACK_MS = 600_000
"""The alert is committed with its decision; their records' times lie no further apart than this."""

Progress = Callable[[str, int, int], None]
"""Told the topic, the offsets passed since the last call, and all offsets to pass."""


@dataclass(frozen=True)
class Finding:
    """One decision about a payment. There are several when the payment was published more than once."""

    meta: DecisionMeta
    """What the whole step shared: model, policy and list versions."""
    row: dict[str, Any]
    """The payment's row."""
    published_at: int
    """When the decision was published, epoch ms."""
    alert: Alert | None
    """Its alert, when it was flagged."""

    @property
    def alert_id(self) -> str:
        """Names the payment's record on its source topic."""
        return alert_id(self.meta.topic, self.meta.partition, self.row["offset"])

    @property
    def flags(self) -> list[str]:
        """What was odd about the record."""
        return flags_of(self.row["status"])


@dataclass(frozen=True)
class Search:
    """What was found, and how much was searched for it."""

    findings: list[Finding]
    records: int
    """Decision records read."""
    payments: int
    """Decisions in them."""
    unreadable: int
    """Decision records that could not be read."""


def find(
    kafka: KafkaSettings,
    transaction_id: str,
    topics: Topics,
    *,
    from_ms: int | None = None,
    to_ms: int | None = None,
    progress: Progress = lambda topic, passed, total: None,
) -> Search:
    """Every decision about a payment, published between two times. Raises ScanError when a topic cannot be read."""
    found, records, payments, unreadable = [], 0, 0, 0
    with Scan(kafka, topics.decisions, from_ms, to_ms) as scan:
        for message in scan.messages(partial(_report, progress, scan)):
            records += 1
            try:
                meta, rows = decode_decisions(message.value() or b"")
            except DecodeError:
                unreadable += 1
                continue
            payments += rows.height
            same = rows.filter(pl.col("transaction_id") == transaction_id)
            found += [(meta, row, message.timestamp()[1]) for row in same.to_dicts()]
    alerts = _alerts(kafka, topics.alerts, [entry for entry in found if entry[1]["flagged"]], progress)
    findings = [
        Finding(meta, row, at, alerts.get(alert_id(meta.topic, meta.partition, row["offset"])))
        for meta, row, at in found
    ]
    findings.sort(key=lambda finding: finding.published_at)
    return Search(findings, records, payments, unreadable)


def _report(progress: Progress, scan: Scan, passed: int) -> None:
    progress(scan.topic, passed, scan.total)


def _alerts(
    kafka: KafkaSettings, topic: str, flagged: list[tuple[DecisionMeta, dict[str, Any], int]], progress: Progress
) -> dict[str, Alert]:
    """The alerts of flagged decisions by their id, looked for around the times of the decisions."""
    wanted = {alert_id(meta.topic, meta.partition, row["offset"]) for meta, row, _ in flagged}
    alerts: dict[str, Alert] = {}
    for around in sorted({at for _, _, at in flagged}):
        if wanted <= alerts.keys():
            break
        with Scan(kafka, topic, around - ALERT_SLACK_MS, around + ALERT_SLACK_MS) as scan:
            for message in scan.messages(partial(_report, progress, scan)):
                try:
                    alert = decode_alert(message.value() or b"")
                except DecodeError:
                    continue
                if alert.alert_id in wanted:
                    alerts[alert.alert_id] = alert
    return alerts
