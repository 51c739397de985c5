"""The rates as a picture: a bar for each participant, its median, with a line over the range of its runs."""

import io
from typing import Any

NAMES = ("ours", "streams", "quix", "faust")
COLOURS = {"ours": "#1f6f8b", "whole": "#7fb3c4"}
OTHER = "#9a9a9a"


def bars(result: dict[str, Any]) -> list[tuple[str, str, dict[str, float]]]:
    """Label, colour and rate (median, lowest, highest) of each that has one, in the order of `NAMES`."""
    everyone = result["participants"]
    shown = [
        (everyone[name]["title"], COLOURS.get(name, OTHER), everyone[name]["rate"])
        for name in NAMES
        if "rate" in everyone.get(name, {})
    ]
    if "rate" in result.get("whole", {}):
        shown.append(("FraudStream,\nthe whole job", COLOURS["whole"], result["whole"]["rate"]))
    return shown


def picture(result: dict[str, Any]) -> str:
    """As SVG; the same result gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    shown = bars(result)
    with mpl.rc_context({"svg.hashsalt": "peers", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(8, 0.6 + 0.55 * len(shown)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        places = range(len(shown))
        medians = [rate["median"] for _, _, rate in shown]
        reach = [
            [rate["median"] - rate["lowest"] for _, _, rate in shown],
            [rate["highest"] - rate["median"] for _, _, rate in shown],
        ]
        axes.barh(places, medians, color=[colour for _, colour, _ in shown], xerr=reach, ecolor="#333333", capsize=3)
        for place, (_, _, rate) in enumerate(shown):
            axes.annotate(
                f"{rate['median']:,.0f}", (rate["highest"], place), (6, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(places, [label for label, _, _ in shown])
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel("payments a second: median, and range of the runs")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
