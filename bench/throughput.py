"""The whole job of bench/JOB.md, measured: a backlog as fast as it goes, then alerts' latency at a steady rate.

    python -m bench.throughput --json bench/results/throughput.json

Takes about five minutes, after some for simulating and training the first time. Ends with 1 when a run was not the job:
a payment not decided, too few alerts, a dead letter.
"""

from typing import Annotated, Any, Literal

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
from bench.world import DEPTH, TREES, World, prepare

LEAST_ALERTS_SHARE = 0.005


def main(
    payments: options.Payments = 1_000_000,
    payers: options.Payers = 200_000,
    runs: Annotated[int, typer.Option(min=1, help="Backlog runs, each with empty state.")] = 3,
    guarantee: Annotated[Literal["exactly_once", "at_least_once"], typer.Option(help="The worker's.")] = "exactly_once",
    max_batch: Annotated[int | None, typer.Option(min=1, help="The worker's; default: its own.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Payments a second of the steady run.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=2, help="Length of the steady run.")] = 60,
    skip_backlog: Annotated[bool, typer.Option("--skip-backlog", help="Only the steady run.")] = False,
    skip_steady: Annotated[bool, typer.Option("--skip-steady", help="Only the backlog runs.")] = False,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure the whole job: rate over a backlog, latency of alerts at a steady rate."""
    settings = {"guarantee": guarantee, "payments": payments, "payers": payers, "partitions": PARTITIONS}
    result: dict[str, Any] = {
        "benchmark": "throughput",
        "job": 1,
        **environment(settings | {"trees": TREES, "depth": DEPTH, "max_batch": max_batch or "the worker's default"}),
    }
    given = {"guarantee": guarantee} | ({"max-batch": max_batch} if max_batch else {})
    backlog = None if skip_backlog else prepare(cache, payments, payers, seed)
    steady = None if skip_steady else _enough(backlog, cache, round(rate * seconds), payers, seed)
    with broker() as running:
        if backlog:
            result["backlog"] = {"runs": [], "rate": {}}
            for number in range(1, runs + 1):
                figures = run_backlog(running, backlog, f"backlog{number}", given)
                result["backlog"]["runs"].append(figures)
                console.print(f"run {number}: {figures['rate']:,}/s, {figures['alerts']:,} alerts", highlight=False)
            result["backlog"]["rate"] = spread([each["rate"] for each in result["backlog"]["runs"]])
        if steady:
            result["steady"] = run_steady(running, steady, "steady", rate, seconds, given)
    show(result)
    write(result, json)
    if problems := not_the_job(result):
        raise BenchError("; ".join(problems), hint="these figures are not those of the job of bench/JOB.md")


def _enough(backlog: World | None, cache: options.Cache, needed: int, payers: int, seed: int) -> World:
    """The backlog's payments for the steady run, or others where those are too few."""
    return backlog if backlog and backlog.count >= needed else prepare(cache, needed, payers, seed)


def not_the_job(result: dict[str, Any]) -> list[str]:
    """What in a result is against bench/JOB.md."""
    problems = []
    for number, figures in enumerate(result.get("backlog", {}).get("runs", ()), 1):
        if figures["decided"] != figures["payments"]:
            problems.append(f"run {number} decided {figures['decided']:,} of {figures['payments']:,} payments")
        if figures["alerts_share"] < LEAST_ALERTS_SHARE:
            problems.append(f"run {number} flagged only {figures['alerts_share']:.2%}")
        if figures["dead_letters"]:
            problems.append(f"run {number} set {figures['dead_letters']:,} records aside")
    steady = result.get("steady")
    if steady:
        if steady["generator"]["failed"]:
            problems.append(f"{steady['generator']['failed']:,} payments of the steady run were not delivered")
        if steady["alerts_received"] != steady["alerts"]:
            problems.append(f"{steady['alerts_received']:,} of {steady['alerts']:,} alerts arrived")
        if steady["alerts_share"] < LEAST_ALERTS_SHARE:
            problems.append(f"the steady run flagged only {steady['alerts_share']:.2%}")
    return problems


if __name__ == "__main__":
    run(main)
