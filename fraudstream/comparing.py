"""Comparing what models did over the same payments, for the commands that end with it: options, the work, the table."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from backtest.compare import CompareSettings
    from backtest.compare.comparison import Figures
    from backtest.result import Result

Analysts = Annotated[float | None, typer.Option("--analysts", min=0, help="People who look at alerts; default: 4.")]
AlertsPerAnalyst = Annotated[
    float | None, typer.Option("--alerts-per-analyst", min=0, help="Alerts one of them handles a day; default: 60.")
]
ReviewCost = Annotated[
    float | None,
    typer.Option("--review-cost", min=0, help="Cost of an alert, right or wrong, in rupees; default: 50."),
]
RecoveredShare = Annotated[
    float | None,
    typer.Option("--recovered-share", min=0, max=1, help="Share of a fraud's money that an alert saves; default: 1."),
]
TimeZone = Annotated[str | None, typer.Option("--time-zone", help="Of days and hours, as Asia/Kolkata; default: UTC.")]


def settings_of(
    analysts: float | None,
    alerts_per_analyst: float | None,
    review_cost: float | None,
    recovered_share: float | None,
    time_zone: str | None,
    label_delay_ms: int | None = None,
) -> "CompareSettings":
    """The settings of a comparison; None for the default. Raises CompareError for a time zone unknown."""
    from backtest.compare import CompareSettings

    given = {
        "analysts": analysts,
        "alerts_per_analyst": alerts_per_analyst,
        "review_cost": review_cost,
        "recovered_share": recovered_share,
        "time_zone": time_zone,
        "label_delay_ms": label_delay_ms,
    }
    return CompareSettings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # each as its option's type


def reported(result: "Result", settings: "CompareSettings") -> str:
    """Leave metrics.json and report.html beside the scores; the verdict in a sentence."""
    from rich.console import Console

    from backtest.compare import compare
    from backtest.report import write_report
    from backtest.report.verdict import headline

    with Console(stderr=True).status("comparing") as status:
        comparison = compare(result, settings, status.update)
        status.update("drawing")
        write_report(result, comparison)
    return headline(comparison)


def before_and_after(before: dict[str, "Figures"], after: dict[str, "Figures"]) -> "Table":
    """What each model did, and does now."""
    from rich.table import Table

    from models.report.words import count, percent, rupees

    head = ("model", "", "from score", "alerts a day", "caught", "recall", "precision", "money caught", "net saved")
    table = Table(*head, box=None, pad_edge=False)
    for name in before:
        for when, f in (("before", before[name]), ("after", after[name])):
            table.add_row(
                name if when == "before" else "",
                when,
                str(f.threshold),
                count(f.alerts_per_day),
                count(f.caught),
                percent(f.recall),
                percent(f.precision),
                rupees(f.rupees_caught),
                rupees(f.net_saved),
            )
    return table
