"""The whole job of bench/JOB.md, measured: a backlog as fast as it goes, then alerts' latency at a steady rate.

    python -m bench.throughput --json bench/results/throughput.json

Exactly-once and at-least-once take turns on one broker, over the same payments, so that a slow minute of the machine
hits both. Takes about twenty minutes, after some for simulating and training the first time. Ends with 1 when a run was
not the job: a payment not decided, too few alerts, a dead letter.
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
from bench.world import DEPTH, TREES, prepare
from stream.settings import Guarantee

GUARANTEES: tuple[Guarantee, ...] = ("exactly_once", "at_least_once")
LEAST_ALERTS_SHARE = 0.005


def main(
    payments: options.Payments = 2_000_000,
    payers: options.Payers = 200_000,
    runs: Annotated[int, typer.Option(min=1, help="Backlog runs of each guarantee, each with empty state.")] = 5,
    guarantee: Annotated[Literal["both", "exactly_once", "at_least_once"], typer.Option(help="The worker's.")] = "both",
    max_batch: Annotated[int | None, typer.Option(min=1, help="The worker's; default: its own.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Payments a second of the steady runs.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=11, help="Length of each steady run.")] = 60,
    skip_backlog: Annotated[bool, typer.Option("--skip-backlog", help="Only the steady runs.")] = False,
    skip_steady: Annotated[bool, typer.Option("--skip-steady", help="Only the backlog runs.")] = False,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure the whole job: rate over a backlog, latency of alerts at a steady rate, under both guarantees."""
    names = GUARANTEES if guarantee == "both" else (guarantee,)
    settings = {"payments": payments, "payers": payers, "partitions": PARTITIONS, "rate": rate}
    result: dict[str, Any] = {
        "benchmark": "throughput",
        "job": 2,
        **environment(settings | {"trees": TREES, "depth": DEPTH, "max_batch": max_batch or "the worker's default"}),
        **{name: {} for name in names},
    }
    given = {"max-batch": max_batch} if max_batch else {}
    needed = max(0 if skip_backlog else payments, 0 if skip_steady else round(rate * seconds))
    world = prepare(cache, needed, payers, seed)
    with broker() as running:
        for number in range(1, 1 if skip_backlog else runs + 1):
            for name in names:
                figures = run_backlog(running, world, f"{_dashed(name)}-{number}", given | {"guarantee": name})
                backlog = result[name].setdefault("backlog", {"runs": []})
                backlog["runs"].append(figures)
                backlog["rate"] = spread([each["rate"] for each in backlog["runs"]])
                console.print(
                    f"run {number}, {name}: {figures['rate']:,}/s, {figures['alerts']:,} alerts", highlight=False
                )
        for name in () if skip_steady else names:
            steady = run_steady(running, world, f"{_dashed(name)}-steady", rate, seconds, given | {"guarantee": name})
            result[name]["steady"] = steady
    show(result)
    write(result, json)
    if problems := [f"{name}: {problem}" for name in names for problem in not_the_job(result[name])]:
        raise BenchError("; ".join(problems), hint="these figures are not those of the job of bench/JOB.md")


def _dashed(guarantee: Guarantee) -> str:
    return guarantee.replace("_", "-")


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
