"""Exactly-once beside at-least-once in one run: the whole job's rate over a backlog, alerts' latency at a steady rate.

    python -m bench.guarantees --json bench/results/guarantees.json

The runs of both take turns on one broker, over the same payments, so that a slow minute of the machine hits both.
"""

from typing import Annotated, Any

import typer

from bench import options
from bench.backlog import run_backlog
from bench.environment import environment
from bench.errors import BenchError, run
from bench.figures import spread
from bench.place import PARTITIONS, broker
from bench.results import console, write
from bench.steady import run_steady
from bench.tables import show
from bench.throughput import not_the_job
from bench.world import prepare

GUARANTEES = ("exactly_once", "at_least_once")


def main(
    payments: options.Payments = 1_000_000,
    payers: options.Payers = 200_000,
    runs: Annotated[int, typer.Option(min=1, help="Backlog runs of each guarantee.")] = 3,
    rate: Annotated[float, typer.Option(min=1, help="Payments a second of the steady runs.")] = 5_000,
    seconds: Annotated[float, typer.Option(min=11, help="Length of each steady run.")] = 40,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure both guarantees side by side."""
    world = prepare(cache, max(payments, round(rate * seconds)), payers, seed)
    result: dict[str, Any] = {
        "benchmark": "guarantees",
        "job": 1,
        **environment({"payments": payments, "payers": payers, "partitions": PARTITIONS, "rate": rate}),
        **{name: {"backlog": {"runs": []}} for name in GUARANTEES},
    }
    with broker() as running:
        for number in range(1, runs + 1):
            for name in GUARANTEES:
                figures = run_backlog(running, world, f"{name.replace('_', '-')}-{number}", {"guarantee": name})
                result[name]["backlog"]["runs"].append(figures)
                console.print(f"run {number}, {name}: {figures['rate']:,}/s")
        for name in GUARANTEES:
            result[name]["backlog"]["rate"] = spread([each["rate"] for each in result[name]["backlog"]["runs"]])
            place = f"{name.replace('_', '-')}-steady"
            result[name]["steady"] = run_steady(running, world, place, rate, seconds, {"guarantee": name})
    show(result)
    write(result, json)
    if problems := [f"{name}: {problem}" for name in GUARANTEES for problem in not_the_job(result[name])]:
        raise BenchError("; ".join(problems), hint="these figures are not those of the job of bench/JOB.md")


if __name__ == "__main__":
    run(main)
