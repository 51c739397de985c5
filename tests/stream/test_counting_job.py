"""The smallest agent, end to end, killed at every place that matters: nothing lost, doubled or disordered."""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer

PROGRAM = Path(__file__).with_name("counting_job.py")
KEYS, RECORDS, PARTITIONS = 1_000, 24_000, 3
DEADLINE_S = 120.0
pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def make_job(counting, broker, make_topic, publish, tmp_path):
    """A job over a topic of numbered records."""

    def make(**settings):
        source = make_topic(partitions=PARTITIONS)
        make_topic("-results", partitions=PARTITIONS)
        make_topic("-changelog", partitions=PARTITIONS, **{"cleanup.policy": "compact"})
        rng, numbers, records = random.Random(1), collections.Counter(), []
        for _ in range(RECORDS):
            key = rng.randrange(KEYS)
            numbers[key] += 1
            records.append((b"%016d" % key, b"%d" % numbers[key]))
        publish(source, records)
        places = {"source": source, "results": f"{source}-results", "changelog": f"{source}-changelog"}
        return counting.Job(broker.bootstrap_servers, directory=str(tmp_path / "job"), **places, **settings)

    return make


class Results:
    """What a read_committed consumer of the results has seen."""

    def __init__(self, job) -> None:
        config = {"group.id": f"{job.results}-reader", "auto.offset.reset": "earliest", "log_level": 0}
        self._consumer = Consumer({"bootstrap.servers": job.bootstrap_servers, **config})
        self._consumer.subscribe([job.results])
        self.seen: collections.Counter[str] = collections.Counter()
        self.disorder = 0

    def read(self, seconds: float = 0.2) -> None:
        for message in self._consumer.consume(5_000, seconds):
            assert message.error() is None, message.error()
            place, _, disorder = message.value().decode().split(":")
            self.seen[place] += 1
            self.disorder += int(disorder)

    def close(self) -> None:
        self.read(2.0)
        self._consumer.close()

    @property
    def doubled(self) -> int:
        return sum(count > 1 for count in self.seen.values())


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """`start(job, failpoint="committed:3")`: the job as a process, which does not outlive the test."""
    started = []

    def run(job, failpoint: str = "") -> "subprocess.Popen[str]":
        environment = {**os.environ, "FRAUDSTREAM_FAILPOINT": failpoint}
        command = [sys.executable, PROGRAM, job.as_argument()]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_until(process: "subprocess.Popen[str]", results: Results, enough: Callable[[], bool]) -> None:
    """Let the job run until it dies or there is enough, when it is asked to stop."""
    deadline = time.monotonic() + DEADLINE_S
    asked = False
    while process.poll() is None:
        results.read()
        if enough() and not asked:
            process.terminate()
            asked = True
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"not done in {DEADLINE_S} s: {process.communicate()[1][-2_000:]}")


EVERY_PLACE = (
    "computed:2",
    "produced:3",
    "offsets-added:4",
    "committed:5",
    "persisted:3",
    "restoring:1",
    "committed:1",
)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_kills_at_every_place_lose_double_and_disorder_nothing(make_job, guarantee, start):
    job = make_job(guarantee=guarantee)
    results = Results(job)
    for failpoint in EVERY_PLACE:
        process = start(job, failpoint)
        run_until(process, results, lambda: False)
        assert process.returncode == -signal.SIGKILL, process.communicate()[1][-2_000:]
    process = start(job)
    run_until(process, results, lambda: len(results.seen) == RECORDS)
    assert process.returncode == 0, process.communicate()[1][-2_000:]
    results.close()
    assert len(results.seen) == RECORDS
    assert results.disorder == 0
    if guarantee == "exactly_once":
        assert results.doubled == 0


def test_a_second_process_on_the_same_directory_leaves_the_first_alone(make_job, start):
    job = make_job()
    results = Results(job)
    first = start(job)
    while not results.seen:
        results.read()
        assert first.poll() is None
    second = start(job)
    assert "another worker uses the state directory" in second.communicate(timeout=DEADLINE_S)[1]
    assert second.returncode != 0
    run_until(first, results, lambda: len(results.seen) == RECORDS)
    results.close()
    assert first.returncode == 0
    assert (len(results.seen), results.doubled, results.disorder) == (RECORDS, 0, 0)


def test_a_newcomer_with_the_slot_but_another_directory_takes_over_whole(make_job, tmp_path, start):
    job = make_job()
    results = Results(job)
    older = start(job)
    while not results.seen:
        results.read()
        assert older.poll() is None
    elsewhere = json.loads(job.as_argument()) | {"directory": str(tmp_path / "elsewhere")}
    newer = start(type(job)(**elsewhere))
    run_until(older, results, lambda: False)
    assert older.returncode != 0
    assert "slot" in older.communicate()[1]
    run_until(newer, results, lambda: len(results.seen) == RECORDS)
    results.close()
    assert newer.returncode == 0, newer.communicate()[1][-2_000:]
    assert (len(results.seen), results.doubled, results.disorder) == (RECORDS, 0, 0)
