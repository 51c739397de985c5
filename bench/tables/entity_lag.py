"""Tables of entity features live against offline."""

from collections.abc import Iterator

from bench.results import Result
from bench.table import Table, figure


def entity_lag(result: Result) -> Iterator[Table]:
    """Entity features and scores at each rate."""
    runs = {f"{run['rate']:,.0f}/s": run for run in result["runs"]}
    about = (
        ("minutes of the world's time that pass in a second", "world_minutes_a_second"),
        ("verdicts told", "verdicts"),
        ("payments sent more than 5 ms late", "late"),
        ("payments not committed when the last was sent", "lag_at_end"),
    )
    rows = [[text, *(figure(run[name]) for run in runs.values())] for text, name in about]
    for text, name in (("an entity feature", "entity"), ("another feature", "other")):
        counts = [run["features"][f"any_{name}_feature_differs"] for run in runs.values()]
        rows.append([f"payments in which {text} differs", *map(figure, counts)])
    yield Table(f"{result['settings']['payments']:,} payments published at each rate", ["", *runs], rows)
    columns = ("equal", "known_live_only", "known_offline_only", *(f"difference_{k}" for k in ("mean", "p99", "max")))
    head = ["", "equal", "known live only", "offline only", "mean offline", "difference: mean", "p99", "largest"]
    for rate, run in runs.items():
        rows = []
        for name, each in run["features"]["features"].items():
            shares = [f"{each[column]:.2%}" for column in columns[:3]]
            rows.append([name, *shares, figure(each["mean"]), *(figure(each[column]) for column in columns[3:])])
        yield Table(f"Entity features at {rate}, live against offline", head, rows)
    yield _entity_lag_scores({rate: run["scores"] for rate, run in runs.items()})


def _entity_lag_scores(runs: dict[str, Result]) -> Table:
    rows = [
        [text, *(figure(scores[name]) for scores in runs.values())]
        for text, name in (
            ("payments", "payments"),
            ("share with the same probability", "equal"),
            ("difference of probability: mean", "difference_mean"),
            ("99th percentile", "difference_p99"),
            ("99.9th percentile", "difference_p99.9"),
            ("largest", "difference_max"),
            ("flagged in both", "flagged_in_both"),
            ("flagged live only", "flagged_live_only"),
            ("flagged offline only", "flagged_offline_only"),
        )
    ]
    for text, name in (
        ("frauds", "frauds"),
        ("frauds alerted", "frauds_alerted"),
        ("AUC", "auc"),
        ("average precision", "average_precision"),
        ("recall at 0.5 % false positives", "recall_at_fpr_0.005"),
        ("recall at 1.3 % false positives", "recall_at_fpr_0.013"),
    ):
        both = [[figure(scores["quality"][side].get(name)) for side in ("live", "offline")] for scores in runs.values()]
        rows.append([f"{text}: live / offline", *(" / ".join(sides) for sides in both)])
    return Table("Scores of the payments after the model's training", ["", *runs], rows)
