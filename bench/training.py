"""Ways of training compared on simulated worlds: imbalance, constraints, small samples, and what a search should seek.

    python -m bench.training [--payments 150000 --worlds 4 --json bench/results/training.json]

Every world is simulated with a seed of its own and split by time; every way of training is measured on the same test
window of each, so differences are taken world by world. Then random parameters are measured on folds and on the test of
the first world, to see which figure on folds foretells the test.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer

from bench import options
from bench.environment import environment
from bench.errors import run
from bench.results import console, write
from bench.tables import show
from fraudstream.progress import progress
from models.bundle import Spread
from models.featurising import StoredHistory, featurise_to_disk
from models.history import History
from models.training import Settings, split, train
from models.training.folds import folds_of
from models.training.run import Trained
from models.training.spread import spread_of
from models.training.stages import quiet
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

FRAUD_RATE = 0.004
FIGURES = ("auc", "average_precision", "recall_at_fpr_0.005", "calibration_slope", "brier_skill")
FORETOLD = "recall_at_fpr_0.005"
FORETELLERS = ("average_precision", "recall_at_fpr_0.005", "auc")
SMALL, SMALL_VALIDATION = 0.3, 0.5
WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "imbalance: weights": {"imbalance": "weights"},
    "imbalance: SMOTE": {"imbalance": "smote"},
    "no constraints": {"constraints": False},
}
SMALL_WAYS: dict[str, dict[str, Any]] = {"little data": {}, "little data, no constraints": {"constraints": False}}
"""From the last 30 % of the payments before the cutoff, half of them to fit on and half to validate on."""


def main(
    payments: options.Payments = 150_000,
    payers: options.Payers = 6_000,
    worlds: Annotated[int, typer.Option(min=2, help="Worlds, each with a seed of its own.")] = 4,
    draws: Annotated[int, typer.Option(min=0, help="Random parameters to compare figures on folds with.")] = 12,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0: all cores.")] = 0,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Compare ways of training, world by world."""
    base = Settings(threads=threads)
    result: dict[str, Any] = {
        "benchmark": "training",
        **environment({"payments": payments, "payers": payers, "fraud_rate": FRAUD_RATE, "worlds": worlds}),
    }
    measured: dict[str, list[Mapping[str, float]]] = {}
    for seed in range(1, worlds + 1):
        history = _world(cache.expanduser(), payments, payers, seed)
        late = replace(base, start_ms=_start_of_last(history, base, SMALL), validation_share=SMALL_VALIDATION)
        for settings, ways in ((base, WAYS), (late, SMALL_WAYS)):
            for name, changes in ways.items():
                found = _train(history, replace(settings, **changes)).evaluation.metrics
                measured.setdefault(name, []).append(found)
                console.print(f"world {seed}, {name}: average precision {found['average_precision']:.4f}")
    result["ways"] = {name: _spreads(found) for name, found in measured.items()}
    result["gains"] = {
        name: _gains(found, measured["little data" if name in SMALL_WAYS else "as it is"])
        for name, found in measured.items()
        if name not in ("as it is", "little data")
    }
    if draws:
        result["foretelling"] = _foretelling(_world(cache.expanduser(), payments, payers, 1), base, draws)
    show(result)
    write(result, json)


def _world(cache: Path, payments: int, payers: int, seed: int) -> History:
    """A simulated history with its features, kept between runs of the same build."""
    from models.jit import CACHE_DIRECTORY

    home = cache / f"training-{CACHE_DIRECTORY.name}-{payments}-{payers}-{FRAUD_RATE:g}-{seed}"
    if not home.exists():
        config = SimulationConfig(payments=payments, payers=payers, fraud_rate=FRAUD_RATE, seed=seed)
        slots = list(Simulation(config).history())
        labels = pl.concat([slot.labels for slot in slots]).lazy()
        fresh = home.with_name(f".{home.name}.fresh")
        with progress("computing features", payments) as advance:
            featurise_to_disk((slot.payments for slot in slots), labels, fresh, progress=advance)
        fresh.rename(home)
    return StoredHistory.open(home)


def _train(history: History, settings: Settings) -> Trained:
    with progress("growing trees", settings.trees) as advance:
        return train(history, settings, created_at=1, progress=advance)


def _start_of_last(history: History, settings: Settings, share: float) -> int:
    """When the last share of the payments before the cutoff begins."""
    parts = split(history, settings)
    before = np.concatenate([parts.train, parts.validation])
    return int(history.payments["event_time"][int(before[round((1 - share) * before.size)])])


def _spreads(found: list[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    return {name: _plain(spread_of([each[name] for each in found])) for name in FIGURES}


def _gains(found: list[Mapping[str, float]], base: list[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    pairs = list(zip(found, base, strict=True))
    return {name: _plain(spread_of([mine[name] - theirs[name] for mine, theirs in pairs])) for name in FIGURES}


def _plain(spread: Spread) -> dict[str, Any]:
    return {"mean": spread.mean, "low": spread.low, "high": spread.high, "values": list(spread.values)}


def _foretelling(history: History, base: Settings, draws: int) -> dict[str, float]:
    """Rank correlation of each figure's mean over folds with the test's recall, over random parameters."""
    random = np.random.default_rng(1)
    on_folds: dict[str, list[float]] = {name: [] for name in FORETELLERS}
    on_test = []
    with folds_of(history, base, "none", quiet) as folds:
        for draw in range(draws):
            settings = replace(
                base,
                depth=int(random.integers(2, 10)),
                learning_rate=float(10 ** random.uniform(-1.7, -0.3)),
                min_child_weight=float(10 ** random.uniform(-1, 2)),
                colsample_bytree=float(random.uniform(0.2, 1)),
                reg_lambda=float(10 ** random.uniform(-1, 2)),
            )
            figures = [fold.figures(settings) for fold in folds]
            for name in FORETELLERS:
                on_folds[name].append(float(np.mean([each[name] for each in figures])))
            on_test.append(_train(history, settings).evaluation.metrics[FORETOLD])
            console.print(f"draw {draw + 1} of {draws}: {FORETOLD} {on_test[-1]:.4f}")
    return {name: _rank_correlation(values, on_test) for name, values in on_folds.items()}


def _rank_correlation(left: list[float], right: list[float]) -> float:
    """Spearman's, ties sharing their mean rank."""
    first, second = (pl.Series(values).rank("average").to_numpy() for values in (left, right))
    return float(np.corrcoef(first, second)[0, 1])


if __name__ == "__main__":
    run(main)
