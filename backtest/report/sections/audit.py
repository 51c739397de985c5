"""For auditors: what was run on what, by which models and rules, and how each figure is made again."""

import shlex
from pathlib import Path

from backtest.compare import Comparison
from backtest.result import Result
from models.report.page import Heading, Paragraph, Section, Table
from models.report.words import count, plural, rupees, utc

DAY_MS = 86_400_000

FIGURES = (
    ("large figures; with the champion's alerts", ".judges.NAME.equal"),
    ("at their own thresholds", ".judges.NAME.own, .judges.NAME.own_intervals"),
    ("all analysts busy", ".judges.NAME.capacity"),
    ("more than chance?", ".contests.NAME.own_difference, .contests.NAME.equal_difference"),
    ("by defrauded payer", ".judges.NAME.episodes"),
    ("other thresholds", ".judges.NAME.sweep"),
    ("day by day", ".judges.NAME.days"),
    ("kinds, amounts, hours", ".judges.NAME.kinds, .judges.NAME.amounts, .judges.NAME.hours"),
    ("payment by payment", ".contests.NAME.own, .contests.NAME.examples, .examples"),
    ("ranking and calibration", ".judges.NAME.quality"),
    ("verdicts still due", ".label_delay, .judges.NAME.settled"),
)
"""Sections, and where metrics.json has them, as paths of jq."""


def provenance(comparison: Comparison, result: Result) -> Section:
    """Command, source, models, parameters, and the way back to each figure."""
    return Section(
        "provenance",
        "Where this comes from",
        "Everything on this page is in metrics.json, and follows from scores.parquet beside it.",
        [
            Table(("of the replay", ""), _replay(comparison, result), "The replay", words=(0, 1)),
            _models(result),
            Table(("parameter", "value"), _parameters(comparison), "Parameters of the comparison"),
            Heading("How to make each figure again"),
            Paragraph(f"The scores: {result.run.command}"),
            Paragraph(f"Figures and page from the kept scores: {_again(comparison, result.directory)}"),
            Table(
                ("figures", "in metrics.json"),
                FIGURES,
                "Where each figure is, with NAME a model's; for one of them: jq '.judges.NAME.own' metrics.json",
                words=(0, 1),
            ),
        ],
    )


def _replay(comparison: Comparison, result: Result) -> list[tuple[str, str]]:
    run = result.run
    warm_up = "all before the window" if run.warm_up_ms is None else plural(run.warm_up_ms / DAY_MS, "day")
    delay = "as the labels say" if run.label_delay_ms is None else plural(run.label_delay_ms / DAY_MS, "day")
    facts = [
        ("command", run.command),
        ("made (UTC)", utc(run.created_at)),
        ("software", f"fraudstream {run.software}".strip()),
        ("source", run.source),
        ("window asked for (UTC)", f"{_time(run.start, 'the beginning')} to {_time(run.end, 'the end')}"),
        ("payments found (UTC)", f"{utc(comparison.start)} to {utc(comparison.end)}"),
        ("payments", f"{count(comparison.payments)}, and {count(comparison.repeats)} that had come before"),
        ("frauds", f"{count(comparison.frauds)}, {rupees(comparison.rupees_of_fraud)}"),
        ("unreadable records", count(run.unreadable)),
        ("warm-up", f"{warm_up}, {count(run.warm_up_payments)} payments"),
        ("verdicts known", delay),
        ("policy version", run.policy_version),
    ]
    return [*facts, ("decided again from", run.parent)] if run.parent else facts


def _models(result: Result) -> Table:
    rows = [
        (
            judge.name,
            "champion" if judge.champion else "candidate",
            judge.model,
            str(judge.threshold),
            "none" if judge.second_threshold is None else str(judge.second_threshold),
            judge.bundle,
            judge.sha256,
        )
        for judge in result.judges
    ]
    head = ("name", "role", "model", "alerts from", "second opinion's", "bundle", "sha256")
    return Table(head, rows, "Models", words=(0, 1, 2, 5, 6))


def _parameters(comparison: Comparison) -> list[tuple[str, str]]:
    s = comparison.settings
    return [
        ("analysts", count(s.analysts)),
        ("alerts an analyst handles a day", count(s.alerts_per_analyst)),
        ("cost of an alert", rupees(s.review_cost)),
        ("share of a fraud's money that an alert saves", f"{s.recovered_share:g}"),
        ("label delay", "not given" if s.label_delay_ms is None else plural(s.label_delay_ms / DAY_MS, "day")),
        ("time zone of days and hours", s.time_zone),
        ("resamples of the payers", count(s.draws)),
        ("seed", str(s.seed)),
    ]


def _again(comparison: Comparison, directory: Path) -> str:
    """The command that makes metrics.json and this page from the scores."""
    s = comparison.settings
    words = ["fraudstream", "what-if", str(directory), "--out", "NEW", "--analysts", f"{s.analysts:g}"]
    words += ["--alerts-per-analyst", f"{s.alerts_per_analyst:g}", "--review-cost", f"{s.review_cost:g}"]
    words += ["--recovered-share", f"{s.recovered_share:g}", "--time-zone", s.time_zone]
    words += [] if s.label_delay_ms is None else ["--label-delay", f"{s.label_delay_ms}ms"]
    return shlex.join(words)


def _time(ms: int | None, otherwise: str) -> str:
    return otherwise if ms is None else utc(ms)
