"""How the model came to be: what was given, chosen and tried, as far as its manifest holds it.

A manifest of an earlier version holds less; what is absent has no table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from models.bundle import Manifest
from models.report.page import Part, Section, Table
from models.report.words import UNKNOWN, number, percent, title

COMPARED = ("auc", "average_precision", "recall_at_fpr_0.001", "recall_at_fpr_0.005", "recall_at_fpr_0.013")
"""Figures by which ways of training are compared."""


def sections(manifest: Manifest, tables: Sequence[Table] = ()) -> list[Section]:
    """One on training, and one on the second opinion where there is one."""
    held: dict[str, Any] = msgspec.to_builtins(manifest)
    parts: list[Part] = [*_chosen(held), *_spreads(held), *_compared(held), *tables]
    found = [Section("training", "How it was trained", "What was given, what was chosen, and by which figures.", parts)]
    if opinion := held.get("second_opinion"):
        found.append(_second_opinion(opinion))
    return found


def _chosen(held: Mapping[str, Any]) -> Iterator[Table]:
    for name, caption in (
        ("parameters", "What XGBoost was given"),
        ("search", "How the parameters were searched for"),
        ("budget", "What the bank can bear, which chose the alert score"),
        ("budget_implies", "What that alert score means on validation"),
    ):
        if values := held.get(name):
            rows = [(title(key), _plain(value)) for key, value in sorted(values.items())]
            yield Table((title(name), "value"), rows, caption, words=(0, 1))


def _spreads(held: Mapping[str, Any]) -> Iterator[Table]:
    for name, caption in (
        ("out_of_fold", "Over folds in order of time, each measured on payments later than all it knew"),
        ("over_seeds", "Over models grown from several seeds, measured as this one"),
    ):
        if spreads := held.get(name):
            rows = [
                (title(key), number(s["mean"]), number(s["low"]), number(s["high"]), str(len(s["values"])))
                for key, s in spreads.items()
            ]
            yield Table(("figure", "mean", "95 % from", "to", "measured"), rows, caption)


def _compared(held: Mapping[str, Any]) -> Iterator[Table]:
    if treatments := held.get("imbalance_compared"):
        figures = [name for name in COMPARED if all(name in spreads for spreads in treatments.values())]
        rows = [
            (title(treatment), *(number(spreads[name]["mean"]) for name in figures))
            for treatment, spreads in treatments.items()
        ]
        chosen = frozenset(i for i, name in enumerate(treatments) if name == held.get("imbalance"))
        caption = "Ways to treat the rarity of fraud, by their means over folds; the one that was taken stands out"
        yield Table(("imbalance treated by", *map(title, figures)), rows, caption, marked=chosen)


def _second_opinion(opinion: Mapping[str, Any]) -> Section:
    rows = [
        ("alerts from score", str(opinion["alert_score"])),
        ("honest payments that only it flags, on validation", percent(opinion.get("false_positive_rate"), 2)),
        ("honest payments that only it flags, here", percent(opinion.get("added_false_positive_rate"), 2)),
        ("frauds that only it flags, here", percent(opinion.get("added_recall"))),
    ]
    return Section(
        "second-opinion",
        "Second opinion",
        "A second score, learned without verdicts: how unlike any honest payment a payment is. It has alerts of its"
        " own, for attacks that training never saw. The figures elsewhere on this page are the model's alone.",
        [Table(("", "value"), rows, "What the second opinion adds")],
    )


def _plain(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
