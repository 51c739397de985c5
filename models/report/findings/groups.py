"""Who is caught and who is bothered: recall by kind of attack, and both sorts of error by segment of payments."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.catalogue import position
from models.evaluation import FALSE_POSITIVE_RATES
from models.report.findings.alerts import INDIA_MS
from models.report.findings.rates import Rate, rate
from models.report.measured import Flags, Measured

HOUR_MS = 3_600_000
AMOUNTS = (0, 500, 2_000, 10_000, 50_000)
"""Where amount bands begin, rupees."""
HOURS = ((0, 6, "night"), (6, 12, "morning"), (12, 18, "afternoon"), (18, 24, "evening"))
NEW_DAYS = 30
SLOW_MS = 250
"""Usual time between keystrokes from which a customer counts as a slow typist: most type at 150 to 200 ms."""


@dataclass(frozen=True)
class Kind:
    """Frauds of one kind of attack."""

    name: str
    rupees: float
    at_alert: Rate
    """Share with an alert."""
    at_rates: tuple[Rate, ...]
    """Share caught where alerts went out at each of `FALSE_POSITIVE_RATES`."""


@dataclass(frozen=True)
class Segment:
    """Payments that have something in common."""

    aspect: str
    name: str
    payments: int
    frauds: int
    recall: Rate
    false_positives: Rate
    precision: Rate


def kinds(measured: Measured) -> list[Kind]:
    """Recall of every kind of attack in the window, the worst caught first, then by name; all frauds come last."""
    names = measured.payments["kind"].fill_null("").to_numpy()
    flagged = [measured.flagged_at(share) for share in FALSE_POSITIVE_RATES]

    def kind(name: str, frauds: Flags) -> Kind:
        return Kind(
            name,
            float(measured.rupees[frauds].sum()),
            rate(measured.flagged, frauds),
            tuple(rate(flags, frauds) for flags in flagged),
        )

    found = [
        kind(name or "unnamed", (names == name) & measured.is_fraud)
        for name in sorted(set(names[measured.is_fraud].tolist()))
    ]
    found.sort(key=lambda kind: (kind.at_alert.share, kind.name))
    return [*found, kind("all", measured.is_fraud)] if found else []


def segments(measured: Measured) -> list[Segment]:
    """Every segment that has payments, by aspect."""
    flagged, is_fraud = measured.flagged, measured.is_fraud
    return [
        Segment(
            aspect,
            name,
            int(rows.sum()),
            int((rows & is_fraud).sum()),
            rate(flagged, rows & is_fraud),
            rate(flagged, rows & ~is_fraud),
            rate(is_fraud, rows & flagged),
        )
        for aspect, name, rows in _segments(measured)
        if rows.any()
    ]


def _segments(measured: Measured) -> Iterator[tuple[str, str, Flags]]:
    for start, end in zip(AMOUNTS, (*AMOUNTS[1:], None), strict=True):
        name = f"under ₹{end:,}" if not start else f"₹{start:,} to {end:,}" if end else f"₹{start:,} and more"
        yield "amount", name, (measured.rupees >= start) & (measured.rupees < (end or np.inf))
    hour = (measured.times + INDIA_MS) // HOUR_MS % 24
    for first, last, name in HOURS:
        yield "hour in India", f"{name}, {first} to {last}", (hour >= first) & (hour < last)
    age = measured.features[:, position("payer_age_days")]
    yield "customer", f"known for less than {NEW_DAYS} days", age < NEW_DAYS
    yield "customer", f"known for {NEW_DAYS} days and more", age >= NEW_DAYS
    yield "customer", "not known since when", np.isnan(age)
    typing = np.isnan(measured.features[:, position("typing_interval_ms")])
    place = measured.features[:, position("gps_missing")] == 1
    yield "telemetry", "rhythm and position", ~typing & ~place
    yield "telemetry", "no typing rhythm", typing & ~place
    yield "telemetry", "no GPS position", place & ~typing
    yield "telemetry", "neither", typing & place
    usual = measured.features[:, position("typing_usual_ms")]
    yield "typing", f"usually under {SLOW_MS} ms a key", usual < SLOW_MS
    yield "typing", f"slow: {SLOW_MS} ms a key and more", usual >= SLOW_MS
