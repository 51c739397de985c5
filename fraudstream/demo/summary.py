"""What came of the demo: counts that must add up, and alerts against the truth."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from fraudstream.demo.watch import Figures


@dataclass(frozen=True)
class Summary:
    """Live payments only. Times in ms."""

    payments: int
    seconds: float
    decisions: int
    doubles: int
    missing: int
    alerts: int
    alerts_missing: int
    frauds: int
    caught: int
    by_kind: dict[str, tuple[int, int]]
    """Kind of attack → frauds, and how many of them raised an alert."""
    latency_p50_ms: float | None
    latency_p99_ms: float | None

    @property
    def false_alarms(self) -> int:
        return self.alerts - self.caught

    @property
    def precision(self) -> float | None:
        """Share of alerts that are fraud."""
        return self.caught / self.alerts if self.alerts else None

    @property
    def adds_up(self) -> bool:
        """Every payment decided exactly once, every flagged one alerted exactly once."""
        return self.decisions == self.payments and not (self.doubles or self.missing or self.alerts_missing)

    def as_record(self) -> dict[str, object]:
        """For summary.json."""
        return {**asdict(self), "false_alarms": self.false_alarms, "precision": self.precision}


def summarise(published: int, seconds: float, figures: Figures, truth: Path) -> Summary:
    """Put the figures beside the truth about the live payments' frauds: a Parquet file of transaction_id, kind."""
    frauds = pl.read_parquet(truth)
    alerted = set(figures.alerted)
    kinds, caught = Counter[str](), Counter[str]()
    for identity, kind in frauds.iter_rows():
        kinds[kind] += 1
        caught[kind] += identity in alerted
    return Summary(
        payments=published,
        seconds=seconds,
        decisions=figures.decided,
        doubles=figures.doubles + len(figures.alerted) - len(alerted),
        missing=max(0, published - figures.decided) + figures.gaps,
        alerts=len(alerted),
        alerts_missing=max(0, figures.flagged - len(alerted)),
        frauds=kinds.total(),
        caught=caught.total(),
        by_kind={kind: (count, caught[kind]) for kind, count in kinds.most_common()},
        latency_p50_ms=figures.latency_ms(50),
        latency_p99_ms=figures.latency_ms(99),
    )


def show(summary: Summary, console: Console) -> None:
    """Print it, for a person."""
    console.print()
    console.print(Text("Summary", style="bold"))
    console.print(Group(_facts(summary), "", _attacks(summary)))


def _facts(summary: Summary) -> Table:
    facts = Table.grid(padding=(0, 2))
    once = (
        "each decided exactly once" if summary.adds_up else f"{summary.missing:,} missing, {summary.doubles:,} double"
    )
    rate = summary.payments / summary.seconds if summary.seconds else 0.0
    facts.add_row("payments", f"{summary.payments:,} in {summary.seconds:,.1f} s ({rate:,.0f}/s)")
    facts.add_row("decisions", Text(f"{summary.decisions:,}, {once}", style="green" if summary.adds_up else "bold red"))
    facts.add_row(
        "publication to committed alert", f"p50 {ms(summary.latency_p50_ms)}, p99 {ms(summary.latency_p99_ms)}"
    )
    facts.add_row("alerts", f"{summary.alerts:,}")
    facts.add_row(
        "fraud caught", f"{summary.caught:,} of {summary.frauds:,} payments ({_share(summary.caught, summary.frauds)})"
    )
    facts.add_row("fraud missed", f"{summary.frauds - summary.caught:,}")
    right = f"{_share(summary.caught, summary.alerts)} of the alerts were right"
    facts.add_row("false alarms", f"{summary.false_alarms:,} ({right})" if summary.alerts else "0")
    return facts


def _attacks(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("attack (what it really was)")
    for name in ("payments", "caught", "missed"):
        table.add_column(name, justify="right")
    for kind, (count, caught) in summary.by_kind.items():
        table.add_row(kind.replace("_", " "), f"{count:,}", f"{caught:,}", f"{count - caught:,}")
    return table


def ms(value: float | None) -> str:
    """A latency as people read it."""
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "–"
