"""Payments by the million, from simulating to a trained model, in bounded memory: time and peak memory of each stage.

    python -m bench.large --payments 10000000 [--json bench/results/large.json]

Every stage runs in a process of its own, so that its peak is its own. The history is written to disk day by day, turned
into features a part at a time, and trained on through XGBoost's external memory: `fraudstream simulate` and
`fraudstream train --external-memory` take the same steps. Needs about 700 bytes of disk a payment in --scratch.
"""

import json as json_format
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.processes import peak_mib
from bench.results import console, write
from bench.tables import show
from fraudstream.progress import bars

STAGES = ("simulate", "features", "train")
FRAUD_RATE = 0.003
TREES = 100
"""At most: each is a way through all payments on disk."""
SHOWN = ("auc", "average_precision", "recall_at_fpr_0.005", "recall_at_fpr_0.001")


def main(
    payments: options.Payments = 10_000_000,
    payers: Annotated[int | None, typer.Option(min=50, help="Customers; default: one for 20 payments.")] = None,
    scratch: Annotated[Path | None, typer.Option(help="Where data lie meanwhile; default: the system's place.")] = None,
    seed: options.Seed = 7,
    json: options.Json = None,
    stage: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Simulate, make features, train; report time, rate and peak memory of each."""
    payers = payers or max(50, payments // 20)
    if stage is not None:
        assert scratch is not None
        print(json_format.dumps(_measured(lambda: _STAGES[stage](scratch, payments, payers, seed))))
        return
    result: dict[str, Any] = {
        "benchmark": "large",
        **environment({"payments": payments, "payers": payers, "fraud_rate": FRAUD_RATE, "seed": seed}),
        "stages": {},
    }
    with tempfile.TemporaryDirectory(prefix="fraudstream-large-", dir=scratch) as home:
        for name in STAGES:
            figures = _in_a_process(name, Path(home), payments, payers, seed)
            result["stages"][name] = figures | {"rate": round(payments / figures["seconds"])}
            console.print(f"{name}: {figures['seconds']:,.0f} s, at most {figures['peak_rss_mib']:,.0f} MiB")
    show(result)
    write(result, json)


def _in_a_process(stage: str, home: Path, payments: int, payers: int, seed: int) -> dict[str, Any]:
    given = ("--payments", payments, "--payers", payers, "--seed", seed, "--scratch", home, "--stage", stage)
    command = [sys.executable, "-m", "bench.large", *map(str, given)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the stage {stage} ended with {done.returncode}", hint="see its message above")
    figures: dict[str, Any] = json_format.loads(done.stdout.splitlines()[-1])
    return figures


def _measured(stage: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    figures = stage()
    seconds, processor = time.perf_counter() - wall, time.process_time() - cpu
    peak = peak_mib(Path("/proc/self/status").read_text())
    return {"seconds": round(seconds, 1), "cpu_s": round(processor, 1), "peak_rss_mib": round(peak), **figures}


def _simulate(home: Path, payments: int, payers: int, seed: int) -> dict[str, Any]:
    from schemas.history import HistoryWriter
    from simulator.config import SimulationConfig
    from simulator.simulation import Simulation

    config = SimulationConfig(payments=payments, payers=payers, fraud_rate=FRAUD_RATE, seed=seed)
    with bars() as begin, HistoryWriter(home / "history") as writer:
        advance = begin("simulating", payments)
        for slot in Simulation(config).history():
            writer.write(slot.payments, slot.labels)
            advance(len(slot.payments))
    return {"disk_mib": _size(home / "history")}


def _features(home: Path, payments: int, payers: int, seed: int) -> dict[str, Any]:
    from models.featurising import featurise_to_disk
    from schemas.history import read_transactions, scan_labels

    history = home / "history"
    with bars() as begin:
        advance = begin("computing features", payments)
        featurise_to_disk(read_transactions(history), scan_labels(history), home / "features", progress=advance)
    return {"disk_mib": _size(home / "features")}


def _train(home: Path, payments: int, payers: int, seed: int) -> dict[str, Any]:
    from models.featurising import StoredHistory
    from models.training import Settings, train

    history = StoredHistory.open(home / "features")
    settings = Settings(name="large", trees=TREES, external_memory=True, scratch=home, seed=seed)
    with bars() as begin:
        manifest = train(history, settings, created_at=time.time_ns() // 1_000_000, begin=begin).manifest
    assert manifest.test is not None
    return {
        "trees": manifest.trees,
        "fitted_payments": manifest.train.payments,
        "test_frauds": manifest.test.frauds,
        **{name: manifest.metrics.get(name) for name in SHOWN},
    }


def _size(directory: Path) -> int:
    return round(sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 2**20)


_STAGES: dict[str, Callable[[Path, int, int, int], dict[str, Any]]] = {
    "simulate": _simulate,
    "features": _features,
    "train": _train,
}

if __name__ == "__main__":
    run(main)
