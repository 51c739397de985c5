"""How long an alert takes, at steady rates: from the scheduled time of a payment to its alert at a consumer.

    python -m bench.latency --json bench/results/latency.json

An open-loop generator sends at evenly spaced times and does not slow down with the system; sends that were late are
counted, and their latency with the lateness. From 5,000/s on, the share of flagged payments is raised, so
that enough alerts are measured. Takes about a quarter of an hour.
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
WARM_UP = 10_000.0
"""Payments a second of a first run that is not counted: the broker's Java is compiled by what it does."""
SPARE = 1.15
"""More alerts than wanted: the threshold's share is of payers that are unknown at their beginning."""
MOST_FLAGGED = 0.05
SLOW = 5_000.0
"""Below, the usual share is flagged: many would be of another kind of stream."""
USUAL_SHARE = 0.006


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
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds of a first run at 10,000/s that is not counted.")] = 90,
    payers: options.Payers = 200_000,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure alerts' latency at steady rates, exactly-once beside at-least-once."""
    runs = [Run(rate, guarantee) for rate in _rates(rates) for guarantee in ("exactly_once", "at_least_once")]
    most = max(WARM_UP * warm_up, *(run.rate * (DROPPED_S + seconds) for run in runs))
    world = prepare(cache, round(most), payers, seed)
    settings = {"rates": rates, "payers": payers, "partitions": PARTITIONS, "seconds": seconds, "warm_up": warm_up}
    result: dict[str, Any] = {
        "benchmark": "latency",
        "job": 1,
        **environment(settings),
        "runs": [],
    }
    problems = []
    with broker() as running:
        if warm_up:
            run_steady(running, flagging(world, USUAL_SHARE), "warm-up", WARM_UP, warm_up, {})
        for each in runs:
            flagged = flagging(world, _share(each.rate, seconds, alerts))
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


def _share(rate: float, seconds: float, alerts: int) -> float:
    """The share of payments to flag for so many alerts; no more than a worker would ever explain."""
    if rate < SLOW:
        return USUAL_SHARE
    return round(min(MOST_FLAGGED, max(USUAL_SHARE, alerts * SPARE / (rate * seconds))), 4)


if __name__ == "__main__":
    run(main)
