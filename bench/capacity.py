"""How many machines a rate needs: computed from what the whole job was measured to cost, and nothing else."""

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from bench.table import Table, figure

RATES = {"UPI's mean, 8,100/s": 8_100, "a peak, 70,000/s": 70_000}
CORES = 2
"""Of one worker's machine, as measured."""
USED = 0.5
"""Of its cores at such a rate; the rest is for what comes after a failure, and for latency."""
REPLICAS = 3
PARTITIONS = 4
"""Of the source, for each worker: so many that a lost worker's share can be spread."""


def capacity(results: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Tables from the newest result of each benchmark by its name; none without the throughput."""
    measured = results.get("throughput", {}).get("exactly_once", {})
    if "backlog" not in measured or "steady" not in measured:
        return []
    runs, steady = measured["backlog"]["runs"], measured["steady"]
    worker_us, broker_us = (_median_us(runs, name) for name in ("worker_cpu_s", "broker_cpu_s"))
    steady_us = steady["worker_cpu_s"] / steady["generator"]["payments"] * 1e6

    def workers(rate: float) -> int:
        return math.ceil(rate * steady_us / 1e6 / (CORES * USED))

    costs = [
        ["a worker under a backlog", figure(worker_us)],
        [f"a worker at a steady {steady['rate']:,.0f}/s, in small steps, its start included", figure(steady_us)],
        ["the broker under a backlog, one replica", figure(broker_us)],
    ]
    rows: list[tuple[str, Callable[[int], float]]] = [
        ("cores of workers, in small steps", lambda rate: rate * steady_us / 1e6),
        ("cores of workers, in large steps", lambda rate: rate * worker_us / 1e6),
        (f"workers of {CORES} cores at {USED:.0%}", workers),
        ("and one that may fail", lambda rate: workers(rate) + 1),
        ("partitions of the source", lambda rate: PARTITIONS * workers(rate)),
        ("partitions of the topics of entities", lambda rate: workers(rate) + 1),
        (
            f"cores of brokers, {REPLICAS} replicas at {USED:.0%}",
            lambda rate: math.ceil(rate * broker_us * REPLICAS / 1e6 / USED),
        ),
    ]
    return [
        Table("Processor time, µs a payment", ["", "median"], costs),
        Table(
            "Machines",
            ["", *RATES],
            [[name, *(figure(value(rate)) for rate in RATES.values())] for name, value in rows],
        ),
    ]


def _median_us(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] / run["payments"] for run in runs) * 1e6
