"""The result as pictures: curves with the range of the seeds, calibration, recall by kind."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.charts import svg
from bench.figures import wilson

COLOURS = {
    "champion": "#1f6f8b",
    "lightgbm": "#e08e45",
    "random_forest": "#6a994e",
    "logistic_regression": "#8e6c8a",
    "paper_rules": "#777777",
}
LEAST_BIN = 20
"""Payments below which a step of probabilities is not drawn."""
PAPER_POINTS = (("the paper, before", 0.038, 0.76, "x"), ("the paper, its model", 0.013, 0.89, "+"))


def roc(result: dict[str, Any]) -> str:
    """Recall over the false-positive rates that a bank can bear."""

    def draw(axes: Any) -> None:
        grid = result["grids"]["false_positive_rate"]
        for name, model in result["models"].items():
            _band(axes, grid, model["recall"], name, model["title"])
        for text, rate, recall, marker in PAPER_POINTS:
            axes.plot([rate], [recall], marker, color="black", label=f"{text} (published)")
        axes.set_xscale("log")
        axes.set_xlabel("false-positive rate")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2%}")
        axes.set_ylabel("recall")
        axes.set_ylim(0, 1)
        _legend(axes)

    return svg(draw, height=4.5)


def precision_recall(result: dict[str, Any]) -> str:
    """Precision over recall at the share of fraud of the test payments."""

    def draw(axes: Any) -> None:
        for name, model in result["models"].items():
            _band(axes, result["grids"]["recall"], model["precision"], name, model["title"])
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        _legend(axes)

    return svg(draw, height=4.5)


def calibration(result: dict[str, Any]) -> str:
    """Share of frauds over the mean probability, in steps of it, all seeds together, on scales of log-odds."""

    def draw(axes: Any) -> None:
        axes.plot([1e-5, 1 - 1e-5], [1e-5, 1 - 1e-5], color="#bbbbbb", linewidth=1)
        for name, model in result["models"].items():
            _steps(axes, model["reliability"], name, model["title"])
        ticks = [1e-4, 1e-3, 1e-2, 0.1, 0.5, 0.9, 0.99]
        for axis, scale, limits in (
            (axes.xaxis, axes.set_xscale, axes.set_xlim),
            (axes.yaxis, axes.set_yscale, axes.set_ylim),
        ):
            scale("logit")
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_ticks([], minor=True)
            limits(3e-5, 0.997)
        axes.set_xlabel("mean probability said")
        axes.set_ylabel("share that was fraud")
        _legend(axes)

    return svg(draw, height=5.5)


def kinds(result: dict[str, Any]) -> str:
    """Recall of each kind of attack at 0.5 % false positives, the champion beside the others."""
    models = result["models"]
    names = list(next(iter(models.values()))["kinds"])

    def draw(axes: Any) -> None:
        width = 0.8 / len(models)
        for place, (name, model) in enumerate(models.items()):
            counts = [model["kinds"][kind] for kind in names]
            recall = np.array([each["recall"] for each in counts])
            reach = [recall - [each["low"] for each in counts], [each["high"] for each in counts] - recall]
            axes.barh(
                np.arange(len(names)) - 0.4 + (place + 0.5) * width,
                recall,
                width,
                xerr=np.maximum(reach, 0),
                color=COLOURS[name],
                error_kw={"elinewidth": 0.6, "ecolor": "#333333"},
                label=model["title"],
            )
        axes.set_yticks(range(len(names)), [kind.replace("_", " ") for kind in names])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("recall at 0.5 % false positives")
        _legend(axes)

    return svg(draw, height=1.2 + 0.5 * len(names))


PICTURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "model-roc.svg": roc,
    "model-precision-recall.svg": precision_recall,
    "model-calibration.svg": calibration,
    "model-kinds.svg": kinds,
}


def _legend(axes: Any) -> None:
    """Above the axes, where no curve runs."""
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)


def _band(axes: Any, grid: Any, curve: dict[str, list[float]], name: str, title: str) -> None:
    axes.fill_between(grid, curve["lowest"], curve["highest"], color=COLOURS[name], alpha=0.15, linewidth=0)
    axes.plot(grid, curve["mean"], color=COLOURS[name], label=title)


def _steps(axes: Any, reliability: dict[str, list[float]], name: str, title: str) -> None:
    rows = [
        (said / count, seen / count, wilson(round(seen), round(count)))
        for count, said, seen in zip(*(reliability[part] for part in ("payments", "expected", "frauds")), strict=True)
        if count >= LEAST_BIN and seen
    ]
    said, seen = [row[0] for row in rows], [row[1] for row in rows]
    reach = [[seen - (low_high or (seen, seen))[0] for _, seen, low_high in rows],
             [(low_high or (seen, seen))[1] - seen for _, seen, low_high in rows]]  # fmt: skip
    axes.errorbar(
        said,
        seen,
        yerr=np.maximum(reach, 0),
        color=COLOURS[name],
        marker="o",
        markersize=3,
        elinewidth=0.7,
        label=title,
    )
