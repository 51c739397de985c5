"""What the figures can be trusted with: probabilities, verdicts that are still due, and what was never seen."""

from backtest.compare import Comparison
from backtest.compare.comparison import JudgeFigures
from backtest.result import Run
from models.report import plots as model_plots
from models.report.findings.rates import Rate
from models.report.findings.trust import Bin
from models.report.page import Figure, Note, Paragraph, Part, Section, Table
from models.report.words import count, number, percent, plural, utc

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def calibrated(comparison: Comparison) -> Section:
    """Probabilities against outcomes."""
    head = (
        "model",
        "AUC",
        "average precision",
        "frauds expected",
        "frauds there were",
        "expected over observed",
        "Brier",
    )
    rows = [
        (
            name,
            number(judge.quality.auc, 4),
            number(judge.quality.average_precision),
            count(judge.quality.expected_frauds),
            count(comparison.frauds),
            number(judge.quality.expected_over_observed, 2),
            number(judge.quality.brier, 6),
        )
        for name, judge in comparison.judges.items()
    ]
    caption = "By probability alone, whatever lists and rules said. Frauds expected: the sum of all probabilities."
    parts: list[Part] = [Table(head, rows, caption)]
    if comparison.frauds:
        parts += [_curve(name, judge) for name, judge in comparison.judges.items()]
    return Section(
        "calibration",
        "Ranking and calibration",
        "When a model says 20 %, is it fraud in 20 of 100 cases? On the dashed line, a probability is what it says.",
        parts,
    )


def due(comparison: Comparison) -> Section:
    """Verdicts that may still come."""
    delay = comparison.label_delay
    rows = [
        (
            name, count(judge.own.caught), percent(judge.own.recall), percent(judge.own.precision),
            count(judge.settled.caught), percent(judge.settled.recall), percent(judge.settled.precision),
        )
        for name, judge in comparison.judges.items()
    ]  # fmt: skip
    head = ("model", "caught, all", "recall", "precision", "caught, settled", "recall", "precision")
    known = [(f"within {name}", percent(share)) for name, share in delay.known_within.items()]
    parts: list[Part] = [
        Note(
            f"{count(delay.payments)} of {count(comparison.payments)} payments lie in the last {_span(delay.delay_ms)}"
            f" before {utc(comparison.end)} UTC, where verdicts may still be due (the delay is {delay.source}). Frauds"
            f" among them that nobody knows yet count as honest, and alerts on them as false; {count(delay.frauds)} are"
            " known."
        ),
        Table(head, rows, "All payments, and those before that time only (settled)"),
    ]
    if known:
        parts.append(Table(("verdict known", "share of frauds"), known, "How late verdicts came"))
    return Section(
        "delay",
        "Verdicts still due",
        "A fraud is known when its payer has complained. Among young payments there are more frauds than are counted.",
        parts,
    )


def unseen(comparison: Comparison, run: Run) -> Section:
    """What a reader must know and no figure shows."""
    notes = [
        *comparison.notes,
        *(
            [f"{run.unreadable:,} records could not be read as payments; they are in no figure."]
            if run.unreadable
            else []
        ),
        *(
            [f"{comparison.repeats:,} payments had come before (same id and content, or redone): they count once."]
            if comparison.repeats
            else []
        ),
    ]
    return Section(
        "limits",
        "What was not seen",
        "A replay tells what models would have flagged, not what would have followed.",
        [
            *(Note(note) for note in notes),
            Paragraph("A payment without a verdict counts as honest. A fraud nobody reported is a false alert here."),
            Paragraph(
                "Payments that lists, rules or the champion stopped at the time may be missing or ended early: frauds"
                " that were prevented then cannot be caught again now."
            ),
            Paragraph(
                "A payer who is warned after the first alert may not pay again: both the frauds caught and the work of"
                " later alerts on the same attack may be smaller than counted."
            ),
            Paragraph(
                "Intervals say what chance in the choice of these payers could make of a figure. They do not say what"
                " next month's attacks will be."
            ),
        ],
    )


def _curve(name: str, judge: JudgeFigures) -> Figure:
    bins = [Bin(b.low, b.high, b.predicted, Rate(b.frauds, b.payments)) for b in judge.quality.bins]
    rows = [
        (
            f"{b.low} – {b.high}",
            count(b.observed.total),
            count(b.observed.hits),
            percent(b.predicted, 3),
            percent(b.observed.share, 3),
        )
        for b in bins
    ]
    head = ("score", "payments", "frauds", "probability given", "was fraud")
    return Figure(model_plots.calibration(bins), f"{name}: bins without any fraud are in the table only.",
                  Table(head, rows, f"Calibration of {name} by score"), half=True)  # fmt: skip


def _span(ms: int) -> str:
    return plural(round(ms / DAY_MS, 1), "day") if ms >= DAY_MS else plural(round(ms / HOUR_MS, 1), "hour")
