"""What a trained model still catches when attackers change what they control, one thing at a time and all at once.

    python -m bench.robustness [--payments 150000 --payers 8000 --seeds 5] [--json bench/results/robustness.json]

For each seed a world of its own: a model is trained on 60 days of it as they are, and its thresholds are chosen on
validation. The 20 days after are then played again and again with other shares of the campaigns adapted in one aspect:
rhythm, location, amount, timing, all four; and with frauds whose application reports nothing. Model and thresholds
stay. Takes some minutes; seeds run beside each other, one on each core.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Annotated, Any

import numpy as np
import typer

from bench import options
from bench.adapting import KNOBS, SILENT, STANDARD, STRENGTHS, Past, Version, versions
from bench.environment import environment
from bench.errors import run
from bench.figures import t_interval
from bench.results import write
from bench.tables import show
from fraudstream.progress import progress
from models.bundle import BandName, Manifest
from models.evaluation import recall_by_kind, roc
from models.history import History
from models.scoring import Scores, band_starts, scores_of
from models.training import Settings, Trained, train
from simulator.config import SimulationConfig

DAYS, TEST_DAYS = 60.0, 20.0
RATES: dict[str, BandName] = {"0.005": "high", "0.013": "elevated"}
"""False-positive rate → the score band that begins there, on validation."""

Run = dict[str, Any]


def main(
    payments: options.Payments = 150_000,
    payers: options.Payers = 8_000,
    fraud_rate: Annotated[float, typer.Option(min=0.0005, max=0.1, help="Share of fraudulent payments.")] = 0.005,
    seeds: Annotated[int, typer.Option(min=1, help="Worlds: seeds from 1 on.")] = 5,
    jobs: Annotated[int, typer.Option(min=0, help="Worlds at a time; 0: one a core.")] = 0,
    json: options.Json = None,
) -> None:
    """Measure what a fixed model catches of attackers who adapt."""
    result: Run = {
        "benchmark": "robustness",
        **environment(
            {
                "payments": payments,
                "payers": payers,
                "fraud_rate": fraud_rate,
                "seeds": seeds,
                "days": DAYS,
                "test_days": TEST_DAYS,
                "adapted_in_training": SimulationConfig.adapted,
            }
        ),
    }
    worlds = [SimulationConfig(payments, payers, fraud_rate, seed, DAYS) for seed in range(1, seeds + 1)]
    runs: list[Run] = []
    jobs = min(seeds, jobs or len(os.sched_getaffinity(0)))
    # Spawned: a fork of a process whose libraries run threads may hang.
    with progress("worlds", seeds) as advance, ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(world_of, config) for config in worlds]):
            runs += done.result()
            advance(1)
    result |= summary(sorted(runs, key=lambda each: each["seed"]))
    show(result)
    write(result, json)


def world_of(config: SimulationConfig) -> list[Run]:
    """Every version of one world's attackers, judged by a model of its past."""
    past = Past(config)
    trained = train(past.history, Settings(cutoff_ms=config.end_ms, threads=1), created_at=config.end_ms)
    booster = _booster(trained)
    found = []
    for version in versions():
        future = past.future(version, TEST_DAYS)
        margin = booster.inplace_predict(future.features, predict_type="margin")
        scores = scores_of(margin, trained.manifest.calibration, band_starts(trained.manifest.bands))
        found.append(judged(config.seed, version, future, scores, trained.manifest))
    return found


def _booster(trained: Trained) -> Any:
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(trained.model))
    return booster


def judged(seed: int, version: Version, future: History, scores: Scores, manifest: Manifest) -> Run:
    """What the model's thresholds do to one version."""
    is_fraud = future.payments["is_fraud"].to_numpy()
    starts = {band.name: band.from_score for band in manifest.bands}
    at = {}
    for rate, band in RATES.items():
        flagged = scores.score >= starts[band]
        at[rate] = {
            "recall": float(flagged[is_fraud].mean()),
            "false_positive_rate": float(flagged[~is_fraud].mean()),
            "alert_share": float(flagged.mean()),
        }
    high = scores.score >= starts[RATES["0.005"]]
    return {
        "seed": seed,
        "knob": version.knob,
        "strength": version.strength,
        "payments": len(future),
        "frauds": int(is_fraud.sum()),
        "auc": roc(scores.margin, is_fraud).auc(),
        "at": at,
        "recall_by_kind": recall_by_kind(high, future.payments),
    }


def summary(runs: Sequence[Run]) -> Run:
    """Means over the seeds with 95 % intervals: by knob and strength, against no adaptation, and by kind of attack."""
    grouped: dict[str, dict[str, list[Run]]] = {}
    for each in runs:
        grouped.setdefault(each["knob"], {}).setdefault(f"{each['strength']:g}", []).append(each)
    standard = grouped[STANDARD]["0"]
    grouped[SILENT] = {"0": standard, **grouped[SILENT]}
    return {
        "standard": _means(standard),
        "knobs": {
            knob: {f"{strength:g}": _means(grouped[knob][f"{strength:g}"]) for strength in STRENGTHS} for knob in KNOBS
        },
        "lost": {knob: {rate: _lost(grouped[knob], rate) for rate in RATES} for knob in KNOBS},
        "by_kind": {
            "standard": _by_kind(standard),
            **{knob: _by_kind(grouped[knob]["1"]) for knob in KNOBS},
        },
        "frauds": sum(each["frauds"] for each in standard),
    }


def _means(runs: Sequence[Run]) -> Run:
    names = ("recall", "false_positive_rate", "alert_share")
    figures = {rate: {name: t_interval([each["at"][rate][name] for each in runs]) for name in names} for rate in RATES}
    return {"auc": t_interval([each["auc"] for each in runs]), "at": figures}


def _lost(by_strength: Mapping[str, Sequence[Run]], rate: str) -> dict[str, float | None]:
    """Recall lost from no adaptation to full, world by world: the same customers and attacks in both."""
    pairs = zip(by_strength["0"], by_strength["1"], strict=True)
    return t_interval([none["at"][rate]["recall"] - full["at"][rate]["recall"] for none, full in pairs])


def _by_kind(runs: Sequence[Run]) -> dict[str, float]:
    """Recall at the threshold for 0.5 %, mean of the worlds in which the kind occurs."""
    kinds = sorted({kind for each in runs for kind in each["recall_by_kind"]})
    return {
        kind: float(np.mean([each["recall_by_kind"][kind] for each in runs if kind in each["recall_by_kind"]]))
        for kind in kinds
    }


if __name__ == "__main__":
    run(main)
