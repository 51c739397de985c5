"""Verdicts that are still due: how late they come, and how many payments are too young to be judged by them."""

import polars as pl

from backtest.compare.comparison import LabelDelay
from backtest.compare.reading import DAY_MS, Rows
from backtest.compare.settings import CompareSettings
from backtest.result import Run

LATEST = 0.9
"""Where nothing else says how late verdicts come: the time within which this share of those that came did."""
WITHIN = {"1 hour": DAY_MS // 24, "1 day": DAY_MS, "7 days": 7 * DAY_MS, "30 days": 30 * DAY_MS}


def delay_of(frauds: pl.DataFrame, run: Run, settings: CompareSettings) -> tuple[int, str]:
    """How late verdicts come, ms, and where that is from. Frauds with event_time and known_at."""
    if settings.label_delay_ms is not None:
        return settings.label_delay_ms, "as given"
    if run.label_delay_ms is not None:
        return run.label_delay_ms, "the replay's"
    waited = (frauds["known_at"] - frauds["event_time"]).quantile(LATEST, "higher")
    if waited is None:
        return 0, "not known: no verdict says when it came"
    return max(0, int(waited)), f"the time within which {LATEST:.0%} of the verdicts came"


def label_delay(rows: Rows, counts: pl.DataFrame, delay: tuple[int, str], settled_until: int) -> LabelDelay:
    """What may not be known of the window's end."""
    frauds = rows.frame.filter("is_fraud")
    waited = frauds["known_at"] - frauds["event_time"]
    known = {name: float((waited <= ms).fill_null(False).mean()) for name, ms in WITHIN.items() if len(waited)}  # type: ignore[arg-type]  # of Booleans it is a number
    return LabelDelay(
        delay_ms=delay[0],
        source=delay[1],
        payments=int(counts.filter(~pl.col("settled"))["payments"].sum()),
        frauds=int((frauds["event_time"] > settled_until).sum()),
        known_within=known,
    )
