"""The pictures of a report, each from its findings and nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from models.bundle import Manifest, Window
from models.calibration import MAX_SCORE
from models.report.drawing import FRAUD, GROUPS, INK, MODEL, MUTED, OTHER, PAPER, picture
from models.report.findings.alerts import INDIA_MS, Period
from models.report.findings.groups import Kind
from models.report.findings.importance import Importance
from models.report.findings.ranking import Curves
from models.report.findings.trust import Bin
from models.report.measured import Measured
from models.report.page import Picture
from models.report.words import percent, title

FEATURES_SHOWN = 15
FEATURES_FILE, GROUPS_FILE = "importance.svg", "groups.svg"
SCORE_STEP = 20
LEAST_RATE = 1e-4
"""Where the logarithmic axis of false positives begins."""
LEAST_PERCENT = 1e-6
"""Where those of calibration begin, at the lowest."""


def windows(manifest: Manifest) -> Picture:
    """Training, validation, the wait for verdicts, and the test, on one line of time."""
    waiting = Window(start=manifest.validation.end, end=manifest.cutoff, payments=0, frauds=0)
    spans = [("trees fitted", manifest.train, MODEL), ("validated", manifest.validation, "#2a9d8f")]
    spans.append(("verdicts due", waiting, OTHER))
    if manifest.test:
        spans.append(("measured", manifest.test, FRAUD))

    def draw(axes: Any) -> None:
        for row, (_, window, colour) in enumerate(spans):
            start, end = (
                datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None) for ms in (window.start, window.end)
            )
            axes.barh(row, end - start, left=start, height=0.55, color=colour)
        axes.set_yticks(range(len(spans)), [name for name, _, _ in spans])
        axes.set_ylim(len(spans) - 0.5, -0.5)
        dated(axes)
        axes.grid(visible=False, axis="y")

    return picture(
        "windows.svg", "The windows of time follow each other without overlap.", draw, height=0.3 * len(spans) + 0.6
    )


def roc(curves: Curves, rates: Sequence[float], *, zoom: bool) -> Picture:
    """Recall over false positives; zoomed, on a logarithmic axis where alerts are affordable."""

    def draw(axes: Any) -> None:
        if zoom:
            for rate in rates:
                axes.axvline(100 * rate, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
                recall = curves.recall[np.searchsorted(curves.false_positive_rate, rate, side="right") - 1]
                axes.plot(100 * rate, 100 * recall, "o", color=MODEL, markersize=6, markeredgecolor=PAPER)
                axes.annotate(
                    f"{100 * recall:.0f} %", (100 * rate, 100 * recall), (6, -13), textcoords="offset points", color=INK
                )
            axes.set_xscale("log")
            axes.set_xlim(100 * LEAST_RATE, 10)
            axes.set_xticks([0.01, 0.1, 0.5, 1.3, 10], ["0.01", "0.1", "0.5", "1.3", "10"])
        else:
            axes.plot([0, 100], [0, 100], color=OTHER, linewidth=1, linestyle=(0, (3, 3)))
            axes.annotate("guessing", (55, 50), color=MUTED)
            axes.set_xlim(0, 101)
        axes.plot(100 * curves.false_positive_rate, 100 * curves.recall, color=MODEL, drawstyle="steps-post")
        axes.set_ylim(0, 101)
        axes.set_xlabel("honest payments with an alert, %" + (" (logarithmic)" if zoom else ""))
        axes.set_ylabel("frauds caught, %")
        axes.set_title("Where alerts are affordable" if zoom else "ROC")

    shows = f"Receiver operating characteristic, area {curves.auc:.4f}."
    return picture("roc_zoom.svg" if zoom else "roc.svg", shows, draw, width=5.6, height=4.2)


def precision_recall(curves: Curves, share: float) -> Picture:
    """Precision over recall at this window's share of fraud, and at one fraud in 10,000 payments."""

    def draw(axes: Any) -> None:
        axes.plot(100 * curves.recall, 100 * curves.precision, color=MODEL, label=f"{percent(share, 2)} fraud, as here")
        axes.plot(100 * curves.recall, 100 * curves.rare_precision, color=FRAUD, label="1 fraud in 10,000 payments")
        axes.set_xlim(0, 101)
        axes.set_ylim(0, 101)
        axes.set_xlabel("frauds caught, %")
        axes.set_ylabel("alerts that are right, %")
        axes.set_title("Precision and recall")
        axes.figure.legend(loc="outside lower center", ncols=2)

    shows = f"Precision over recall, average precision {curves.average_precision:.3f}, and the same were fraud rarer."
    return picture("precision_recall.svg", shows, draw, width=5.6, height=4.2)


def calibration(bins: Sequence[Bin]) -> Picture:
    """Observed share of fraud over predicted probability, both logarithmic, with intervals."""
    shown = [b for b in bins if b.observed.hits]

    def draw(axes: Any) -> None:
        x = np.array([100 * b.predicted for b in shown])
        y = np.array([100 * b.observed.share for b in shown])
        reach = np.array(
            [[100 * (b.observed.share - b.observed.low), 100 * (b.observed.high - b.observed.share)] for b in shown]
        )
        least = max(min(x.min(), y.min()) / 3, LEAST_PERCENT) if shown else 0.01
        axes.plot([least, 100], [least, 100], color=OTHER, linewidth=1, linestyle=(0, (3, 3)))
        if shown:
            # A share of exactly 1 may lie a rounding above its interval's end.
            axes.errorbar(x, y, np.maximum(reach.T, 0), color=MODEL, fmt="o", markersize=5, linewidth=1.4, capsize=2.5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(least, 100)
        axes.set_ylim(least, 110)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("probability of fraud the model gave, %")
        axes.set_ylabel("share that was fraud, %")
        axes.set_title("Calibration")

    shows = f"Observed share of fraud over the probability given, {len(shown)} points with 95 % intervals."
    return picture("calibration.svg", shows, draw, width=5.6, height=4.2)


def scores(measured: Measured) -> Picture:
    """How scores of frauds and of honest payments spread, each as a share of its own; a share is on a log axis."""
    edges = np.arange(0, MAX_SCORE + SCORE_STEP + 1, SCORE_STEP)

    def draw(axes: Any) -> None:
        for rows, colour, name in ((~measured.is_fraud, OTHER, "honest"), (measured.is_fraud, FRAUD, "fraud")):
            if rows.any():
                counts, _ = np.histogram(measured.scores.score[rows], edges)
                shares = np.where(counts, 100 * counts / counts.sum(), np.nan)
                axes.stairs(np.nan_to_num(shares), edges, color=colour, fill=True, alpha=0.55, label=name)
                axes.stairs(np.nan_to_num(shares), edges, color=colour, linewidth=1.2)
        axes.set_yscale("log")
        axes.set_ylim(bottom=1e-3, top=250)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.axvline(measured.manifest.alert_score, color=INK, linewidth=1.2)
        axes.annotate("alert", (measured.manifest.alert_score, 130), (4, 0), textcoords="offset points", color=INK)
        axes.set_xlim(0, MAX_SCORE)
        axes.set_xlabel("score")
        axes.set_ylabel("share of their own, % (logarithmic)")
        axes.set_title("Scores of frauds and of honest payments")
        axes.legend(loc="upper right", ncols=2)

    shows = "Honest payments gather at low scores, frauds at high ones; the line marks where alerts begin."
    return picture("scores.svg", shows, draw, height=3.6)


def kinds(found: Sequence[Kind]) -> Picture:
    """Share of each kind's frauds with an alert, with intervals."""

    def draw(axes: Any) -> None:
        for row, kind in enumerate(found):
            rate, colour = kind.at_alert, INK if kind.name == "all" else MODEL
            axes.plot([100 * rate.low, 100 * rate.high], [row, row], color=colour, linewidth=5, alpha=0.28)
            axes.plot(100 * rate.share, row, "o", color=colour, markersize=7)
        axes.set_yticks(range(len(found)), [f"{title(kind.name)} ({kind.at_alert.total})" for kind in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlim(0, 101)
        axes.set_xlabel("frauds with an alert, %, and 95 % interval")

    shows = "Recall by kind of attack: " + ", ".join(f"{title(k.name)} {percent(k.at_alert.share, 0)}" for k in found)
    return picture("kinds.svg", shows + ".", draw, height=0.3 * len(found) + 0.8)


def importance(found: Sequence[Importance], name: str) -> Picture:
    """Mean absolute contributions, those of frauds above those of honest payments."""
    shown = found[:FEATURES_SHOWN]

    def draw(axes: Any) -> None:
        for row, one in enumerate(shown):
            colour = GROUPS.get(one.group, MODEL)
            axes.barh(row - 0.19, np.nan_to_num(one.on_frauds), height=0.36, color=colour)
            axes.barh(row + 0.19, np.nan_to_num(one.on_honest), height=0.36, color=colour, alpha=0.4)
        axes.set_yticks(range(len(shown)), [title(one.name) for one in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("mean absolute contribution, log-odds (full colour: to frauds; pale: to honest payments)")
        if name == FEATURES_FILE:
            for group, colour in GROUPS.items():
                axes.barh(0, 0, color=colour, label=group)
            axes.legend(loc="lower right")

    shows = "From the weightiest down: " + ", ".join(title(one.name) for one in shown) + "."
    return picture(name, shows, draw, height=0.32 * len(shown) + 0.8)


def daily(found: Sequence[Period]) -> Picture:
    """Alerts that were right and wrong, and frauds without one, by day or week."""

    def draw(axes: Any) -> None:
        days = [datetime.fromtimestamp((p.start + INDIA_MS) / 1000, UTC).replace(tzinfo=None) for p in found]
        caught, wrong, missed = (np.array([getattr(p, name) for p in found]) for name in ("caught", "wrong", "missed"))
        width = 0.8 * (found[0].days if found else 1)
        axes.bar(days, caught, width=width, color=MODEL, label="right alerts")
        axes.bar(days, wrong, width=width, bottom=caught, color=OTHER, label="wrong alerts")
        axes.bar(days, -missed, width=width, color=FRAUD, label="frauds without an alert")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axes.grid(visible=False, axis="x")
        dated(axes)
        axes.set_ylabel("payments a " + ("week" if found and found[0].days > 1 else "day"))
        axes.figure.legend(loc="outside upper left", ncols=3)

    shows = "Bars upwards are alerts, right ones below wrong ones; bars downwards are frauds that got none."
    return picture("alerts.svg", shows, draw, height=3.4)


def dated(axes: Any) -> None:
    """Days as few words as tell them apart."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
