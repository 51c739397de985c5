"""What has to be understood first: the large figures, and what was measured on what."""

import math

from models.report import plots
from models.report.findings.alerts import Ladder
from models.report.findings.rates import rate
from models.report.measured import DAY_MS, Measured
from models.report.page import Figure, Note, Part, Section, Table, Tile
from models.report.words import count, interval, number, one_in, percent, plural, rupees, utc

PER_MILLION = 1_000_000
NO_FRAUD = "Cannot be told: no fraud is known in the measured window."


def tiles(measured: Measured) -> list[Tile]:
    """The figures a fraud manager asks for, each with what it means and where the bundle keeps it."""
    metrics = measured.manifest.metrics
    alert = Ladder(measured).at(measured.manifest.alert_score)
    caught = rate(measured.flagged, measured.is_fraud)
    return [
        Tile(
            "Frauds caught",
            percent(alert.recall),
            f"Of 100 frauds about {100 * alert.recall:.0f} raise an alert (95 % interval {interval(caught)}); the"
            " others go by."
            if caught.total
            else NO_FRAUD,
            "metrics.alert_recall",
        ),
        Tile(
            "Money saved",
            percent(alert.saved_share),
            f"Of every ₹100 of fraud in this window, ₹{100 * alert.saved_share:.0f} had an alert before it left:"
            f" {rupees(alert.saved_rupees)}."
            if caught.total
            else NO_FRAUD,
            "metrics.value_saved_share",
        ),
        Tile(
            "Wrong alerts",
            percent(alert.false_positive_rate, 2),
            f"Share of honest payments with an alert: {count(alert.wrong_per_day)} a day here,"
            f" {count(PER_MILLION * alert.false_positive_rate)} for a bank of a million payments a day.",
            "metrics.alert_false_positive_rate",
        ),
        Tile(
            "Alerts that are right",
            percent(alert.precision),
            f"Of {count(alert.alerts_per_day)} alerts a day, at this window's share of fraud. Were only one payment in"
            f" 10,000 fraud: {one_in(alert.rare_precision)}."
            if caught.total
            else NO_FRAUD,
            "metrics.alert_precision",
        ),
        Tile(
            "Recall at 0.5 % false positives",
            percent(metrics.get("recall_at_fpr_0.005")),
            "If 5 of 1,000 honest payments may raise an alert, this share of the frauds is caught.",
            "metrics.recall_at_fpr_0.005",
        ),
        Tile(
            "AUC",
            number(metrics.get("auc"), 4),
            "How often a fraud scores higher than an honest payment, each drawn at random. 0.5 is guessing.",
            "metrics.auc",
        ),
    ]


def data(measured: Measured) -> Section:
    """The windows, and what was known of each."""
    manifest = measured.manifest
    windows = [
        ("trees fitted on", manifest.train, "known by the cutoff"),
        ("stopped, calibrated, banded on", manifest.validation, "known by the cutoff"),
    ]
    if manifest.test:
        windows.append(("measured on (this report)", manifest.test, "all that are known by now"))
    rows = [
        (
            name,
            utc(window.start),
            utc(window.end),
            count(window.payments),
            count(window.frauds),
            percent(window.frauds / window.payments if window.payments else math.nan, 3),
            verdicts,
        )
        for name, window, verdicts in windows
    ]
    head = ("window", "from (UTC)", "to", "payments", "frauds", "share", "verdicts")
    parts: list[Part] = []
    if not manifest.test:
        parts.append(
            Note(
                "There was no payment after the cutoff. Everything here was measured on the validation window, which"
                " also stopped the growing of trees and set the thresholds: expect less in use."
            )
        )
    if not measured.is_fraud.any():
        parts.append(Note("No fraud is known in the measured window: recall, ranking and calibration cannot be told."))
    parts += [
        Figure(plots.windows(manifest), "Windows of time. No payment is in two of them, and none is drawn at random."),
        Table(head, rows, "The windows and their payments", words=(0, 6)),
    ]
    delay = plural(manifest.label_delay_ms / DAY_MS, "day")
    return Section(
        "data",
        "Data and verdicts",
        f"Split by time, as if one stood at {utc(manifest.cutoff)} UTC. Up to then a payment counts as fraud only if"
        f" its verdict was known; payments of the last {delay} were left out, most of their verdicts being due.",
        parts,
    )
