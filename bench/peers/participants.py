"""Who takes part: how each is started, tuned and found missing.

Tuned for a backlog on one small machine, in each project's own names: large fetches, lz4, records cached where the
framework can, commits about as often as ours. What is not named is the project's default.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.environment import ROOT
from bench.errors import BenchError
from bench.peers.job import Job

PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
JAVA_PROJECT = Path(__file__).with_name("kafka_streams")
JAVA = 17
"""The oldest that will do."""


@dataclass(frozen=True)
class Participant:
    """One of those who do the reduced job."""

    name: str
    title: str
    guarantee: str
    command: Callable[[Job], list[str]]
    settings: Mapping[str, Any]
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot take part here, and what to install."""
    versions: Callable[[], dict[str, str]] = dict
    prepare: Callable[[], None] = lambda: None
    repeats_allowed: bool = False
    options: tuple[str, ...] = field(default=())
    """What its runtime is told beside."""


def _ours(job: Job) -> list[str]:
    return [sys.executable, "-m", "bench.peers.ours", job.argument()]


def _python(module: str, *options: str) -> Callable[[Job], list[str]]:
    return lambda job: [str(PEERS_PYTHON), "-m", module, job.argument(), *options]


def _no_peers() -> str | None:
    return None if PEERS_PYTHON.exists() else "it is not installed here: run `make peers`"


def _peers_versions(*distributions: str) -> Callable[[], dict[str, str]]:
    def ask() -> dict[str, str]:
        code = (
            "import json, platform, sys; from importlib.metadata import version;"
            "print(json.dumps({'python': platform.python_version(), **{each: version(each) for each in sys.argv[1:]}}))"
        )
        asked = [str(PEERS_PYTHON), "-c", code, *distributions]
        found = subprocess.run(asked, capture_output=True, text=True, check=True)
        return dict(json.loads(found.stdout))

    return ask


JVM = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


def _java(job: Job) -> list[str]:
    path = f"{JAVA_PROJECT / 'target' / 'classes'}:{JAVA_PROJECT / 'target' / 'lib' / '*'}"
    return ["java", *JVM, "-cp", path, "reduced.ReducedJob", job.argument()]


def _no_java() -> str | None:
    if not shutil.which("javac"):
        return f"there is no JDK here: install JDK {JAVA} or newer, with javac on PATH"
    if not shutil.which("mvn"):
        return "there is no Maven here: install Maven 3.8 or newer, with mvn on PATH"
    found = _java_version()
    if int(found.partition(".")[0]) < JAVA:
        return f"the JDK here is {found}: install JDK {JAVA} or newer"
    return None


@cache
def _java_version() -> str:
    shown = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)
    return (shown.stdout + shown.stderr).split()[1]


def _java_versions() -> dict[str, str]:
    jars = sorted((JAVA_PROJECT / "target" / "lib").glob("*.jar"))
    named = (jar.stem.rpartition("-") for jar in jars)
    wanted = ("kafka-streams", "rocksdbjni", "jackson-databind")
    return {"java": _java_version(), **{name: number for name, _, number in named if name in wanted}}


def _build_java() -> None:
    command = ["mvn", "--quiet", "--batch-mode", "package"]
    built = subprocess.run(
        command, cwd=JAVA_PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise BenchError(
            f"the Kafka Streams application cannot be built:\n{built.stdout[-2000:]}",
            hint=f"run `{' '.join(command)}` in {JAVA_PROJECT.relative_to(ROOT)}",
        )


OURS = Participant(
    "ours",
    "FraudStream",
    "exactly once",
    _ours,
    {},
)
STREAMS = Participant(
    "streams",
    "Kafka Streams",
    "exactly once",
    _java,
    {
        "processing.guarantee": "exactly_once_v2",
        "num.stream.threads": "2",
        "statestore.cache.max.bytes": str(256 * 2**20),
        "replication.factor": "1",
        "consumer.max.poll.records": "8000",
        "consumer.max.partition.fetch.bytes": str(4 * 2**20),
        "producer.compression.type": "lz4",
        "producer.batch.size": str(256 * 2**10),
        "producer.buffer.memory": str(128 * 2**20),
    },
    _no_java,
    _java_versions,
    _build_java,
    options=JVM,
)
QUIX = Participant(
    "quix",
    "Quix Streams",
    "exactly once",
    _python("bench.peers.quix_app"),
    {
        "processing_guarantee": "exactly-once",
        "commit_interval": 1.0,
        "consumer_extra_config": {
            "fetch.queue.backoff.ms": 2,
            "queued.max.messages.kbytes": 32_768,
            "max.partition.fetch.bytes": 4 * 2**20,
        },
        "producer_extra_config": {"compression.type": "lz4", "linger.ms": 5},
    },
    _no_peers,
    _peers_versions("quixstreams", "confluent-kafka", "rocksdict", "xgboost", "orjson"),
)
FAUST_OPTIONS = ("--loop", "uvloop")
FAUST = Participant(
    "faust",
    "Faust",
    "at least once",
    _python("bench.peers.faust_app", *FAUST_OPTIONS),
    {
        "processing_guarantee": "at_least_once",
        "broker_commit_every": 10_000,
        "broker_commit_interval": 1.0,
        "broker_max_poll_records": 4_000,
        "consumer_max_fetch_size": 4 * 2**20,
        "producer_compression_type": "lz4",
        "producer_linger": 0.005,
        "producer_max_batch_size": 256 * 2**10,
        "stream_buffer_maxsize": 16_384,
        "stream_wait_empty": False,
    },
    _no_peers,
    _peers_versions("faust-streaming", "aiokafka", "rocksdict", "xgboost", "orjson", "uvloop"),
    repeats_allowed=True,
    options=FAUST_OPTIONS,
)
PARTICIPANTS = (OURS, STREAMS, QUIX, FAUST)
