"""The rates as a picture: a bar for each participant, its median, with a line over the range of its runs."""

from typing import Any

from bench.charts import svg

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
    """As SVG."""
    shown = bars(result)

    def draw(axes: Any) -> None:
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

    return svg(draw, height=0.6 + 0.55 * len(shown))
