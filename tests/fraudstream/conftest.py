"""Running the command line inside the test's process, and workers as processes of their own."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from fraudstream.__main__ import main
from kit.world import World, make_world


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def clean_environment(monkeypatch) -> None:
    for name in os.environ:
        if name.startswith("FRAUDSTREAM_"):
            monkeypatch.delenv(name)


@pytest.fixture
def run_cli(capsys, monkeypatch, clean_environment) -> Callable[..., Outcome]:
    """`run_cli("config", "--json")`: exit code, stdout and stderr of a command."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        return Outcome(code if isinstance(code, int) else 0 if code is None else 1, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


class WorkerProcess:
    """A real worker, and what a test wants to know of it."""

    def __init__(self, log: Path, command: list[str], environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})

    def output(self) -> str:
        return self.log.read_text()

    def health(self, what: str) -> tuple[int, dict[str, bool]]:
        """Status and body of /health/`what`; status 0 while nobody answers."""
        port = re.findall(r'"port": ?(\d+)', self.output())
        if not port:
            return 0, {}
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[-1]}/health/{what}", timeout=2) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def metrics(self) -> str:
        """What /metrics says now."""
        port = re.findall(r'"port": ?(\d+)', self.output())[-1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 20) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(timeout_s)


@pytest.fixture
def start_worker(broker, world, tmp_path, topic_name) -> Iterator[Callable[..., WorkerProcess]]:
    """`start_worker("--max-batch", "500", failpoint="committed:3")`: on topics with the prefix `topic_name`."""
    started: list[WorkerProcess] = []

    def start(*options: str, state: str = "state", failpoint: str = "") -> WorkerProcess:
        command = [sys.executable, "-m", "fraudstream", "worker", "--bootstrap-servers", broker.bootstrap_servers]
        command += ["--topic-prefix", f"{topic_name}.", "--group-id", topic_name, "--model", str(world.bundle)]
        command += ["--token-key-file", str(world.key), "--state-dir", str(tmp_path / state), "--metrics-port", "0"]
        command += ["--log-format", "json", "--arena-rows", "20000", *options]
        worker = WorkerProcess(tmp_path / f"worker-{len(started)}.log", command, {"FRAUDSTREAM_FAILPOINT": failpoint})
        started.append(worker)
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def start_archiver(broker, tmp_path, topic_name) -> Iterator[Callable[..., WorkerProcess]]:
    """`start_archiver(lake, "--until-end", failpoint="written:2")`: of topics with the prefix `topic_name`."""
    started: list[WorkerProcess] = []

    def start(lake: str, *options: str, failpoint: str = "", env: Mapping[str, str] | None = None) -> WorkerProcess:
        command = [sys.executable, "-m", "fraudstream", "archive", "--bootstrap-servers", broker.bootstrap_servers]
        command += ["--topic-prefix", f"{topic_name}.", "--group-id", topic_name, "--lake", lake]
        command += ["--metrics-port", "0", "--log-format", "json", *options]
        environment = {"FRAUDSTREAM_FAILPOINT": failpoint, **(env or {})}
        archiver = WorkerProcess(tmp_path / f"archiver-{len(started)}.log", command, environment)
        started.append(archiver)
        return archiver

    yield start
    for archiver in started:
        if archiver.process.poll() is None:
            archiver.kill()


@pytest.fixture
def eventually() -> Callable[..., None]:
    """`eventually(condition, "what is awaited")`: polls until it holds, and fails after a minute and a half."""

    def wait(condition: Callable[[], object], what: str, timeout_s: float = 90) -> None:
        until = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until, f"waited in vain for {what}"
            time.sleep(0.1)

    return wait
