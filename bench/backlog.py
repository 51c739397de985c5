"""A backlog run: the payments stand on the topic, a fresh worker judges them all, the broker's offsets tell the time.

The rate counts from the begin of the first step, which is when its end was first seen less the time that its stages
took, to the first look at the committed offsets that shows every payment. Looks are `LOOK_S` apart.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.figures import microseconds_each
from bench.lists import load_lists
from bench.place import Place, Progress, fresh_place
from bench.processes import usage
from bench.worker import Metrics, WorkerProcess, stage_seconds
from bench.world import World
from fraudstream.progress import progress
from simulator.publish import PublishSettings, publish
from stream.local_broker import LocalBroker
from stream.metrics import STAGES

LOOK_S = 0.05
NEAR_THE_END, SELDOM_S = 50_000, 0.5
"""Looking costs what it measures: often only when few payments are left."""
STALL_S = 120.0
"""A worker that commits nothing for this long is given up."""
DRAIN_S = 120.0


@dataclass(frozen=True)
class Followed:
    """When what happened, by the monotonic clock."""

    began: float
    ended: float
    entities_lag: int
    """Offsets that the entities agent was behind on entity-activity when the scoring agent was done."""


def run_backlog(running: LocalBroker, world: World, name: str, options: Mapping[str, object]) -> dict[str, Any]:
    """One run with everything fresh; returns its figures."""
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home, fresh_place(running, name) as place:
        load_lists(place, world)
        send(place, world)
        broker_before = usage(running.pid)
        with WorkerProcess(place, Path(home), worker_options(world) | dict(options)) as worker:
            followed = follow(place, worker, world.count)
            drained_s = drain(place, worker, "entities", place.topics.entity_activity)
            metrics, used = worker.metrics(), worker.usage()
        broker_after = usage(running.pid)
    assert metrics is not None
    seconds = followed.ended - followed.began
    stages = stage_seconds(metrics, "scoring", STAGES)
    alerts = metrics.total("alerts_total")
    return {
        "payments": world.count,
        "seconds": round(seconds, 3),
        "rate": round(world.count / seconds),
        "stages_us": microseconds_each(stages | {"not computing": seconds - stages["compute"]}, world.count),
        "entities_us": microseconds_each(stage_seconds(metrics, "entities", STAGES), world.count),
        "steps": int(metrics.total("step_records_count", agent="scoring")),
        "failed_steps": int(metrics.total("step_failures_total")),
        "decided": int(metrics.total("payments_total")),
        "alerts": int(alerts),
        "alerts_share": round(alerts / world.count, 5),
        "dead_letters": int(metrics.total("dead_letters_total")),
        "risk_records": int(metrics.total("entity_risk_records_total")),
        "entities_lag_at_end": followed.entities_lag,
        "entities_drained_s": round(drained_s, 2),
        "worker_cpu_s": used.cpu_s or 0.0,
        "worker_peak_rss_mib": used.peak_rss_mib or 0.0,
        "broker_cpu_s": round((broker_after.cpu_s or 0.0) - (broker_before.cpu_s or 0.0), 2),
    }


def worker_options(world: World) -> dict[str, object]:
    """What a worker needs to judge a world's payments."""
    return {"model": world.model, "policy": world.policy, "token-key-file": world.token_key}


def send(place: Place, world: World) -> None:
    """All payments to the topic, as fast as it goes."""
    settings = PublishSettings(place.kafka.bootstrap_servers, place.topics.transactions)
    with progress("publishing", world.count) as advance:
        result = publish(world.frames(), settings, advance=advance)
    if result.failed or result.payments != world.count:
        raise BenchError(f"of {world.count:,} payments {result.payments:,} were published: {result.error}")


def follow(place: Place, worker: WorkerProcess, count: int) -> Followed:
    """Until the scoring agent has committed `count` offsets. Raises BenchError when it ends or stands still."""
    scoring = Progress(place, "scoring", place.topics.transactions)
    entities = Progress(place, "entities", place.topics.entity_activity)
    try:
        with progress("judging", count) as advance:
            began = _first_step(worker)
            ended = _until(lambda: scoring.committed() - count, worker, advance)
        return Followed(began, ended, entities.lag())
    finally:
        scoring.close()
        entities.close()


def drain(place: Place, worker: WorkerProcess, agent: str, topic: str) -> float:
    """Wait until an agent has committed its whole topic but for commit markers; returns the seconds it took."""
    began = time.monotonic()
    behind = Progress(place, agent, topic)
    try:
        previous, since = -1, began
        # Markers after the last record are never committed: the end is where nothing moves any more.
        while time.monotonic() - began < DRAIN_S:
            worker.check()
            now = behind.committed()
            if now != previous:
                previous, since = now, time.monotonic()
            elif time.monotonic() - since > 1.0:
                break
            time.sleep(LOOK_S)
        return since - began
    finally:
        behind.close()


def _first_step(worker: WorkerProcess) -> float:
    """When the first step began."""
    until = time.monotonic() + STALL_S
    while time.monotonic() < until:
        worker.check()
        looked = time.monotonic()
        metrics = worker.metrics()
        if metrics is not None and metrics.total("records_total", agent="scoring"):
            return looked - spent(metrics)
        time.sleep(LOOK_S)
    raise BenchError(f"no step was done within {STALL_S:.0f} s", hint=f"look at {worker.log}")


def spent(metrics: Metrics) -> float:
    """Seconds since the first scoring step began: all computing, and what the last step took beyond it."""
    stages = stage_seconds(metrics, "scoring", STAGES)
    steps = max(1.0, metrics.total("step_records_count", agent="scoring"))
    return stages["compute"] + (sum(stages.values()) - stages["compute"]) / steps


def _until(missing: Callable[[], int], worker: WorkerProcess, advance: Callable[[int], None]) -> float:
    """When `missing`, negative until then, was first seen to be 0."""
    last, moved = missing(), time.monotonic()
    while last < 0:
        time.sleep(LOOK_S if last > -NEAR_THE_END else SELDOM_S)
        now = missing()
        if now != last:
            advance(now - last)
            last, moved = now, time.monotonic()
        elif time.monotonic() - moved > STALL_S:
            raise BenchError(f"the worker stands still with {-now:,} payments left", hint=f"look at {worker.log}")
        if time.monotonic() - moved > 1:
            worker.check()
    return moved
