"""A replay with two candidates beside the champion: payments a second and memory, from a topic and from Parquet.

    python -m bench.backtest --json bench/results/backtest.json

The payments are those of the whole job (bench/JOB.md), five million of them, published once to a topic of four
partitions. `fraudstream backtest` judges all of them by three models, keeps the features, and ends with the comparison.
The rate is payments divided by the time from its first look at the source to the last line of scores.parquet; start,
comparison and page are told apart. Memory is the peak of its one process.
"""

import json as json_format
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import options
from bench.environment import environment
from bench.errors import run
from bench.place import Place, broker, fresh_place
from bench.replay import publish_all
from bench.results import console, write
from bench.tables import show
from bench.world import World, fraudstream, made, prepare

CANDIDATES = {"deeper": ("--trees", 300, "--depth", 6), "smaller": ("--trees", 200, "--depth", 4)}
"""Beside the champion of 300 trees of depth 5."""


def main(
    payments: options.Payments = 5_000_000,
    payers: options.Payers = 200_000,
    runs: Annotated[int, typer.Option(min=1, help="Replays of each source, in turns.")] = 2,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Replay a topic and the same payments as Parquet, with a champion and two candidates."""
    world = prepare(cache, payments, payers)
    bundles = [world.model, *(_candidate(world, name) for name in CANDIDATES)]
    settings = {"payments": payments, "payers": payers, "runs": runs, "models": len(bundles)}
    result: dict[str, Any] = {"benchmark": "backtest", **environment(settings), "topic": [], "parquet": []}
    with broker() as running, fresh_place(running, "backtest") as place:
        publish_all(place, world.payments, payments)
        for _ in range(runs):
            for name, source in (("topic", _topic(place, world)), ("parquet", ("--data", world.payments))):
                figures = _replayed(bundles, source, world)
                result[name].append(figures)
                console.print(f"{name}: {figures['rate']:,}/s, at most {figures['peak_rss_mib']:,.0f} MiB")
    show(result)
    write(result, json)


def _candidate(world: World, name: str) -> Path:
    bundle = world.model.with_name(f"candidate-{name}")
    train = ("train", "--data", world.history, "--name", name, "--no-early-stopping", "--no-report")
    made(bundle, lambda at: fraudstream(*train, *CANDIDATES[name], "--out", at))
    return bundle


def _topic(place: Place, world: World) -> tuple[object, ...]:
    return (
        *("--bootstrap-servers", place.kafka.bootstrap_servers, "--topic-prefix", place.prefix),
        *("--labels", world.payments),
    )


def _replayed(bundles: list[Path], source: tuple[object, ...], world: World) -> dict[str, Any]:
    """One replay, in a process of its own."""
    champion, *candidates = bundles
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
        out = Path(home, "out")
        given: tuple[object, ...] = ("backtest", "--model", champion)
        given += tuple(part for path in candidates for part in ("--candidate", path))
        given += (*source, "--token-key-file", world.token_key, "--out", out)
        spent = fraudstream(*given)
        told = json_format.loads((out / "run.json").read_bytes())
        kept = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return {
        "payments": told["payments"],
        "seconds": told["seconds"],
        "rate": round(told["payments"] / told["seconds"]),
        "whole_command_seconds": spent.seconds,
        "cpu_s": spent.cpu_s,
        "peak_rss_mib": spent.peak_rss_mib,
        "kept_mib": round(kept / 2**20, 1),
    }


if __name__ == "__main__":
    run(main)
