"""The pictures of a backtest, each from its comparison and nothing else; a judge has the same colour in all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backtest.compare import Comparison
from backtest.compare.comparison import Group, Overlap, Sweep
from models.report.drawing import FRAUD, INK, MODEL, MUTED, OTHER, picture
from models.report.page import Picture
from models.report.plots import dated
from models.report.words import title

COLOURS = (MODEL, FRAUD, "#2a9d8f", "#8e5ea2", "#d98e1f")
LEAST_ALERTS = 0.1
"""A day: where the axis of alerts begins, at the latest."""

Groups = Mapping[str, Sequence[Group]]


def coloured(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names with their colours."""
    return [(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)]


def alerts_by_day(comparison: Comparison, capacity: float) -> Picture:
    """Alerts of each judge, and how many can be looked at."""

    def draw(axes: Any) -> None:
        for name, colour in coloured(list(comparison.judges)):
            days = comparison.judges[name].days
            axes.plot(_dates(days), [day.alerts for day in days], color=colour, label=name, marker="o", markersize=3)
        axes.axhline(capacity, color=MUTED, linewidth=1, linestyle=(0, (3, 3)), label="can be looked at")
        _counts(axes)
        axes.set_title("Alerts by day")
        dated(axes)
        axes.figure.legend(loc="outside lower center", ncols=3)

    return picture("alerts_by_day.svg", "Alerts of each model on each day.", draw, width=5.6, height=3.8)


def frauds_by_day(comparison: Comparison) -> Picture:
    """Frauds of each day, and how many each judge caught."""

    def draw(axes: Any) -> None:
        days = next(iter(comparison.judges.values())).days
        axes.bar(_dates(days), [day.frauds for day in days], width=0.85, color=OTHER, alpha=0.45, label="frauds")
        for name, colour in coloured(list(comparison.judges)):
            caught = [day.caught for day in comparison.judges[name].days]
            axes.plot(_dates(days), caught, color=colour, label=f"caught by {name}", marker="o", markersize=3)
        _counts(axes)
        axes.set_title("Frauds by day")
        dated(axes)
        axes.figure.legend(loc="outside lower center", ncols=3)

    return picture("frauds_by_day.svg", "Frauds of each day, and those each model caught.", draw, width=5.6, height=3.8)


def recalls(name: str, shows: str, groups: Groups, *, width: float = 9) -> Picture:
    """Share of each group's frauds with an alert, with intervals; groups without fraud are left out."""
    kept = [i for i, group in enumerate(next(iter(groups.values()))) if group.frauds]
    step = 0.7 / len(groups)

    def draw(axes: Any) -> None:
        for k, (judge, colour) in enumerate(coloured(list(groups))):
            for row, i in enumerate(kept):
                group, y = groups[judge][i], row + (k - (len(groups) - 1) / 2) * step
                axes.plot(
                    [100 * (group.low or 0), 100 * (group.high or 0)], [y, y], color=colour, linewidth=4, alpha=0.28
                )
                axes.plot(100 * (group.recall or 0), y, "o", color=colour, markersize=6, label="" if row else judge)
        first = next(iter(groups.values()))
        axes.set_yticks(range(len(kept)), [f"{title(first[i].name)} ({first[i].frauds})" for i in kept])
        axes.set_ylim(len(kept) - 0.5, -0.5)
        axes.set_xlim(0, 101)
        axes.set_xlabel("frauds with an alert, %, and 95 % interval")
        axes.figure.legend(loc="outside upper left", ncols=4)

    return picture(name, shows, draw, width=width, height=(0.16 + 0.16 * len(groups)) * len(kept) + 1.2)


def hours(groups: Groups, time_zone: str) -> Picture:
    """Frauds of each hour, and how many each judge caught."""

    def draw(axes: Any) -> None:
        first = next(iter(groups.values()))
        axes.bar(range(24), [group.frauds for group in first], color=OTHER, alpha=0.45, label="frauds")
        for judge, colour in coloured(list(groups)):
            axes.plot(range(24), [g.caught for g in groups[judge]], color=colour, marker="o", markersize=3, label=judge)
        _counts(axes)
        axes.set_xticks(range(0, 24, 3))
        axes.set_xlabel(f"hour of the day, {time_zone}")
        axes.figure.legend(loc="outside upper left", ncols=4)

    return picture("hours.svg", "Frauds by hour, and those each model caught.", draw, width=5.6, height=3.4)


def recall_by_alerts(comparison: Comparison) -> Picture:
    """What share of the frauds each number of alerts a day buys."""
    return _swept(comparison, "recall.svg", "frauds caught, %", "Frauds caught", lambda s: _percent(s.recall))


def money_by_alerts(comparison: Comparison) -> Picture:
    """What each number of alerts a day saves, net of reviews."""
    return _swept(
        comparison, "net_saved.svg", "₹ lakh", "Net saved", lambda s: np.array(s.net_saved) / 1e5, zero=True
    )  # fmt: skip


def overlap(found: Overlap, champion: str, candidate: str) -> Picture:
    """Frauds and false alerts of two judges: both, one of them alone, neither."""
    colours = ("#2a9d8f", MODEL, FRAUD, "#c3cddb")
    names = ("both", f"{champion} alone", f"{candidate} alone", "neither")
    rows = {"frauds": found.frauds, "money of frauds": found.frauds, "false alerts": found.false_alerts}

    def draw(axes: Any) -> None:
        for row, (what, shares) in enumerate(rows.items()):
            values = np.array([share.rupees if what == "money of frauds" else share.payments for share in shares])
            widths = 100 * values / max(values.sum(), 1e-9)
            starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
            for start, width, colour, value in zip(starts, widths, colours, values, strict=False):
                axes.barh(row, width, left=start, color=colour, height=0.62)
                if width > 5:
                    text = f"₹{value / 1e5:,.1f} lakh" if what == "money of frauds" else f"{value:,.0f}"
                    axes.text(start + width / 2, row, text, ha="center", va="center", color="#ffffff", fontsize=8.5)
        for name, colour in zip(names, colours, strict=True):
            axes.barh(0, 0, color=colour, label=name)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("%")
        axes.grid(visible=False, axis="y")
        axes.figure.legend(loc="outside upper left", ncols=4)

    shows = ", ".join(f"{share.payments} frauds {name}" for name, share in zip(names, found.frauds, strict=True))
    return picture(f"overlap_{candidate}.svg", f"Who flags what: {shows}.", draw, height=2.3)


def _counts(axes: Any) -> None:
    """From 0, in whole numbers."""
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(integer=True)


def _swept(
    comparison: Comparison, name: str, label: str, heading: str, of: Callable[[Sweep], Any], *, zero: bool = False
) -> Picture:
    def draw(axes: Any) -> None:
        for judge, colour in coloured(list(comparison.judges)):
            found = comparison.judges[judge]
            alerts, values = np.array(found.sweep.alerts_per_day), of(found.sweep)
            shown = alerts > 0
            axes.plot(alerts[shown], values[shown], color=colour, label=judge)
            axes.plot(alerts[found.own.threshold], values[found.own.threshold], "o", color=colour, markersize=7)
        capacity = comparison.settings.capacity
        if capacity:
            axes.axvline(capacity, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
            axes.annotate(
                "can be looked at", (capacity, 0.02), (4, 0), xycoords=("data", "axes fraction"),
                textcoords="offset points", color=INK, fontsize=8.5, rotation=90,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(*_reach(comparison))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        if zero:
            axes.axhline(0, color=MUTED, linewidth=0.8)
            axes.set_ylim(bottom=_lowest(comparison, of))
        axes.set_xlabel("alerts a day")
        axes.set_ylabel(label)
        axes.set_title(heading)
        axes.figure.legend(loc="outside lower center", ncols=4)

    shows = f"{heading} over alerts a day, a curve a model; the dot is its own threshold."
    return picture(name, shows, draw, width=5.6, height=4)


def _reach(comparison: Comparison) -> tuple[float, float]:
    """Alerts a day from the fewest that matter to ten times what is done or can be done."""
    own = [judge.own.alerts_per_day for judge in comparison.judges.values()]
    most = max(*own, comparison.settings.capacity, LEAST_ALERTS)
    return max(LEAST_ALERTS, min([value for value in own if value] or [1.0]) / 20), 10 * most


def _lowest(comparison: Comparison, of: Callable[[Sweep], Any]) -> float:
    """Losses of far too many alerts would flatten what matters."""
    best = max(float(np.max(of(judge.sweep))) for judge in comparison.judges.values())
    return -max(best, 0.01) / 3


def _percent(shares: Sequence[float | None]) -> Any:
    return np.array([np.nan if share is None else 100 * share for share in shares])


def _dates(days: Sequence[Group]) -> Any:
    return np.array([day.name for day in days], dtype="datetime64[D]")
