"""The comparison from end to end: passes over the scores, then figures from the few rows that matter.

    comparison = compare(Result.open(directory), CompareSettings(analysts=3))

`backtest.report` makes metrics.json and the page of it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from backtest.compare import groups, reading
from backtest.compare.bootstrap import Bootstrap
from backtest.compare.comparison import Comparison, Contest, Figures, JudgeFigures
from backtest.compare.delay import delay_of, label_delay
from backtest.compare.examples import Explainer, examples
from backtest.compare.figures import Ladder, figures
from backtest.compare.overlap import overlap
from backtest.compare.quality import quality, rank_agreement
from backtest.compare.reading import DAY_MS, Flags, Rows, Totals
from backtest.compare.settings import CompareError, CompareSettings
from backtest.result import Result

Progress = Callable[[str], None]
"""Called with each stage's name as it begins."""


def compare(result: Result, settings: CompareSettings, progress: Progress = lambda stage: None) -> Comparison:
    """Champion and candidates over the payments of a backtest. Raises CompareError where it holds none."""
    judges = result.judges
    payments = reading.judged(result.scores(), judges)
    progress("counting scores")
    start, end, repeats = _span(result, payments)
    days = max(1.0, (end - start) / DAY_MS)
    histograms = [reading.histogram(payments, judge) for judge in judges]
    ladders = [Ladder.of(histogram) for histogram in histograms]
    totals = _totals(histograms[0], days)
    own = [judge.threshold for judge in judges]
    budget = ladders[0].alerts[own[0]]
    equal = [own[0], *(ladder.within(budget) for ladder in ladders[1:])]

    progress("reading frauds and alerts")
    placed = reading.in_place(payments, settings.time_zone)
    lowest = {judge: min(both) for judge, *both in zip(judges, own, equal, strict=True)}
    rows = reading.frauds_and_alerts(placed, lowest)
    delay = delay_of(rows.frame.filter("is_fraud"), result.run, settings)
    settled_until = end - delay[0]
    counts = reading.counted(placed, settled_until)

    progress("drawing payers")
    owns = [rows.flagged(judge) for judge in judges]
    equals = [rows.flagged(judge, threshold) for judge, threshold in zip(judges, equal, strict=True)]
    bootstrap = Bootstrap(rows, owns + equals, settings)

    progress("ranking")
    settled = _settled(rows, counts, settled_until, (settled_until - start) / DAY_MS)
    judged = {}
    for i, (judge, ladder) in enumerate(zip(judges, ladders, strict=True)):
        judged[judge.name] = JudgeFigures(
            own=_figures(rows, owns[i], own[i], totals, settings),
            equal=_figures(rows, equals[i], equal[i], totals, settings),
            capacity=ladder.at(ladder.within(settings.capacity * days), totals, settings),
            own_intervals=bootstrap.of(i),
            equal_intervals=bootstrap.of(len(judges) + i),
            settled=_figures(
                rows, owns[i] & (rows.frame["event_time"] <= settled_until).to_numpy(), own[i], settled, settings
            ),
            quality=quality(payments, judge, histograms[i]),
            episodes=groups.episodes(rows, owns[i]),
            kinds=groups.by_kind(rows, owns[i]),
            amounts=groups.by_amount(rows, owns[i], counts),
            hours=groups.by_hour(rows, owns[i], counts),
            days=groups.by_day(rows, owns[i], counts),
            sweep=ladder.sweep(totals, settings),
        )

    progress("explaining examples")
    explainer = Explainer(result)
    contests = {
        judge.name: Contest(
            own=overlap(rows, owns[0], owns[i]),
            equal=overlap(rows, equals[0], equals[i]),
            own_difference=bootstrap.between(i, 0),
            equal_difference=bootstrap.between(len(judges) + i, len(judges)),
            rank_agreement=rank_agreement(reading.pairs(payments, judges[0], judge)),
            examples=examples(rows, (judges[0], judge), explainer, settings),
        )
        for i, judge in enumerate(judges)
        if i
    }
    return Comparison(
        settings=settings,
        payments=totals.payments,
        repeats=repeats,
        frauds=totals.frauds,
        rupees_of_fraud=totals.rupees,
        start=start,
        end=end,
        days=days,
        label_delay=label_delay(rows, counts, delay, settled_until),
        judges=judged,
        contests=contests,
        examples=() if contests else examples(rows, judges, explainer, settings),
        notes=(*result.run.notes, *explainer.notes),
    )


def own_figures(result: Result, settings: CompareSettings) -> dict[str, Figures]:
    """Only what each judge did at its own threshold, by name: a pass a judge."""
    payments = reading.judged(result.scores(), result.judges)
    start, end, _ = _span(result, payments)
    days = max(1.0, (end - start) / DAY_MS)
    found = {}
    for judge in result.judges:
        histogram = reading.histogram(payments, judge)
        found[judge.name] = Ladder.of(histogram).at(judge.threshold, _totals(histogram, days), settings)
    return found


def _span(result: Result, payments: pl.LazyFrame) -> tuple[int, int, int]:
    """First and last event time, and how many payments had come before."""
    time = pl.col("event_time")
    first, last, count = payments.select(time.min(), last=time.max(), n=pl.len()).collect(engine="streaming").row(0)
    if not count:
        raise CompareError(
            f"{result.directory} holds no payment",
            hint="choose a window with payments: --from and --to of the backtest",
        )
    return first, last, int(result.scores().select(pl.len()).collect().item()) - count


def _totals(histogram: pl.DataFrame, days: float) -> Totals:
    frauds = histogram.filter("is_fraud")
    return Totals(
        int(histogram["payments"].sum()), int(frauds["payments"].sum()), float(frauds["amount"].sum()) / 100, days
    )


def _settled(rows: Rows, counts: pl.DataFrame, settled_until: int, days: float) -> Totals:
    frauds = rows.frame.filter(pl.col("is_fraud") & (pl.col("event_time") <= settled_until))
    payments = int(counts.filter("settled")["payments"].sum())
    return Totals(payments, frauds.height, float(frauds["amount"].sum()) / 100, max(1.0, days))


def _figures(rows: Rows, flagged: Flags, threshold: int, totals: Totals, settings: CompareSettings) -> Figures:
    caught = flagged & rows.is_fraud
    counts: Sequence[int] = [int(np.count_nonzero(flags)) for flags in (flagged, caught)]
    return figures(threshold, counts[0], counts[1], float(rows.rupees[caught].sum()), totals, settings)
