"""How long it takes until payments are judged again: a restore from an empty disk, and restarts on an intact one.

    python -m bench.restore --json bench/results/restore.json

1. A changelog of so many payers' records, each in one of four partitions. The records are those of real payers, made by
   the engine from simulated payments, under keys of their own.
2. From an empty disk: all partitions restored as a worker does it, several at a time, in a process of its own.
3. A worker starts on that changelog, judges a backlog of payments and, in the midst of it, is ended by SIGTERM or by
   SIGKILL. Started again on its disk, it is timed from the assignment of its partitions, by its own log, to the first
   decision after it that a read_committed consumer has.
"""

import itertools
import json as json_lines
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from confluent_kafka import Consumer, TopicPartition

from bench import options
from bench.backlog import STALL_S, send, worker_options
from bench.changelog import Records, fill, records_after
from bench.environment import environment
from bench.errors import BenchError, run
from bench.figures import spread
from bench.place import PARTITIONS, Place, Progress, broker, fresh_place
from bench.results import console, write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import World, prepare
from models.batch import from_frame
from models.payer_state import PAYER_CODEC
from models.tokens import Tokeniser
from schemas.decision import decode_decisions
from stream.keyed_state import KeyedState
from stream.librdkafka import reader
from stream.local_broker import LocalBroker
from stream.restore import Restorer
from stream.settings import ConsumerSettings, RestoreSettings, StateSettings

POOL = 100_000
"""Payments that the records come from."""
STEP = 10_000
TIMEOUT_S = 60.0
SIGNALS = ("SIGTERM", "SIGKILL")


def main(
    payers: Annotated[list[int] | None, typer.Option(help="Payers of a changelog; repeat for more.")] = None,
    payments: options.Payments = 400_000,
    runs: Annotated[int, typer.Option(min=1, help="Restores from an empty disk, and restarts of each kind.")] = 3,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure restores and restarts."""
    sizes = payers or [10_000, 1_000_000]
    world = prepare(cache, payments, 20_000, seed)
    records = real_records(world)
    result: dict[str, Any] = {
        "benchmark": "restore",
        **environment({"payers": sizes, "payments": payments, "partitions": PARTITIONS}),
        "record_bytes": {"median": float(np.median([len(r) for r in records])), "most": max(map(len, records))},
        "sizes": [],
    }
    with broker() as running:
        for size in sizes:
            result["sizes"].append(measure(running, world, records, size, runs))
    show(result)
    write(result, json)


def measure(running: LocalBroker, world: World, records: Sequence[bytes], size: int, runs: int) -> dict[str, Any]:
    """Everything at one number of payers."""
    with fresh_place(running, f"restore-{size}") as place:
        fill(place, steps(records, size), size)
        empty = [restore_empty(place, size) for _ in range(runs)]
        console.print(f"{size:,} payers from an empty disk: {[each['rate'] for each in empty]} records/s")
        send(place, world)
        with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
            restarts = list(restart_all(place, world, Path(home), runs))
    return {
        "payers": size,
        "empty_disk": {"runs": empty, "rate": spread([each["rate"] for each in empty])},
        "restarts": restarts,
    }


def real_records(world: World) -> list[bytes]:
    """Payers' records after some payments each."""
    frames = list(itertools.islice(world.frames(), 1))
    return records_after(from_frame(frames[0].head(POOL), Tokeniser.load(world.token_key)))


def steps(records: Sequence[bytes], size: int) -> Iterator[dict[int, Records]]:
    """So many records, over and over the given ones, under keys of their own."""
    pool = itertools.cycle(records)
    for first in range(0, size, STEP):
        count = min(STEP, size - first)
        shares = [count // PARTITIONS + (partition < count % PARTITIONS) for partition in range(PARTITIONS)]
        yield {
            partition: [(os.urandom(16), next(pool)) for _ in range(share)] for partition, share in enumerate(shares)
        }


def restore_empty(place: Place, size: int) -> dict[str, float]:
    """All partitions at once, as many threads as a worker has; returns records, seconds, records a second."""
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
        state = KeyedState(PAYER_CODEC, Path(home), StateSettings(Path(home)))
        restorer = Restorer(place.kafka, place.topics.scoring_changelog, state, RestoreSettings(), exact=True)
        began = time.perf_counter()
        with ThreadPoolExecutor(ConsumerSettings().restore_threads) as threads:
            done = list(threads.map(lambda partition: restorer.restore(partition, -1), range(PARTITIONS)))
        seconds = time.perf_counter() - began
        state.close_all()
    records = sum(restored.records for restored in done)
    if records != size:
        raise BenchError(f"{records:,} records were restored, {size:,} are on the changelog")
    return {"records": records, "seconds": round(seconds, 3), "rate": round(records / seconds)}


def restart_all(place: Place, world: World, home: Path, runs: int) -> Iterator[dict[str, Any]]:
    """A worker judges on between one restart and the next."""
    scoring = Progress(place, "scoring", place.topics.transactions)
    part = world.count // (2 * runs + 2)
    worker = WorkerProcess(place, home, worker_options(world))
    try:
        worker.__enter__()
        for number, name in enumerate(SIGNALS * runs, 1):
            _judged(scoring, worker, number * part)
            worker.kill() if name == "SIGKILL" else worker.stop()
            looked = worker.log.stat().st_size
            with _Decisions(place) as decisions:
                worker = WorkerProcess(place, home, worker_options(world))
                worker.__enter__()
                decided = decisions.first(worker)
            yield {"signal": name, **_timed(worker.log.read_bytes()[looked:].decode(), decided)}
    finally:
        worker.stop()
        scoring.close()


def _judged(scoring: Progress, worker: WorkerProcess, count: int) -> None:
    until = time.monotonic() + STALL_S
    while scoring.committed() < count:
        worker.check()
        if time.monotonic() > until:
            raise BenchError(f"{count:,} payments were not judged within {STALL_S:.0f} s", hint=f"look at {worker.log}")
        time.sleep(0.02)


class _Decisions:
    """The decisions from now on, for a reader of what is committed."""

    def __init__(self, place: Place) -> None:
        self._topic = place.topics.decisions
        self._consumer = Consumer({**reader(place.kafka), "enable.partition.eof": False})

    def __enter__(self) -> "_Decisions":
        # A worker that was killed leaves a transaction open, whose records come when it is resolved: not counted.
        places = [TopicPartition(self._topic, partition) for partition in range(PARTITIONS)]
        ends = [self._consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)[1] for place in places]
        self._consumer.assign([TopicPartition(self._topic, p, end) for p, end in enumerate(ends)])
        self._began_ms = time.time() * 1000
        return self

    def __exit__(self, *exception: object) -> None:
        self._consumer.close()

    def first(self, worker: WorkerProcess) -> float:
        """When the first one made from now on arrived, epoch seconds."""
        until = time.monotonic() + STALL_S
        while time.monotonic() < until:
            message = self._consumer.poll(0.05)
            if message is not None and message.error() is None:
                arrived = time.time()
                if decode_decisions(message.value())[0].decided_at >= self._began_ms:
                    return arrived
            worker.check()
        raise BenchError(f"no decision came within {STALL_S:.0f} s", hint=f"look at {worker.log}")


def _timed(log: str, decided: float) -> dict[str, Any]:
    """What a worker's log says of its scoring agent's restart."""
    lines = [json_lines.loads(line) for line in log.splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("agent") == "scoring"]
    assigned = [line for line in mine if line["event"] == "partitions assigned"]
    restored = [line for line in mine if line["event"] == "partition restored"]
    if not assigned:
        raise BenchError("the worker's log does not say when it was assigned partitions")
    return {
        "seconds": round(decided - epoch_of(assigned[0]), 3),
        "restored_s": round(max((epoch_of(line) for line in restored), default=decided) - epoch_of(assigned[0]), 3),
        "records": sum(line["records"] for line in restored),
    }


def epoch_of(line: dict[str, Any]) -> float:
    """When a log line was written."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()


if __name__ == "__main__":
    run(main)
