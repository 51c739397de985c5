"""The result as tables: what was to be reached, all models side by side, precision, kinds of attack, settings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.table import Table, figure

Figures = Mapping[str, Any]
"""mean, low and high of one figure; low and high None for a single seed."""

PAPER: tuple[tuple[str, dict[str, str]], ...] = (
    ("the paper, before (published)", {"auc": "0.91", "recall_at_fpr_0.038": "76 %"}),
    (
        "the paper, its model (published)",
        {"auc": "0.96", "recall_at_fpr_0.013": "89 %", "precision_at_fpr_0.013": "17 %"},
    ),
)
"""As the paper states them; its precision follows from recall, false-positive rate and 0.3 % fraud."""
PUBLISHED = "the paper's figures are of its own data, which nobody else has"


def ratio(figures: Figures | None) -> str:
    """`0.985 ± 0.003`"""
    return _with_reach(figures, lambda value: f"{value:.3f}")


def percent(figures: Figures | None) -> str:
    """`93.1 ± 1.2 %`"""
    text = _with_reach(figures, lambda value: f"{100 * value:.1f}")
    return text if text == "–" else f"{text} %"


def small_percent(figures: Figures | None) -> str:
    """The same of shares that may be far below 1 %."""
    text = _with_reach(figures, lambda value: f"{100 * value:.2g}")
    return text if text == "–" else f"{text} %"


def number(figures: Figures | None) -> str:
    """`150.2 ± 3.1`"""
    return _with_reach(figures, lambda value: f"{value:,.1f}")


def _with_reach(figures: Figures | None, text: Callable[[float], str]) -> str:
    if figures is None or figures["mean"] is None:
        return "–"
    if figures["low"] is None:
        return text(figures["mean"])
    return f"{text(figures['mean'])} ± {text((figures['high'] - figures['low']) / 2)}"


Columns = tuple[tuple[str, str, Callable[[Figures | None], str]], ...]

SIDE_BY_SIDE: Columns = (
    ("AUC", "auc", ratio),
    ("average precision", "average_precision", ratio),
    ("recall at FPR 0.1 %", "recall_at_fpr_0.001", percent),
    ("at 0.5 %", "recall_at_fpr_0.005", percent),
    ("at 1.3 %", "recall_at_fpr_0.013", percent),
    ("at 3.8 %", "recall_at_fpr_0.038", percent),
    ("calibration slope", "calibration_slope", ratio),
    ("Brier skill", "brier_skill", ratio),
    ("slope, top 1 %", "calibration_slope_top_1_percent", ratio),
    ("Brier skill, top 1 %", "brier_skill_top_1_percent", ratio),
)
PRECISION: Columns = (
    ("precision at FPR 0.1 %", "precision_at_fpr_0.001", percent),
    ("at 0.5 %", "precision_at_fpr_0.005", percent),
    ("at 1.3 %", "precision_at_fpr_0.013", percent),
    ("1 fraud in 10,000: at FPR 0.1 %", "precision_at_fpr_0.001_1_in_10000", small_percent),
    ("1 in 10,000: at 0.5 %", "precision_at_fpr_0.005_1_in_10000", small_percent),
    ("1 in 10,000: at 1.3 %", "precision_at_fpr_0.013_1_in_10000", small_percent),
)
ALERTS: Columns = (
    ("alerts a day", "alerts_per_day", number),
    ("recall", "alert_recall", percent),
    ("false-positive rate", "alert_false_positive_rate", small_percent),
    ("precision", "alert_precision", percent),
    ("precision, 1 fraud in 10,000", "alert_precision_1_in_10000", small_percent),
    ("value saved", "value_saved_share", percent),
    ("card precision@100", "card_precision_100", percent),
    ("frauds expected / seen", "expected_over_observed", ratio),
)


def model_tables(result: dict[str, Any]) -> Iterator[Table]:
    """All tables."""
    models = result["models"]
    seeds = [run["seed"] for run in result["seeds"]]
    which = "final" if result["final"] else "development"
    over = f"mean of {len(seeds)} {which} seeds ± half of the 95 % interval by Student's t"
    if len(seeds) == 1:
        over = f"one {which} seed"
    if goals := list(_goals(result)):
        yield Table(f"What was to be reached: {over}", ["", "goal", "measured", "reached"], goals)
    yield _columns(f"Side by side: {over}; {PUBLISHED}", models, SIDE_BY_SIDE)
    yield _columns(
        "Precision at those false-positive rates, and if one payment in 10,000 were fraud", models, PRECISION
    )
    rate = result["protocol"]["alert_false_positive_rate"]
    title = f"Alerts from the score that {rate:.1%} of the honest validation payments reach"
    yield _columns(title, models, ALERTS, published=False)
    yield _kinds(models)
    strongest = [[each["feature"], ratio(each), figure(max(each["values"]))] for each in result["strongest_features"]]
    yield Table("The features that tell most by themselves", ["", "AUC", "highest of the seeds"], strongest)
    yield _worlds(result)
    yield _settings(result)


def _columns(title: str, models: Figures, columns: Columns, published: bool = True) -> Table:
    rows = [
        [model["title"], *(write(model["metrics"].get(metric)) for _, metric, write in columns)]
        for model in models.values()
    ]
    if published:
        rows += [[name, *(stated.get(metric, "–") for _, metric, _ in columns)] for name, stated in PAPER]
    return Table(title, ["", *(text for text, _, _ in columns)], rows)


@dataclass(frozen=True)
class Goal:
    """A figure of one model and the span it is to lie in."""

    text: str
    model: str
    metric: str
    least: float | None
    most: float | None
    write: Callable[[Figures | None], str]


GOALS = (
    Goal("AUC", "champion", "auc", 0.98, None, ratio),
    Goal("recall at 0.5 % false positives", "champion", "recall_at_fpr_0.005", 0.93, None, percent),
    Goal("calibration slope", "champion", "calibration_slope", 0.9, 1.1, ratio),
    Goal("calibration slope, top 1 %", "champion", "calibration_slope_top_1_percent", 0.9, 1.1, ratio),
    Goal("Brier skill", "champion", "brier_skill", 0.0, None, ratio),
    Goal("Brier skill, top 1 %", "champion", "brier_skill_top_1_percent", 0.0, None, ratio),
    Goal("the paper's rules: AUC", "paper_rules", "auc", None, 0.91, ratio),
    Goal("the paper's rules: recall at 3.8 %", "paper_rules", "recall_at_fpr_0.038", None, 0.76, percent),
)
"""The last two say that the simulator is no easier than the paper's data."""
STRONGEST_FEATURE_AUC = 0.90


def _goals(result: dict[str, Any]) -> Iterator[list[str]]:
    for goal in GOALS:
        if goal.model not in result["models"]:
            continue
        measured = result["models"][goal.model]["metrics"][goal.metric]
        yield [goal.text, _span(goal), goal.write(measured), figure(reached(goal, measured["mean"]))]
    strongest = result["strongest_features"][0]
    highest = max(strongest["values"])
    text = f"strongest single feature ({strongest['feature']}), AUC in any seed"
    yield [text, f"at most {STRONGEST_FEATURE_AUC:g}", figure(highest), figure(highest <= STRONGEST_FEATURE_AUC)]


def reached(goal: Goal, mean: float | None) -> bool:
    """Whether the mean lies where the goal says; the interval may reach beyond, and the table shows it."""
    return mean is not None and (goal.least is None or mean >= goal.least) and (goal.most is None or mean <= goal.most)


def _span(goal: Goal) -> str:
    if goal.least is not None and goal.most is not None:
        return f"{goal.least:g} to {goal.most:g}"
    return f"at least {goal.least:g}" if goal.least is not None else f"at most {goal.most:g}"


def _kinds(models: Figures) -> Table:
    shown = next(iter(models.values()))["kinds"]
    rows = [
        [
            kind.replace("_", " "),
            figure(counts["frauds"]),
            *(_recall(model["kinds"][kind]) for model in models.values()),
        ]
        for kind, counts in shown.items()
    ]
    title = "Recall by kind of attack at 0.5 % false positives, all seeds together, with Wilson's 95 % interval"
    return Table(title, ["", "frauds", *(model["title"] for model in models.values())], rows)


def _recall(counts: Figures) -> str:
    return f"{counts['recall']:.0%} ({counts['low']:.0%}–{counts['high']:.0%})"


def _worlds(result: dict[str, Any]) -> Table:
    parts = (("train", "train"), ("validation", "validation"), ("test", "test"))
    rows = []
    for run in result["seeds"]:
        cells = [
            f"{run[part]['payments']:,} / {run[part]['frauds']:,} / {run[part]['known']:,}" for part, _ in parts[:2]
        ]
        test = run["test"]
        cells.append(f"{test['payments']:,} / {test['frauds']:,}")
        rows.append([str(run["seed"]), *cells, figure(test["never_known"])])
    head = [
        "seed",
        *(f"{text}: payments / frauds / known by the cutoff" for _, text in parts[:2]),
        "test: payments / frauds",
        "of these never known",
    ]
    return Table("The worlds", head, rows)


def _settings(result: dict[str, Any]) -> Table:
    rows = [
        [
            result["models"][name]["title"],
            ", ".join(f"{key} = {value}" for key, value in given.items()) or "the defaults",
        ]
        for name, given in result["model_settings"].items()
        if name in result["models"]
    ]
    return Table("Settings, from bench/model_settings.toml", ["", ""], rows)
