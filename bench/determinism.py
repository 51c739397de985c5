"""The same payments through the real worker twice, cut into batches of different sizes: the same features and scores.

    python -m bench.determinism --json bench/results/determinism.json

Features that follow from payment and payer must be identical, bit for bit. Scores also depend on entity risk, which
reaches a worker when it does: each run's payments are judged again, from the topic's bytes, with the risk that the
*other* run had recorded, and must come out as the other run's scores. Ends with 1 when anything differs.
"""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from bench import options
from bench.backlog import drain, follow, send, worker_options
from bench.comparison import compare, scores_differ
from bench.environment import environment
from bench.errors import BenchError, run
from bench.lists import load_lists
from bench.place import broker, fresh_place
from bench.readback import decisions
from bench.rejudge import Source, rejudge, source_of
from bench.results import console, write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import World, prepare
from models.bundle import Bundle
from models.scoring import Scorer
from models.tokens import Tokeniser
from stream.local_broker import LocalBroker

COLUMNS = ("transaction_id", "features_hash", "probability", "score", "risk_")


def main(
    payments: options.Payments = 200_000,
    payers: options.Payers = 200_000,
    batches: Annotated[tuple[int, int], typer.Option(help="The worker's --max-batch in the two runs.")] = (4000, 97),
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Run the same payments twice with different batch sizes, and compare everything bit for bit."""
    world = prepare(cache, payments, payers, seed)
    result: dict[str, Any] = {
        "benchmark": "determinism",
        **environment({"payments": payments, "payers": payers, "max_batch": list(batches), "seed": seed}),
    }
    with broker() as running:
        (first, first_source), (second, second_source) = (_run(running, world, max_batch) for max_batch in batches)
    comparison = compare(first, second)
    result |= asdict(comparison)
    problems = comparison.problems
    if not comparison.only_in_one and not comparison.other_payment:
        scorer, tokeniser = Scorer(Bundle.load(world.model)), Tokeniser.load(world.token_key)
        again = {
            "second_with_risk_of_first": _judged_again(second_source, first, scorer, tokeniser),
            "first_with_risk_of_second": _judged_again(first_source, second, scorer, tokeniser),
        }
        result["judged_again"] = again
        for name, counts in again.items():
            problems += [f"{n:,} {what} ({name.replace('_', ' ')})" for what, n in counts.items() if n]
    if comparison.compared != payments:
        problems.append(f"{comparison.compared:,} of {payments:,} payments were decided in both runs")
    result["problems"] = problems
    show(result)
    write(result, json)
    if problems:
        raise BenchError("; ".join(problems), hint="the engine is to give the same for the same input")
    console.print(f"all {comparison.compared:,} payments: features and scores identical")


def _run(running: LocalBroker, world: World, max_batch: int) -> tuple[pl.DataFrame, Source]:
    """Decisions of one run with fresh state, and its source topic's records."""
    with (
        tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home,
        fresh_place(running, f"batch{max_batch}") as place,
    ):
        load_lists(place, world)
        send(place, world)
        with WorkerProcess(place, Path(home), worker_options(world) | {"max-batch": max_batch}) as worker:
            follow(place, worker, world.count)
            drain(place, worker, "entities", place.topics.entity_activity)
        return decisions(place, *COLUMNS), source_of(place)


def _judged_again(source: Source, decided: pl.DataFrame, scorer: Scorer, tokeniser: Tokeniser) -> dict[str, int]:
    """How many of a run's decisions differ when the payments are judged again with that run's risk."""
    both = decided.join(rejudge(source, decided, scorer, tokeniser), on=["partition", "offset"], suffix="_2")
    return {
        "features_differ": int(both["features_hash"].ne_missing(both["features_hash_2"]).sum()),
        "scores_differ": int(scores_differ(both, "_2").sum()),
        "missing": decided.height - both.height,
    }


if __name__ == "__main__":
    run(main)
