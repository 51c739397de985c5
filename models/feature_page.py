"""The page about the features, docs/features.md, made from the catalogue: `python -m models.feature_page`."""

from itertools import groupby
from pathlib import Path

from models.catalogue import CATALOGUE, CATALOGUE_HASH, Feature

INTRODUCTION = """\
# The features

This page is made from `models/catalogue.py` by `python -m models.feature_page`.

The {count} parameters that every payment is judged by, in the order of the model's columns. A feature whose inputs are
missing is NaN, which the model takes as a value of its own. `{{value}}` and `{{usual}}` stand for amounts with their
units. What is usual is the payer's own, where the table names the feature that holds it, else the median over the
honest payments of the model's training. A flag's second sentence is for when it is not set: that, too, may be what
speaks against a payment.

Device, SIM and payee features "over all customers", and those of what a payee received, come from entity risk; they
are unknown until the first risk record of that entity.

Catalogue hash: `{digest}`.
It covers names, groups, units and descriptions; a model bundle made for another one is refused.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(count=len(CATALOGUE), digest=CATALOGUE_HASH)]
    for group, features in groupby(CATALOGUE, key=lambda feature: feature.group):
        rows = [_row(feature) for feature in features]
        parts.append(f"\n## {group.capitalize()} ({len(rows)})\n\n")
        parts.append("| feature | unit | what it is | what an analyst reads | usual |\n|---|---|---|---|---|\n")
        parts += rows
    return "".join(parts)


def _row(feature: Feature) -> str:
    sentences = feature.sentence + (f"<br>{feature.otherwise}" if feature.otherwise else "")
    usual = f"`{feature.usual}`" if feature.usual else "others" if "{usual}" in feature.sentence else ""
    return f"| `{feature.name}` | {feature.unit} | {feature.description} | {sentences} | {usual} |\n"


if __name__ == "__main__":
    Path(__file__).parents[1].joinpath("docs", "features.md").write_text(page(), encoding="utf-8")
