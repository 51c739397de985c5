"""One of two workers is killed under a steady load: how long are its partitions without alerts?

    python -m bench.failover --json bench/results/failover.json

Two workers share the partitions of a topic whose payers they know from a backlog. Payments come evenly spaced; one
worker gets SIGKILL, and the other takes over: once with standby copies of the other's state, once without. The gap is
the longest time between two alerts of one source partition. What it is made of is the protocol's: the session
timeout until the dead worker's partitions are given away, then its open transaction, which the brokers abort after the
transaction timeout, at the next round of their abort interval; the limit allows 2 s more.
"""

import json as json_lines
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from bench import options
from bench.backlog import STALL_S, worker_options
from bench.environment import ROOT, environment
from bench.errors import BenchError, run
from bench.listener import AlertListener
from bench.place import PARTITIONS, REQUEST_TIMEOUT_S, Place, Progress, broker, fresh_place
from bench.results import console, write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import World, prepare
from simulator.publish import PublishSettings, publish
from stream.librdkafka import admin
from stream.local_broker import LocalBroker
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings

ABORT_INTERVAL = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
ALLOWED_S = 2.0
SETTLED_S = 10.0
"""After the start of the load, before a gap counts."""
LOOK_S = 0.2
MORE_ALERTS = 0.6
"""Part of the world's alert score at which payments are flagged here: a gap is only as sharp as alerts are many."""


def main(
    payments: Annotated[int, typer.Option(min=1_000, help="Backlog that makes the payers known.")] = 500_000,
    payers: options.Payers = 200_000,
    rate: Annotated[float, typer.Option(min=1, help="Payments a second.")] = 5_000,
    seconds: Annotated[float, typer.Option(min=20, help="Length of the load.")] = 75,
    kill_after: Annotated[float, typer.Option(min=SETTLED_S, help="Seconds of load before the kill.")] = 20,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Kill one of two workers, with and without standby, and measure the longest gap between alerts."""
    world = prepare(cache, payments + round(rate * seconds), payers, seed)
    settings = {"payments": payments, "payers": payers, "partitions": PARTITIONS, "rate": rate, "seconds": seconds}
    result: dict[str, Any] = {"benchmark": "failover", **environment(settings), "runs": {}}
    with broker() as running:
        result["limit_s"] = limits(running)
        for name, standby in (("standby", PARTITIONS), ("no standby", 0)):
            result["runs"][name] = failover(running, world, standby, payments, rate, seconds, kill_after)
    show(result)
    write(result, json)
    limit = sum(result["limit_s"].values())
    if late := [name for name, figures in result["runs"].items() if figures["longest_gap_s"] > limit]:
        raise BenchError(f"longer than the limit of {limit:g} s: {', '.join(late)}")


def limits(running: LocalBroker) -> dict[str, float]:
    """What the longest gap may be made of, in seconds."""
    client = AdminClient(admin(KafkaSettings(running.bootstrap_servers)))
    resource = ConfigResource(ResourceType.BROKER, str(next(iter(client.list_topics(timeout=10).brokers))))
    interval = client.describe_configs([resource])[resource].result(REQUEST_TIMEOUT_S)[ABORT_INTERVAL]
    return {
        "session timeout": ConsumerSettings().session_timeout_ms / 1000,
        "transaction timeout": ProducerSettings().transaction_timeout_ms / 1000,
        "abort interval": int(interval.value) / 1000,
        "allowance": ALLOWED_S,
    }


def failover(
    running: LocalBroker, world: World, standby: int, backlog: int, rate: float, seconds: float, kill_after: float
) -> dict[str, Any]:
    """One run; returns its figures."""
    name = "standby" if standby else "no-standby"
    with (
        tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home,
        fresh_place(running, name, entity_partitions=2) as place,
        AlertListener(place.kafka, place.topics.alerts, PARTITIONS) as listener,
        ExitStack() as stack,
    ):
        policy = Path(home) / "policy.toml"
        score = int(world.policy.read_text().partition("=")[2])
        policy.write_text(f"alert_score = {round(MORE_ALERTS * score)}\n")
        workers = []
        for slot in (0, 1):
            directory = Path(home) / str(slot)
            directory.mkdir()
            given = worker_options(world) | {"policy": policy, "slot": slot, "standby": standby}
            workers.append(stack.enter_context(WorkerProcess(place, directory, given)))
        for worker in workers:
            worker.wait_until_ready()
        frames = _first(world, backlog)
        publish(frames, PublishSettings(running.bootstrap_servers, place.topics.transactions))
        scoring = Progress(place, "scoring", place.topics.transactions)
        _until(lambda: scoring.committed() >= backlog, workers)
        _until(lambda: _shared(workers, standby), workers)
        killed_at, first_ms = _load(place, world, workers, backlog, rate, seconds, kill_after)
        _until(lambda: scoring.committed() >= backlog + round(rate * seconds), workers[:1])
        time.sleep(1)
        scoring.close()
        restored = list(_restored(workers[0].log, killed_at))
    arrived: dict[int, list[float]] = defaultdict(list)
    for received_ns, alert in listener.alerts().values():
        arrived[alert.source.partition].append(received_ns / 1e9)
    begin, end = first_ms / 1000 + SETTLED_S, first_ms / 1000 + seconds
    gaps = {partition: longest(sorted(times), begin, end) for partition, times in sorted(arrived.items())}
    alerts = sum(begin <= at <= end for times in arrived.values() for at in times)
    return {
        "longest_gap_s": round(max(gaps.values()), 2),
        "gaps_s": {str(partition): round(gap, 2) for partition, gap in gaps.items()},
        "alerts_per_s_and_partition": round(alerts / (end - begin) / PARTITIONS, 1),
        "restores": restored,
        "records_replayed": sum(each["records"] for each in restored),
    }


def longest(times: list[float], begin: float, end: float) -> float:
    """The longest time between two of the sorted `times` that touches the span from `begin` to `end`."""
    return max((b - a for a, b in pairwise(times) if b >= begin and a <= end), default=end - begin)


def _first(world: World, count: int) -> Iterator[pl.DataFrame]:
    for frame in world.frames():
        yield frame[:count]
        count -= frame.height
        if count <= 0:
            return


def _shared(workers: list[WorkerProcess], standby: int) -> bool:
    """Whether both have partitions, and the standby copies have caught up."""
    for worker in workers:
        metrics = worker.metrics()
        if metrics is None or not metrics.total("partitions_assigned", agent="scoring"):
            return False
        if standby and (not metrics.total("standby_partitions") or metrics.total("standby_lag_records") > 0):
            return False
    return True


def _load(
    place: Place,
    world: World,
    workers: list[WorkerProcess],
    skip: int,
    rate: float,
    seconds: float,
    kill_after: float,
) -> tuple[float, int]:
    """Send evenly, and kill the second worker meanwhile; returns when (epoch s), and when the first was due (ms)."""
    given = {
        "data": world.payments,
        "bootstrap-servers": place.kafka.bootstrap_servers,
        "topic": place.topics.transactions,
        "rate": rate,
        "seconds": seconds,
        "skip": skip,
    }
    command = [sys.executable, "-m", "bench.generator"]
    command += [text for name, value in given.items() for text in (f"--{name}", str(value))]
    ends = Progress(place, "scoring", place.topics.transactions)
    generator = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        _until(lambda: ends.ends() > skip, workers)
        console.print(f"load of {rate:,.0f}/s began; one worker is killed in {kill_after:g} s")
        time.sleep(kill_after)
        workers[1].kill()
        killed_at = time.time()
        answer, _ = generator.communicate(timeout=seconds + STALL_S)
        if generator.returncode:
            raise BenchError("the generator failed", hint="see its message above")
        return killed_at, int(json_lines.loads(answer)["first_ms"])
    finally:
        generator.kill()
        generator.wait()
        ends.close()


def _until(condition: Any, workers: list[WorkerProcess]) -> None:
    until = time.monotonic() + STALL_S
    while not condition():
        for worker in workers:
            worker.check()
        if time.monotonic() > until:
            raise BenchError("the workers stand still", hint=f"look at {workers[0].log}")
        time.sleep(LOOK_S)


def _restored(log: Path, since: float) -> Iterator[dict[str, Any]]:
    """What the survivor restored after the kill, from its log."""
    for line in log.read_text().splitlines():
        event = json_lines.loads(line) if line.startswith("{") else {}
        restored = event.get("event") == "partition restored"
        if restored and datetime.fromisoformat(event["timestamp"]).timestamp() > since:
            yield {name: event[name] for name in ("agent", "partition", "records", "seconds")}


if __name__ == "__main__":
    run(main)
