"""Who is caught, who is bothered, and payments worth looking at."""

from collections.abc import Sequence

from models.evaluation import FALSE_POSITIVE_RATES
from models.report import plots
from models.report.findings import groups, mistakes
from models.report.findings.mistakes import Mistake
from models.report.measured import Measured
from models.report.page import Case, Figure, Heading, Note, Paragraph, Part, Section, Table
from models.report.words import brief, count, india, interval, percent, rupees, title


def kinds(measured: Measured) -> Section:
    """Recall by kind of attack."""
    found = groups.kinds(measured)
    parts: list[Part] = [Note("No fraud is known in the measured window.")]
    if found:
        rows = [
            (
                title(kind.name),
                count(kind.at_alert.total),
                rupees(kind.rupees),
                percent(kind.at_alert.share),
                interval(kind.at_alert),
                *(brief(rate) for rate in kind.at_rates),
            )
            for kind in found
        ]
        limits = tuple(f"at {percent(limit)} false positives" for limit in FALSE_POSITIVE_RATES)
        head = ("kind of attack", "frauds", "value", "with an alert", "95 % interval", *limits)
        caption = "In brackets the number of frauds. Where it is small the interval is wide."
        parts = [
            Figure(plots.kinds(found), caption),
            Table(head, rows, "Frauds caught by kind of attack", marked=frozenset({len(found) - 1})),
        ]
    return Section(
        "kinds",
        "Kinds of attack",
        "Which attacks are caught? Worst first. Intervals are Wilson's, 95 %. A kind that was not in training may be"
        " caught less often than any of these.",
        parts,
    )


def segments(measured: Measured) -> Section:
    """Both sorts of error by segment."""
    rows = [
        (
            segment.name,
            segment.aspect,
            count(segment.payments),
            count(segment.frauds),
            percent(segment.recall.share),
            interval(segment.recall),
            percent(segment.false_positives.share, 2),
            interval(segment.false_positives, 2),
            percent(segment.precision.share),
        )
        for segment in groups.segments(measured)
    ]
    head = (
        "segment", "aspect", "payments", "frauds", "frauds with an alert", "95 % interval", "honest with an alert",
        "95 % interval", "alerts that are right",
    )  # fmt: skip
    return Section(
        "segments",
        "Segments",
        "Is anyone caught less, or bothered more? Age is not known here; slow typing is a hint at it.",
        [Table(head, rows, "Recall and wrong alerts by segment", words=(0, 1))],
    )


def errors(measured: Measured) -> Section:
    """Single payments that went wrong."""
    sorts = (
        ("Honest payments with the highest scores", mistakes.wrong_alerts(measured)),
        ("Frauds without an alert, the largest amounts", mistakes.dearest_misses(measured)),
        ("Frauds without an alert, the lowest scores", mistakes.lowest_misses(measured)),
    )
    parts: list[Part] = []
    for heading, found in sorts:
        parts += [Heading(heading), *(_cases(found) if found else [Paragraph("There are none.")])]
    return Section(
        "errors",
        "Errors worth looking at",
        "The model's own reasons, the strongest first. An honest payment high up may be a fraud that nobody reported;"
        " a missed fraud shows what the payment could not tell. Times are India's.",
        parts,
    )


def _cases(found: Sequence[Mistake]) -> list[Part]:
    return [
        Case(
            f"{rupees(m.rupees)} · score {m.score}" + (f" · {title(m.kind)}" if m.kind else ""),
            f"{m.transaction_id} · {india(m.event_time)}",
            (("spoke for fraud", m.speaks_for_fraud), ("spoke against", m.speaks_against)),
        )
        for m in found
    ]
