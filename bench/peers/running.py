"""One participant, once: started on the shared topic with nothing, followed by its offsets, stopped, checked."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from bench.errors import BenchError
from bench.peers.checking import Due, Outcome, compare
from bench.peers.job import Job
from bench.peers.pace import Look, pace, second_half
from bench.peers.participants import Participant
from bench.peers.prepare import Expected
from bench.place import PARTITIONS, REQUEST_TIMEOUT_S, Place, Progress
from bench.processes import Usage, usage
from bench.worker import LOG_LINES, STOP_TIMEOUT_S
from fraudstream.progress import progress
from stream.broker_process import ProcessIdentity, end, launch
from stream.librdkafka import admin
from stream.scan import Scan

LOOK_S = 0.05
STALL_S = 120.0
"""A participant that commits nothing for this long is given up."""


@dataclass(frozen=True)
class Stand:
    """The payments on their topic, and what is expected of whoever judges them."""

    place: Place
    expected: Expected
    due: Mapping[str, Due]
    count: int


def run_once(stand: Stand, participant: Participant, number: int, seconds: float) -> dict[str, Any]:
    """One run; its figures. Those of one that did not do the job say why and have no rate."""
    place = stand.place
    agent = f"{participant.name}{number}"
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home, _topics(place, agent) as (group, alerts):
        job = Job(
            bootstrap_servers=place.kafka.bootstrap_servers,
            group=group,
            transactions=place.topics.transactions,
            alerts=alerts,
            partitions=PARTITIONS,
            model=str(stand.expected.model),
            threshold=stand.expected.threshold,
            directory=str(Path(home) / "state"),
            settings=dict(participant.settings),
        )
        seen = Progress(place, agent, place.topics.transactions)
        try:
            with _process(participant.command(job), Path(home) / "log") as process:
                looks = _follow(seen, process, stand.count, seconds, participant.title)
                used = process.usage()
            committed = seen.by_partition()
        finally:
            seen.close()
        outcome = compare(stand.due, committed, _alerts(place, alerts))
    problems = outcome.problems(repeats_allowed=participant.repeats_allowed)
    whole, later = pace(looks), second_half(looks)
    return {
        "payments": whole.payments,
        "seconds": round(whole.seconds, 3),
        "rate": round(whole.rate) if whole.rate and not problems else None,
        "rate_second_half": round(later.rate) if later.rate and not problems else None,
        "committed": sum(committed.values()),
        "commits_seen": len(looks),
        "cpu_s": used.cpu_s,
        "peak_rss_mib": used.peak_rss_mib,
        "alerts": asdict(outcome),
        "problems": problems,
    }


def failed(problem: str) -> dict[str, Any]:
    """The figures of a run that did not come to its end."""
    return {
        "payments": 0,
        "seconds": 0.0,
        "rate": None,
        "rate_second_half": None,
        "committed": 0,
        "commits_seen": 0,
        "cpu_s": None,
        "peak_rss_mib": None,
        "alerts": asdict(Outcome(0, 0, 0, 0, 0, 0.0)),
        "problems": [problem],
    }


@contextmanager
def _topics(place: Place, agent: str) -> Iterator[tuple[str, str]]:
    """Group and alerts topic of a participant; whatever topics carry the group's name are deleted afterwards."""
    group = f"{place.kafka.app}-{agent}"
    alerts, changelog = f"{group}-alerts", f"{group}-changelog"
    client = AdminClient(admin(place.kafka))
    made = [NewTopic(alerts, PARTITIONS, 1), NewTopic(changelog, PARTITIONS, 1, config={"cleanup.policy": "compact"})]
    for future in client.create_topics(made, request_timeout=REQUEST_TIMEOUT_S).values():
        future.result()
    try:
        yield group, alerts
    finally:
        with suppress(KafkaException):
            names = [name for name in client.list_topics(timeout=REQUEST_TIMEOUT_S).topics if group in name]
            for future in client.delete_topics(names, request_timeout=REQUEST_TIMEOUT_S).values():
                future.result(2 * REQUEST_TIMEOUT_S)


@dataclass(frozen=True)
class _Process:
    """A participant that runs."""

    pid: int
    poll: Callable[[], int | None]
    log: Path

    def usage(self) -> Usage:
        return usage(self.pid)

    def check(self) -> None:
        """Raises BenchError, with its last lines, when it has ended."""
        if (code := self.poll()) is not None:
            raise BenchError(f"ended with exit code {code}. Its last lines:\n{self.last_lines()}")

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[_Process]:
    process = launch(command, log, outlives_us=False)
    identity = ProcessIdentity.of(process.pid)
    try:
        yield _Process(process.pid, process.poll, log)
    finally:
        if identity:
            end(identity, STOP_TIMEOUT_S)
        process.wait()
        if process.stdin:
            process.stdin.close()


def _follow(seen: Progress, process: _Process, count: int, seconds: float, title: str) -> list[Look]:
    """Until everything is committed, or `seconds` after the first commit seen."""
    looks: list[Look] = []
    moved = time.monotonic()
    with progress(title, count) as advance:
        while not looks or (looks[-1].committed < count and time.monotonic() - looks[0].at_s < seconds):
            committed, now = seen.committed(), time.monotonic()
            before = looks[-1].committed if looks else 0
            if committed > before:
                advance(committed - before)
                looks.append(Look(now, committed))
                moved = now
            elif now - moved > STALL_S:
                left = f"stood still with {count - before:,} payments left"
                raise BenchError(f"{left}. Its last lines:\n{process.last_lines()}")
            process.check()
            time.sleep(LOOK_S)
    return looks


def _alerts(place: Place, topic: str) -> Iterator[tuple[str, float]]:
    """Id and score of every alert, as a committed reader sees them."""
    with Scan(place.kafka, topic) as scan:
        for message in scan:
            alert = json.loads(message.value())
            yield alert["id"], alert["score"]
