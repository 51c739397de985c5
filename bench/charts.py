"""Results as pictures for the documentation: SVG, of the same bytes for the same result."""

import io
from collections.abc import Callable
from statistics import median
from typing import Any

from stream.metrics import STAGES

AGENTS = (("scoring", "stages"), ("entities", "entities"))
GUARANTEES = {"exactly_once": "-", "at_least_once": ":"}


def svg(draw: Callable[[Any], None], height: float) -> str:
    """What `draw` draws on matplotlib's axes, 8 inches wide."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(8, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def stages(result: dict[str, Any]) -> str:
    """What a payment of a backlog costs each agent, stage by stage: medians of the runs."""

    def draw(axes: Any) -> None:
        both = {name: result[name]["backlog"]["runs"] for name in GUARANTEES if "backlog" in result.get(name, {})}
        bars = [
            (f"{agent},\n{name.replace('_', ' ')}", runs, f"{key}_us")
            for name, runs in both.items()
            for agent, key in AGENTS
        ]
        ends = [0.0] * len(bars)
        for stage in STAGES:
            widths = [median(run[key][stage] for run in runs) for _, runs, key in bars]
            axes.barh(range(len(bars)), widths, left=ends, label=stage)
            ends = [end + width for end, width in zip(ends, widths, strict=True)]
        axes.set_yticks(range(len(bars)), [label for label, _, _ in bars])
        axes.invert_yaxis()
        axes.set_xlabel("µs a payment")
        axes.figure.legend(loc="outside upper center", ncols=len(STAGES), frameon=False)

    return svg(draw, height=3)


def unseen(result: dict[str, Any]) -> str:
    """Recall on each kind of attack: seen in training, left out of it, left out with the second opinion beside."""

    def draw(axes: Any) -> None:
        kinds = list(result["by_kind"])
        rows = [result["by_kind"][kind] for kind in kinds]
        series = (("seen in training", "seen"), ("left out, model alone", "alone"), ("with the second opinion", "both"))
        for place, (label, name) in enumerate(series):
            at = [number + 0.27 * (place - 1) for number in range(len(kinds))]
            axes.barh(at, [100 * row[name] for row in rows], height=0.25, label=label, color=("0.8", "C0", "C1")[place])
        axes.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"recall at {100 * result['settings']['false_positive_rate']:g} % false positives in all, %")
        axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)

    return svg(draw, height=1.5 + 0.4 * len(result["by_kind"]))


def latencies(result: dict[str, Any]) -> str:
    """Share of the alerts in each of ten steps a decade, a line for each rate and guarantee."""

    def draw(axes: Any) -> None:
        rates = list(dict.fromkeys(run["rate"] for run in result["runs"]))
        for run in result["runs"]:
            steps, counts = run["histogram"]["from"], run["histogram"]["count"]
            axes.stairs(
                [100 * count / sum(counts) for count in counts],
                [*steps, steps[-1] * 10**0.1],
                color=f"C{rates.index(run['rate'])}",
                linestyle=GUARANTEES[run["guarantee"]],
                label=f"{run['rate']:,.0f}/s, {run['guarantee'].replace('_', ' ')}",
            )
        axes.set_xscale("log")
        axes.set_xlabel("from the scheduled time of a payment to its alert at a consumer, ms")
        axes.set_ylabel("% of the alerts")
        axes.legend(frameon=False)

    return svg(draw, height=4)


def robustness(result: dict[str, Any]) -> str:
    """Recall at the threshold for 0.5 % false positives over the share of campaigns adapted, a line a knob."""

    def draw(axes: Any) -> None:
        for number, (knob, by_strength) in enumerate(result["knobs"].items()):
            found = [figures["at"]["0.005"]["recall"] for figures in by_strength.values()]
            shares = [100 * float(strength) + number - 2.5 for strength in by_strength]  # beside each other
            means = [100 * each["mean"] for each in found]
            reach = [100 * ((each["high"] or each["mean"]) - each["mean"]) for each in found]
            axes.errorbar(shares, means, reach, label=knob, marker="o", markersize=3, linewidth=1, capsize=2)
        axes.set_xlabel("% of the campaigns adapted (silent: of the victims)")
        axes.set_ylabel("% of the frauds caught")
        axes.set_ylim(0, 100)
        axes.legend(frameon=False, ncols=2)

    return svg(draw, height=4)
