"""Seeds put together: means with 95 % intervals over the seeds, counts added up, curves with their range."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.figures import t_interval, wilson
from bench.model.contestants import CONTESTANTS

Seeds = Sequence[Mapping[str, Any]]

STRONGEST = 5
"""Features named with their AUC."""


def summary(seeds: Seeds) -> dict[str, Any]:
    """Models by name, and the features that tell most by themselves."""
    return {
        "models": {name: _model(name, [seed["models"][name] for seed in seeds]) for name in seeds[0]["models"]},
        "strongest_features": _strongest([seed["features"] for seed in seeds]),
    }


def _model(name: str, runs: Seeds) -> dict[str, Any]:
    return {
        "title": CONTESTANTS[name][0],
        "metrics": {metric: _interval([run["metrics"][metric] for run in runs]) for metric in runs[0]["metrics"]},
        "kinds": _kinds([run["kinds"] for run in runs]),
        "recall": _band([run["recall"] for run in runs]),
        "precision": _band([run["precision"] for run in runs]),
        "reliability": {
            part: np.sum([run["reliability"][part] for run in runs], axis=0).tolist()
            for part in ("payments", "expected", "frauds")
        },
        "seconds": _interval([run["seconds"] for run in runs]),
    }


def _interval(values: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {**t_interval(values)}
    shown = {key: None if value is None else round(value, 6) for key, value in found.items()}
    return shown | {"values": [None if np.isnan(value) else round(float(value), 6) for value in values]}


def _kinds(runs: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, dict[str, Any]]:
    """Kind → frauds and caught of all seeds together, recall with Wilson's interval."""
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted({kind for run in runs for kind in run}):
        caught, frauds = (sum(run.get(kind, (0, 0))[place] for run in runs) for place in (0, 1))
        low, high = wilson(caught, frauds) or (None, None)
        found[kind] = {"frauds": frauds, "caught": caught, "recall": caught / frauds, "low": low, "high": high}
    return found


def _band(runs: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """Mean, lowest and highest of the seeds at each place of a grid."""
    stacked = np.array(runs)
    parts = {"mean": stacked.mean(axis=0), "lowest": stacked.min(axis=0), "highest": stacked.max(axis=0)}
    return {name: [round(float(value), 5) for value in values] for name, values in parts.items()}


def _strongest(runs: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """The features with the highest mean AUC, highest first."""
    found = [{"feature": name, **_interval([run[name] for run in runs])} for name in runs[0]]
    return sorted(found, key=lambda each: -(each["mean"] or 0))[:STRONGEST]
