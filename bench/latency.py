"""How long an alert takes, at steady rates: from the scheduled time of a payment to its alert at a consumer.

    python -m bench.latency --json bench/results/latency.json

An open-loop generator sends at evenly spaced times and does not slow down with the system; sends that were late are
counted, and their latency with the lateness. The share of flagged payments is raised, so that enough alerts are
measured. Takes about a quarter of an hour.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.place import PARTITIONS, broker
from bench.results import console, write
from bench.steady import run_steady
from bench.tables import show
from bench.throughput import not_the_job
from bench.world import flagging, prepare

DROPPED_S = 30.0
SPARE = 1.15
"""More alerts than wanted: the threshold's share is of payers that are unknown at their beginning."""
MOST_FLAGGED = 0.05


@dataclass(frozen=True)
class Run:
    """One measurement."""

    rate: float
    guarantee: str

    @property
    def name(self) -> str:
        return f"{self.guarantee.replace('_', '-')}-{self.rate:.0f}"


def main(
    rates: Annotated[str, typer.Option(help="Payments a second, separated by commas.")] = "1000,5000,10000,20000",
    seconds: Annotated[float, typer.Option(min=1, help="Measured at each rate, after 30 s that are dropped.")] = 60,
    alerts: Annotated[
        int, typer.Option(min=100, help="To be measured at each rate, of those that can give them.")
    ] = 10_000,
    payers: options.Payers = 200_000,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure alerts' latency at steady rates, exactly-once beside at-least-once."""
    runs = [Run(rate, guarantee) for rate in _rates(rates) for guarantee in ("exactly_once", "at_least_once")]
    world = prepare(cache, round(max(run.rate for run in runs) * (DROPPED_S + seconds)), payers, seed)
    result: dict[str, Any] = {
        "benchmark": "latency",
        "job": 1,
        **environment({"rates": rates, "payers": payers, "partitions": PARTITIONS, "seconds": seconds}),
        "runs": [],
    }
    problems = []
    with broker() as running:
        for each in runs:
            flagged = flagging(world, _share(each.rate * seconds, alerts))
            given = {"guarantee": each.guarantee}
            figures = run_steady(running, flagged, each.name, each.rate, DROPPED_S + seconds, given, DROPPED_S)
            result["runs"].append({"guarantee": each.guarantee} | figures)
            problems += [f"{each.name}: {problem}" for problem in not_the_job({"steady": figures})]
            latency = figures["latency_ms"]
            console.print(f"{each.name}: p50 {latency['p50']:g}, p99 {latency['p99']:g}, p99.9 {latency['p99.9']:g} ms")
    show(result)
    write(result, json)
    if problems:
        raise BenchError("; ".join(problems), hint="these figures are not those of the job of bench/JOB.md")


def _rates(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BenchError(f"{text!r} are no rates", hint="write --rates 1000,5000") from None


def _share(payments: float, alerts: int) -> float:
    """The share of payments to flag for so many alerts; no more than a worker would ever explain."""
    return round(min(MOST_FLAGGED, max(0.006, alerts * SPARE / payments)), 4)


if __name__ == "__main__":
    run(main)
