"""Attacks never seen in training: each kind left out of it in turn, with and without the second opinion.

    python -m bench.unseen --seeds 1 --seeds 2 --seeds 3 --json bench/results/unseen.json

A kind that is left out begins at the cutoff: its payments before it are taken out of the history before any feature is
computed, so that neither they nor their verdicts are in training, in payers' records or in entity risk. A model with a
second opinion is trained on what is left, and everything after the cutoff is judged, as it came. Recall is that on the
left-out kind where exactly so many honest payments are flagged, in all: by the model alone, and by both, of which the
second opinion has its share of them. Beside it stands what a model does that has seen the kind.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.results import console, write
from bench.tables import show
from models.bundle import write_bundle
from models.contrast import ContrastSettings
from models.engine import DUPLICATE
from models.history import featurise
from models.scoring import Scorer
from models.training import Settings, train
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

FALSE_POSITIVE_RATE = 0.013
"""Of the honest payments, in all."""
SHARES = (0.2, 0.4, 0.6, 0.8)
"""Other shares of it for the second opinion, to compare with."""
BEFORE_CUTOFF, WARM_UP = 0.7, 0.1
"""Shares of the payments: before the cutoff, and those of them that only make up a past."""

Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A simulated history: payments in order, their labels, and where training ends."""

    payments: pl.DataFrame
    labels: pl.DataFrame
    start: int
    cutoff: int


@dataclass(frozen=True)
class Judged:
    """Test payments as a model judges them; arrays are (n,)."""

    kind: NDArray[np.str_]
    is_fraud: Flags
    model: Scores
    second: Scores
    deployed: Flags
    """Flagged at the bundle's own two thresholds, which were set on validation."""


def main(
    payments: options.Payments = 200_000,
    payers: options.Payers = 10_000,
    fraud_rate: Annotated[float, typer.Option(min=1e-4, max=0.5, help="Share of fraudulent payments.")] = 0.01,
    seeds: Annotated[list[int] | None, typer.Option(min=0, help="A world each; repeatable. Default: 1.")] = None,
    kinds: Annotated[list[str] | None, typer.Option(help="Only these kinds; repeatable. Default: all.")] = None,
    second_share: Annotated[
        float, typer.Option(min=0.05, max=0.95, help="Share of the false positives that is the second opinion's.")
    ] = 0.4,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0: all cores.")] = 0,
    json: options.Json = None,
) -> None:
    """Leave each kind of attack out of training in turn, and measure how many of its payments are flagged."""
    seeds = seeds or [1]
    settings = {"payments": payments, "payers": payers, "fraud_rate": fraud_rate, "seeds": seeds}
    result: dict[str, Any] = {
        "benchmark": "unseen",
        **environment({**settings, "second_share": second_share, "false_positive_rate": FALSE_POSITIVE_RATE}),
        "runs": [],
    }
    for seed in seeds:
        world = simulated(SimulationConfig(payments, payers, fraud_rate=fraud_rate, seed=seed))
        found = sorted(world.labels.filter("is_fraud", pl.col("event_time") >= world.cutoff)["kind"].unique())
        if unknown := sorted(set(kinds or []) - set(found)):
            raise BenchError(
                f"no payment is of the kind {', '.join(unknown)}", hint=f"after the cutoff there are {', '.join(found)}"
            )
        seen = judged(world, None, second_share, threads)
        for kind in kinds or found:
            row = measured(judged(world, kind, second_share, threads), seen, kind, second_share)
            result["runs"].append({"seed": seed, "kind": kind, **row})
            console.print(f"seed {seed}, {kind}: {row['alone']:.1%} → {row['both']:.1%}", highlight=False)
    result |= summary(result["runs"])
    show(result)
    write(result, json)


def simulated(config: SimulationConfig) -> World:
    """A history to leave kinds out of."""
    slots = list(Simulation(config).history())
    payments = pl.concat([slot.payments for slot in slots]).sort("event_time", "transaction_id")
    labels = pl.concat([slot.labels for slot in slots])
    times = payments["event_time"]
    start, cutoff = (int(times[int(share * payments.height)]) for share in (WARM_UP, BEFORE_CUTOFF))
    return World(payments, labels, start, cutoff)


def without(world: World, kind: str | None) -> World:
    """The same history with a kind that begins at the cutoff."""
    if kind is None:
        return world
    early = world.labels.filter("is_fraud", pl.col("kind") == kind, pl.col("event_time") < world.cutoff)
    return World(
        world.payments.join(early, on="transaction_id", how="anti", maintain_order="left"),
        world.labels.join(early, on="transaction_id", how="anti", maintain_order="left"),
        world.start,
        world.cutoff,
    )


def judged(world: World, kind: str | None, second_share: float, threads: int) -> Judged:
    """Train with a kind left out (None: with all), and judge everything from the cutoff on."""
    left = without(world, kind)
    history = featurise(left.payments, left.labels)
    settings = Settings(
        name="unseen",
        start_ms=world.start,
        cutoff_ms=world.cutoff,
        alert_false_positive_rate=FALSE_POSITIVE_RATE * (1 - second_share),
        second_opinion=ContrastSettings(false_positive_rate=FALSE_POSITIVE_RATE * second_share),
        threads=threads,
    )
    trained = train(history, settings, created_at=time.time_ns() // 1_000_000)
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
        scorer = Scorer(write_bundle(Path(home) / "bundle", trained.manifest, trained.model, trained.extra))
    rows = np.flatnonzero(
        (history.payments["event_time"].to_numpy() >= world.cutoff) & ((history.status & DUPLICATE) == 0)
    )
    scores, second = scorer.score(history.features[rows]), scorer.second_score(history.features[rows])
    margin = scorer.second_margin(history.features[rows])
    about = trained.manifest.second_opinion
    assert second is not None
    assert about is not None
    assert margin is not None
    return Judged(
        kind=history.payments["kind"].to_numpy()[rows].astype(np.str_),
        is_fraud=history.payments["is_fraud"].to_numpy()[rows],
        model=scores.margin.astype(np.float64),
        second=margin.astype(np.float64),
        deployed=(scores.score >= trained.manifest.alert_score) | (second >= about.alert_score),
    )


def measured(left_out: Judged, seen: Judged, kind: str, second_share: float) -> dict[str, Any]:
    """Recall on a kind: seen in training; left out, by the model alone, by both; at the bundle's own thresholds."""
    mine, honest = left_out.is_fraud & (left_out.kind == kind), ~left_out.is_fraud
    known = seen.is_fraud & (seen.kind == kind)
    return {
        "frauds": int(mine.sum()),
        "seen": _share(flagged(seen, 0.0)[known]),
        "alone": _share(flagged(left_out, 0.0)[mine]),
        "both": _share(flagged(left_out, second_share)[mine]),
        "by_share": {f"{share:g}": _share(flagged(left_out, share)[mine]) for share in SHARES},
        "deployed": _share(left_out.deployed[mine]),
        "deployed_false_positive_rate": _share(left_out.deployed[honest]),
    }


def flagged(judged: Judged, second_share: float) -> Flags:
    """What is flagged where so many honest payments are as the rate allows, the second opinion having its share."""
    honest = ~judged.is_fraud
    allowed = int(FALSE_POSITIVE_RATE * honest.sum())
    by_model = judged.model > _nth_highest(judged.model[honest], round(allowed * (1 - second_share)))
    if not second_share:
        return by_model
    left = allowed - int((by_model & honest).sum())
    return by_model | (judged.second > _nth_highest(judged.second[honest & ~by_model], left))


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """By kind, over all seeds' frauds together; then mean and minimum over the kinds."""
    kinds = sorted({run["kind"] for run in runs})
    by_kind = {kind: _pooled([run for run in runs if run["kind"] == kind]) for kind in kinds}
    columns = ("seen", "alone", "both", "deployed")
    shares = {share: [row["by_share"][share] for row in by_kind.values()] for share in runs[0]["by_share"]}
    over_kinds = {name: _spread([row[name] for row in by_kind.values()]) for name in columns}
    return {
        "by_kind": by_kind,
        "over_kinds": over_kinds,
        "over_kinds_by_share": {share: _spread(recalls) for share, recalls in shares.items()},
        "deployed_false_positive_rate": _spread([run["deployed_false_positive_rate"] for run in runs]),
    }


def _pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One kind's recalls, each seed weighted by its frauds."""
    frauds = [run["frauds"] for run in runs]

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=frauds)) if sum(frauds) else 0.0

    recalls = {name: mean([run[name] for run in runs]) for name in ("seen", "alone", "both", "deployed")}
    shares = {share: mean([run["by_share"][share] for run in runs]) for share in runs[0]["by_share"]}
    return {"frauds": sum(frauds), **recalls, "by_share": shares}


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "lowest": min(values), "highest": max(values)}


def _nth_highest(values: Scores, n: int) -> float:
    """The value that n of the values lie above."""
    return float(np.partition(values, values.size - 1 - n)[values.size - 1 - n])


def _share(flags: Flags) -> float:
    return float(flags.mean()) if flags.size else 0.0


if __name__ == "__main__":
    run(main)
