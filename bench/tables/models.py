"""Tables of how models are made and how they hold out."""

from collections.abc import Callable, Iterator

from bench.results import Result
from bench.table import Table, figure


def training(result: Result) -> Iterator[Table]:
    """Ways to train, over worlds."""
    settings = result["settings"]
    names = list(next(iter(result["ways"].values())))
    head = ["", *(name.replace("_", " ") for name in names)]

    def rows(of: dict[str, Result], write: Callable[[Result], str]) -> list[list[str]]:
        return [[way, *(write(spreads[name]) for name in names)] for way, spreads in of.items()]

    title = f"Test window, mean of {settings['worlds']} worlds of {settings['payments']:,} payments"
    yield Table(title, head, rows(result["ways"], lambda spread: figure(spread["mean"])))
    yield Table(
        "Gain over the same without it, world by world: 95 % interval of the mean",
        head,
        rows(result["gains"], lambda spread: f"{spread['low']:+.3f} to {spread['high']:+.3f}"),
    )
    if foretold := result.get("foretelling"):
        rated = [[name.replace("_", " "), f"{value:.2f}"] for name, value in foretold.items()]
        yield Table("Rank correlation of a figure on folds with the test's recall at FPR 0.005", ["", "rho"], rated)


def large(result: Result) -> Iterator[Table]:
    """Every stage of a large history."""
    names = ("seconds", "cpu_s", "rate", "peak_rss_mib", "disk_mib")
    head = ["", "s", "processor s", "payments/s", "peak memory, MiB", "on disk, MiB"]
    rows = [[stage, *(figure(figures.get(name)) for name in names)] for stage, figures in result["stages"].items()]
    yield Table(f"{result['settings']['payments']:,} payments", head, rows)
    shown = {name: value for name, value in result["stages"]["train"].items() if name not in (*names, "rate")}
    yield Table("The model", ["", ""], [[name.replace("_", " "), figure(value)] for name, value in shown.items()])


def robustness(result: Result) -> Iterator[Table]:
    """Attackers who adapt."""
    knobs, lost = result["knobs"], result["lost"]
    strengths = list(next(iter(knobs.values())))
    head = ["share adapted", *(f"{float(strength):.0%}" for strength in strengths), "lost from none to all"]
    for rate in result["standard"]["at"]:
        rows = [
            [knob, *(percent(by[strength]["at"][rate]["recall"]) for strength in strengths), percent(lost[knob][rate])]
            for knob, by in knobs.items()
        ]
        yield Table(f"Recall in %, at the threshold for {float(rate):.1%} false positives", head, rows)
    rows = [
        [f"{knob}, {float(rate):.1%}", *(percent(by[strength]["at"][rate]["alert_share"], 2) for strength in strengths)]
        for rate in result["standard"]["at"]
        for knob, by in knobs.items()
    ]
    yield Table("Alerts, % of the payments", head[:-1], rows)
    names = {"recall": "recall", "false_positive_rate": "false positives", "alert_share": "alerts, of the payments"}
    standard = [
        [f"{text}, %", *(percent(at[name], 2) for at in result["standard"]["at"].values())]
        for name, text in names.items()
    ]
    chosen = [f"threshold for {float(rate):.1%}" for rate in result["standard"]["at"]]
    yield Table("Attackers as in training", ["", *chosen], standard)
    kinds = result["by_kind"]
    rows = [
        [kind, *(f"{100 * by[kind]:.0f}" if kind in by else "–" for by in kinds.values())] for kind in kinds["standard"]
    ]
    yield Table("Recall in % by kind of attack, all adapted, at the threshold for 0.5%", ["", *kinds], rows)


def percent(found: dict[str, float | None], digits: int = 1) -> str:
    """A share with its interval's reach, in percent: `81.2 ± 3.4`."""
    mean, high = found["mean"], found["high"]
    if mean is None:
        return "–"
    return f"{100 * mean:.{digits}f}" + ("" if high is None else f" ± {100 * (high - mean):.{digits}f}")


def unseen(result: Result) -> Iterator[Table]:
    """Kinds of attack left out of training."""
    columns = ("seen", "alone", "both", "deployed")
    head = [
        "recall",
        "frauds",
        "seen in training",
        "left out: model alone",
        "with the second opinion",
        "at its thresholds",
    ]
    rows = [
        [kind.replace("_", " "), figure(row["frauds"]), *(f"{row[name]:.1%}" for name in columns)]
        for kind, row in result["by_kind"].items()
    ]
    over_kinds = result["over_kinds"]
    rows += [
        [f"{which} of the kinds", "", *(f"{over_kinds[name][which]:.1%}" for name in columns)]
        for which in ("mean", "lowest")
    ]
    rate, realised = result["settings"]["false_positive_rate"], result["deployed_false_positive_rate"]
    yield Table(f"Left-out kinds of attack, recall at {rate:.1%} false positives in all", head, rows)
    shares = result["over_kinds_by_share"]
    yield Table(
        "The same by the second opinion's share of the false positives",
        ["", *(f"{float(share):.0%}" for share in shares)],
        [
            [f"{which} of the kinds", *(f"{each[which]:.1%}" for each in shares.values())]
            for which in ("mean", "lowest")
        ],
    )
    words = [[which, f"{realised[which]:.2%}"] for which in ("mean", "lowest", "highest")]
    yield Table(f"False positives at the thresholds that validation set for {rate:.1%}", ["", "share"], words)
