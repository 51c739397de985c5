"""What the model goes by: contributions of features and groups."""

from models.report import plots
from models.report.beeswarm import beeswarm
from models.report.findings import importance
from models.report.findings.importance import MOST_FRAUDS, MOST_HONEST
from models.report.measured import Measured
from models.report.page import Figure, Section, Table
from models.report.words import count, number, percent, title


def reasons(measured: Measured) -> Section:
    """Beeswarm, features, groups."""
    sample = importance.sample(measured)
    features, groups = importance.by_feature(sample), importance.by_group(sample)
    whole = sum(group.weight for group in groups)
    shares = [
        (title(g.name), percent(g.weight / whole if whole else None), number(g.on_frauds, 2), number(g.on_honest, 2))
        for g in groups
    ]
    rows = [(title(f.name), f.group, number(f.on_frauds, 3), number(f.on_honest, 3)) for f in features if f.weight]
    frauds = int(sample.is_fraud.sum())
    return Section(
        "reasons",
        "What the model goes by",
        f"SHAP contributions (TreeSHAP, in log-odds) of {count(frauds)} frauds and"
        f" {count(sample.is_fraud.size - frauds)} honest payments, drawn at random with a fixed seed where there are"
        f" more than {MOST_FRAUDS:,} and {MOST_HONEST:,}. With the base value they add up to each payment's margin.",
        [
            Figure(beeswarm(sample), "A dot is a payment. Red: high values of the feature, by rank; grey: not known."),
            Figure(
                plots.importance(features, plots.FEATURES_FILE),
                "Mean absolute contribution, frauds and honest payments apart.",
                Table(
                    ("feature", "group", "to frauds", "to honest payments"),
                    rows,
                    "Mean absolute contribution, every feature that has one",
                    words=(0, 1),
                ),
            ),
            Figure(
                plots.importance(groups, plots.GROUPS_FILE),
                "By group: contributions of a group's features are added up for each payment first.",
                Table(("group", "share", "to frauds", "to honest payments"), shares, "Mean absolute contribution"),
            ),
        ],
    )
