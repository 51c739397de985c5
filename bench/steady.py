"""A steady run: an open-loop generator at a fixed rate, the worker, and a read_committed consumer of alerts."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.backlog import STALL_S, worker_options
from bench.environment import ROOT
from bench.errors import BenchError
from bench.figures import histogram, latencies_ms, slope, summary
from bench.listener import AlertListener
from bench.lists import load_lists
from bench.place import PARTITIONS, Place, Progress, fresh_place
from bench.worker import WorkerProcess
from bench.world import World
from fraudstream.progress import progress
from stream.local_broker import LocalBroker

DROPPED_S = 10.0
SAMPLE_S = 0.5


@dataclass(frozen=True)
class Sample:
    """One look at the lag."""

    at_s: float
    """By the monotonic clock."""
    sent: int
    committed: int

    @property
    def lag(self) -> int:
        """Payments sent and not yet committed."""
        return self.sent - self.committed


def run_steady(
    running: LocalBroker,
    world: World,
    name: str,
    rate: float,
    seconds: float,
    options: Mapping[str, object],
    dropped_s: float = DROPPED_S,
) -> dict[str, Any]:
    """Payments at `rate` a second for `seconds`; returns latencies, but for the first `dropped_s`, and lag."""
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home, fresh_place(running, name) as place:
        load_lists(place, world)
        with (
            WorkerProcess(place, Path(home), worker_options(world) | dict(options)) as worker,
            AlertListener(place.kafka, place.topics.alerts, PARTITIONS) as listener,
        ):
            worker.wait_until_ready()
            samples, sent = _generate(place, worker, world, rate, seconds)
            _until_all_alerts(worker, listener, int(sent["payments"] - sent["failed"]))
            metrics, used = worker.metrics(), worker.usage()
        received_ns, scheduled_ms, repeated = listener.arrivals()
    assert metrics is not None
    alerts = metrics.total("alerts_total")
    latencies = latencies_ms(received_ns, scheduled_ms, int(sent["first_ms"]), dropped_s)
    return {
        "rate": rate,
        "seconds": seconds,
        "generator": sent,
        "latency_ms": summary(latencies),
        "histogram": histogram(latencies),
        "dropped_s": dropped_s,
        "alerts": int(alerts),
        "alerts_share": round(alerts / sent["payments"], 5),
        "alerts_received": len(received_ns),
        "alerts_repeated": repeated,
        **lag_figures([sample for sample in samples if sample.sent < sent["payments"]]),
        "mean_step": round(sent["payments"] / max(1, metrics.total("step_records_count", agent="scoring")), 1),
        "worker_cpu_s": used.cpu_s,
        "worker_peak_rss_mib": used.peak_rss_mib,
    }


def lag_figures(samples: Sequence[Sample]) -> dict[str, float]:
    """Lag in the middle and at the end of the looks, its maximum, and how it grew in the second half."""
    if not samples:
        raise BenchError("the run was too short for a look at its lag", hint="give more --seconds")
    half = (samples[0].at_s + samples[-1].at_s) / 2
    later = [sample for sample in samples if sample.at_s >= half]
    return {
        "lag_middle": min(samples, key=lambda sample: abs(sample.at_s - half)).lag,
        "lag_end": samples[-1].lag,
        "lag_largest": max(sample.lag for sample in samples),
        "lag_growth_per_s": round(slope([s.at_s for s in later], [s.lag for s in later]), 1),
    }


def _generate(
    place: Place, worker: WorkerProcess, world: World, rate: float, seconds: float
) -> tuple[list[Sample], dict[str, float]]:
    """Run the generator to its end, looking at the lag; returns the looks from the first sent payment on."""
    options = {
        "data": world.payments,
        "bootstrap-servers": place.kafka.bootstrap_servers,
        "topic": place.topics.transactions,
        "rate": rate,
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "bench.generator"]
    command += [text for name, value in options.items() for text in (f"--{name}", str(value))]
    scoring = Progress(place, "scoring", place.topics.transactions)
    samples: list[Sample] = []
    generator = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        with progress(f"sending {rate:,.0f}/s", round(rate * seconds)) as advance:
            while generator.poll() is None:
                worker.check()
                sample = _look(scoring)
                if sample.sent:
                    advance(sample.sent - (samples[-1].sent if samples else 0))
                    samples.append(sample)
                time.sleep(SAMPLE_S)
        assert generator.stdout
        answer = generator.stdout.read()
        if generator.returncode:
            raise BenchError("the generator failed", hint="see its message above")
        return samples, json.loads(answer)
    finally:
        generator.kill()
        generator.wait()
        scoring.close()


def _look(scoring: Progress) -> Sample:
    """Committed first, so that the lag is never shown smaller than it was."""
    committed = scoring.committed()
    return Sample(time.monotonic(), scoring.ends(), committed)


def _until_all_alerts(worker: WorkerProcess, listener: AlertListener, payments: int) -> None:
    """Until every payment is decided and every alert was received."""
    until = time.monotonic() + STALL_S
    while True:
        worker.check()
        metrics = worker.metrics()
        decided = metrics is not None and metrics.total("payments_total") >= payments
        if decided and metrics and len(listener) >= metrics.total("alerts_total"):
            return
        if time.monotonic() > until:
            raise BenchError(f"decisions or alerts of {payments:,} payments are missing", hint=f"look at {worker.log}")
        time.sleep(0.1)
