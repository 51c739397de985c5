"""One seed: a world's history, every contestant fitted on its past and judged on its last days."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.model.contestants import CONTESTANTS, Fitted, Material
from bench.model.protocol import Protocol
from bench.model.settings import ModelSettings
from bench.model.worlds import config_of, history_of
from models.catalogue import FEATURE_NAMES
from models.evaluation import evaluate, feature_auc, roc
from models.history import History
from models.scoring import Scores, scores_of
from models.training import split

PAPER_FALSE_POSITIVE_RATE = 0.038
"""Where the paper states its rules' recall."""
KINDS_FALSE_POSITIVE_RATE = 0.005
"""At which recall by kind of attack is counted."""
FPR_GRID = tuple(float(rate) for rate in np.geomspace(1e-4, 0.1, 61))
RECALL_GRID = tuple(float(recall) for recall in np.linspace(0.02, 1, 50))
PROBABILITY_EDGES = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
"""Between which payments are counted together for the calibration curve."""
NO_BANDS = np.empty(0, dtype=np.int16)

Flags = NDArray[np.bool_]


def judge_seed(
    protocol: Protocol, seed: int, given: ModelSettings, names: Sequence[str], cache: Path, say: Callable[[str], object]
) -> dict[str, Any]:
    """Figures of one seed, of world and models alike; see `judge` for each contestant's."""
    began = time.monotonic()
    history = history_of(config_of(protocol, seed), cache)
    say(f"seed {seed}: {len(history):,} payments with features after {time.monotonic() - began:.0f} s")
    settings = protocol.settings(seed, **given["champion"])
    material = Material(history, split(history, settings), settings, created_at=time.time_ns() // 1_000_000)
    test = material.parts.test
    payments = history.payments[test]
    found: dict[str, Any] = {"seed": seed, **_about(material), "features": _features(history, test), "models": {}}
    for name in names:
        began = time.monotonic()
        fitted = CONTESTANTS[name][1](material, given.get(name, {}))
        found["models"][name] = judge(fitted, history.features[test], payments)
        seconds = round(time.monotonic() - began, 1)
        found["models"][name]["seconds"] = seconds
        figures = found["models"][name]["metrics"]
        say(
            f"seed {seed}, {CONTESTANTS[name][0]}: AUC {figures['auc']:.4f},"
            f" recall at 0.5 % {figures['recall_at_fpr_0.005']:.3f}, {seconds:g} s"
        )
    return found


def judge(fitted: Fitted, features: NDArray[np.float32], payments: pl.DataFrame) -> dict[str, Any]:
    """What there is to say of a model's scores of the test payments: metrics, counts by kind, and the curves."""
    is_fraud = payments["is_fraud"].to_numpy()
    scores = scores_of(fitted.margins(features), fitted.calibration, NO_BANDS)
    curve = roc(scores.margin, is_fraud)
    metrics = evaluate(scores, payments, fitted.alert_score).metrics
    rank = np.searchsorted(curve.recall, RECALL_GRID, side="left")
    return {
        "metrics": metrics | {f"recall_at_fpr_{PAPER_FALSE_POSITIVE_RATE}": curve.recall_at(PAPER_FALSE_POSITIVE_RATE)},
        "kinds": caught_by_kind(scores.margin, payments, KINDS_FALSE_POSITIVE_RATE),
        "recall": [curve.recall_at(rate) for rate in FPR_GRID],
        "precision": [float(curve.precision[min(place, curve.precision.size - 1)]) for place in rank],
        "reliability": reliability(scores, is_fraud),
    }


def caught_by_kind(margin: NDArray[np.floating], payments: pl.DataFrame, rate: float) -> dict[str, list[int]]:
    """Kind → frauds flagged and frauds, where no more than this share of the honest payments is flagged."""
    is_fraud = payments["is_fraud"].to_numpy()
    honest = np.sort(margin[~is_fraud])[::-1]
    flagged = margin > honest[int(rate * honest.size)]
    frauds = payments.select("is_fraud", "kind").with_columns(flagged=pl.Series(flagged)).filter("is_fraud")
    counted = frauds.group_by("kind").agg(pl.col("flagged").sum(), pl.len()).sort("kind")
    return {kind or "unnamed": [int(flagged), int(total)] for kind, flagged, total in counted.iter_rows()}


def reliability(scores: Scores, is_fraud: Flags) -> dict[str, list[float]]:
    """Per step between `PROBABILITY_EDGES`: payments, frauds expected by their probabilities, frauds."""
    probability = scores.probability.astype(np.float64)
    step = np.clip(np.searchsorted(PROBABILITY_EDGES, probability, side="right") - 1, 0, len(PROBABILITY_EDGES) - 2)
    counted = (None, probability, is_fraud.astype(np.float64))
    payments, expected, frauds = (np.bincount(step, each, len(PROBABILITY_EDGES) - 1).tolist() for each in counted)
    return {"payments": payments, "expected": expected, "frauds": frauds}


def _features(history: History, test: NDArray[np.int64]) -> dict[str, float]:
    """Each feature's own AUC on the test payments."""
    is_fraud = history.payments["is_fraud"].to_numpy()[test]
    return {name: feature_auc(history.features[test, i], is_fraud) for i, name in enumerate(FEATURE_NAMES)}


def _about(material: Material) -> dict[str, Mapping[str, int]]:
    """How many payments and frauds lie in each part, and how many of the test's nobody will ever know of."""
    parts, payments = material.parts, material.history.payments
    is_fraud = payments["is_fraud"].to_numpy()
    never = is_fraud & payments["known_at"].is_null().to_numpy()
    return {
        name: {
            "payments": int(rows.size),
            "frauds": int(is_fraud[rows].sum()),
            "known": int(parts.is_known_fraud[rows].sum()),
            "never_known": int(never[rows].sum()),
        }
        for name, rows in (("train", parts.train), ("validation", parts.validation), ("test", parts.test))
    }
