"""The page of a backtest, put together: for a fraud manager to read, with the way back to every figure for auditors.

    write_report(result, compare(result, CompareSettings()))

Drawing needs the extra `train`; nothing of it is imported before something is drawn.
"""

import msgspec

from backtest.compare import Comparison
from backtest.report import verdict
from backtest.report.sections import audit, people, trust, work
from backtest.result import METRICS, REPORT, Result
from models.report.drawing import require
from models.report.page import Page
from models.report.words import count, plural, rupees, utc


def write_report(result: Result, comparison: Comparison) -> None:
    """Leave metrics.json and report.html in the backtest's directory. Raises ReportError without matplotlib, when
    metrics.json is there."""
    text = msgspec.json.format(msgspec.json.encode(comparison), indent=1)
    (result.directory / METRICS).write_bytes(text + b"\n")
    require()
    (result.directory / REPORT).write_bytes(page(result, comparison).html())


def page(result: Result, comparison: Comparison) -> Page:
    """The verdict, the large figures, and what is behind them."""
    return Page(
        title=verdict.headline(comparison),
        subtitle=" ".join(filter(None, (verdict.explanation(comparison), _measured_on(result, comparison)))),
        tiles=verdict.tiles(comparison),
        sections=[
            work.side_by_side(comparison),
            work.days(comparison),
            people.kinds(comparison),
            people.amounts_and_hours(comparison),
            work.sweep(comparison),
            *([work.chance(comparison)] if comparison.contests else []),
            people.differences(comparison),
            trust.calibrated(comparison),
            trust.due(comparison),
            trust.unseen(comparison, result.run),
            audit.provenance(comparison, result),
        ],
        foot=(
            "Figures in large type carry the name under which metrics.json holds them; of two, the first is the"
            " champion's at its own threshold."
        ),
    )


def _measured_on(result: Result, comparison: Comparison) -> str:
    return (
        f"Measured on {count(comparison.payments)} payments with {count(comparison.frauds)} frauds of"
        f" {rupees(comparison.rupees_of_fraud)} over {plural(round(comparison.days, 1), 'day')}, from"
        f" {utc(comparison.start)} to {utc(comparison.end)} UTC: {result.run.source}."
    )
