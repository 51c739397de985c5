"""What a payment costs as the payers, the partitions and the workers become more.

    python -m bench.scale --json bench/results/scale.json

A small world is cloned: each of its payers stands for many, who have the same history, device and habits under names of
their own. Their records lie on the changelog, and a worker restores them and is stopped when its database has
come to rest. Started again, it judges a backlog of payments by payers chosen at random from all: with more payers than
rows in memory, most records come from disk. Takes about a quarter of an hour, 10 million payers need some 20 GB of
disk.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

import numpy as np
import polars as pl
import typer
from confluent_kafka import Producer

from bench import options
from bench.backlog import follow, worker_options
from bench.changelog import TIMEOUT_S, Records, fill, produce, records_after
from bench.environment import environment
from bench.errors import BenchError, run
from bench.lists import load_lists
from bench.place import PARTITIONS, Place, broker, fresh_place
from bench.processes import Usage
from bench.results import console, write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import World, prepare
from fraudstream.progress import progress
from models.batch import from_frame
from models.keys import TOKEN_BYTES
from models.tokens import Tokeniser
from simulator.encode import encode
from stream.local_broker import LocalBroker
from stream.settings import StateSettings

BASE_PAYERS = 10_000
HISTORY = 100_000
"""Payments of the small world that make its payers' records."""
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
MIDDLE = 100_000
PARTITION_COUNTS = (1, 4, 16, 64)
STEP = 20_000
REST_S = 3.0
RESTING_CORES = 0.2
"""Of all workers: one without work uses a few hundredths."""


@dataclass(frozen=True)
class Shape:
    """What one run has."""

    payers: int
    partitions: int = PARTITIONS
    workers: int = 1

    @property
    def name(self) -> str:
        return f"scale-{self.payers}-{self.partitions}-{self.workers}"


def main(
    payers: Annotated[list[int] | None, typer.Option(help="Payers; repeat for more sizes.")] = None,
    partitions: Annotated[list[int] | None, typer.Option(help="Partitions of the topic; repeat for more.")] = None,
    payments: options.Payments = 400_000,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure the cost of a payment over payers, partitions and workers."""
    sizes, counts = payers or list(SIZES), partitions or list(PARTITION_COUNTS)
    shapes = [Shape(size) for size in sizes]
    shapes += [Shape(min(MIDDLE, max(sizes)), count) for count in counts]
    shapes.append(Shape(min(MIDDLE, max(sizes)), PARTITIONS, workers=2))
    small = SmallWorld(prepare(cache, HISTORY + payments, BASE_PAYERS, seed))
    arena = StateSettings(Path()).arena_rows
    result: dict[str, Any] = {
        "benchmark": "scale",
        **environment({"payments": payments, "arena_rows": arena, "record_bytes": small.record_bytes}),
        "runs": [],
    }
    with broker() as running:
        for shape in dict.fromkeys(shapes):
            result["runs"].append(measure(running, small, shape))
            console.print(f"{shape.name}: {result['runs'][-1]['rate']:,}/s", highlight=False)
    show(result)
    write(result, json)


class SmallWorld:
    """The world that is cloned: its payers' records after their history, and what they pay afterwards."""

    def __init__(self, world: World) -> None:
        self.world = world
        everything = pl.concat(world.frames())
        history, self.payments = everything.head(HISTORY), everything.slice(HISTORY)
        self.tokeniser = Tokeniser.load(world.token_key)
        self.records = records_after(from_frame(history, self.tokeniser))
        self.payers = history["payer"].unique(maintain_order=True).to_list()
        self.record_bytes = round(float(np.mean([len(record) for record in self.records])))

    def clones(self, payers: int) -> Iterator[tuple[list[str], list[bytes]]]:
        """Names and records of so many payers, in parts."""
        for first in range(0, payers, STEP):
            numbers = range(first, min(payers, first + STEP))
            names = [_clone(self.payers[n % len(self.payers)], n // len(self.payers)) for n in numbers]
            yield names, [self.records[n % len(self.payers)] for n in numbers]

    def backlog(self, payers: int) -> Iterator[pl.DataFrame]:
        """The payments after the history, each by a clone of its payer chosen at random."""
        chosen = np.random.default_rng(payers).integers(0, max(1, payers // len(self.payers)), self.payments.height)
        names = [_clone(payer, n) for payer, n in zip(self.payments["payer"].to_list(), chosen.tolist(), strict=True)]
        return self.payments.with_columns(pl.Series("payer", names)).iter_slices(STEP)


def _clone(payer: str, number: int) -> str:
    return f"{number}.{payer}"


def measure(running: LocalBroker, small: SmallWorld, shape: Shape) -> dict[str, Any]:
    """One run with everything fresh; returns its figures."""
    with (
        fresh_place(running, shape.name, shape.partitions, shape.workers) as place,
        tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as directory,
    ):
        load_lists(place, small.world)
        fill(place, steps(small, shape), shape.payers)
        homes = [Path(directory, str(slot)) for slot in range(shape.workers)]
        for home in homes:
            home.mkdir()
        with _workers(place, small, homes) as started:
            restored = _restored(started)
        send(place, small, shape)
        with _workers(place, small, homes) as started:
            followed = follow(place, started[0], small.payments.height)
            used = [worker.usage() for worker in started]
            metrics = [worker.metrics() for worker in started]
    seconds = followed.ended - followed.began
    return {
        "payers": shape.payers,
        "partitions": shape.partitions,
        "workers": shape.workers,
        **restored,
        "rate": round(small.payments.height / seconds),
        "us": round(seconds / small.payments.height * 1e6, 2),
        "alerts": int(sum(each.total("alerts_total") for each in metrics if each)),
        "worker_cpu_s": _sum(used),
        "worker_peak_rss_mib": max(each.peak_rss_mib or 0.0 for each in used),
        "disk_mib": round(sum(each.total("state_disk_bytes") for each in metrics if each) / 2**20),
        "rows_in_memory": int(sum(each.total("state_rows_in_memory", agent="scoring") for each in metrics if each)),
    }


@contextmanager
def _workers(place: Place, small: SmallWorld, homes: list[Path]) -> Iterator[list[WorkerProcess]]:
    """A worker in each directory, running inside."""
    given = worker_options(small.world)
    with ExitStack() as stack:
        yield [
            stack.enter_context(WorkerProcess(place, home, given | {"slot": slot})) for slot, home in enumerate(homes)
        ]


def _restored(workers: list[WorkerProcess]) -> dict[str, float]:
    """Wait until they are ready, and then until they do nothing more; returns how long each took, and their peak."""
    began = time.monotonic()
    for worker in workers:
        worker.wait_until_ready()
    ready = time.monotonic()
    with progress("waiting until the databases rest", None):
        while _busy(workers) > RESTING_CORES:
            continue
    peak = max(worker.usage().peak_rss_mib or 0.0 for worker in workers)
    return {
        "ready_s": round(ready - began, 1),
        "at_rest_s": round(time.monotonic() - began, 1),
        "restore_peak_rss_mib": peak,
    }


def _busy(workers: list[WorkerProcess]) -> float:
    """Cores that they use, over some seconds."""
    before, began = _sum([worker.usage() for worker in workers]), time.monotonic()
    time.sleep(REST_S)
    return (_sum([worker.usage() for worker in workers]) - before) / (time.monotonic() - began)


def _sum(used: list[Usage]) -> float:
    return round(sum(each.cpu_s or 0.0 for each in used), 2)


def steps(small: SmallWorld, shape: Shape) -> Iterator[dict[int, Records]]:
    """The clones' records under their tokens, each on the partition of its clone's payments."""
    for names, records in small.clones(shape.payers):
        tokens = small.tokeniser.tokens([("account", names)])
        keys = [tokens[at : at + TOKEN_BYTES] for at in range(0, len(tokens), TOKEN_BYTES)]
        yield {
            partition: [(keys[i], records[i]) for i in mine]
            for partition, mine in _by_partition(names, shape.partitions)
        }


def send(place: Place, small: SmallWorld, shape: Shape) -> None:
    """The backlog, each payment on the partition of its payer's record."""
    publisher = Producer(
        {"bootstrap.servers": place.kafka.bootstrap_servers, "compression.type": "lz4", "linger.ms": 20}
    )
    with progress("publishing", small.payments.height) as advance:
        for frame in small.backlog(shape.payers):
            values, names = encode(frame), frame["payer"].to_list()
            for partition, mine in _by_partition(names, shape.partitions):
                batch = [{"key": names[i].encode(), "value": values[i]} for i in mine]
                produce(publisher, place.topics.transactions, batch, partition)
            advance(frame.height)
            if publisher.flush(TIMEOUT_S):
                raise BenchError("the broker does not take the payments")


def _by_partition(names: list[str], partitions: int) -> Iterator[tuple[int, list[int]]]:
    """Which of the names belong on each partition."""
    place = np.array([crc32(name.encode()) % partitions for name in names])
    for partition in range(partitions):
        yield partition, np.flatnonzero(place == partition).tolist()


if __name__ == "__main__":
    run(main)
