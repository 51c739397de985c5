"""The real worker as a child process: started, watched through its metrics, stopped; it never outlives us."""

import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from prometheus_client.parser import text_string_to_metric_families

from bench.errors import BenchError
from bench.place import Place
from bench.processes import Usage, usage
from stream.broker_process import ProcessIdentity, end, launch

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
LOG_LINES = 15
POLL_S = 0.02

Labels = frozenset[tuple[str, str]]


class Metrics:
    """One reading of a worker's metrics."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((frozenset(sample.labels.items()), sample.value))

    def total(self, name: str, **labels: str) -> float:
        """Sum of a metric over all its samples that have these labels; 0 when there is none."""
        wanted = frozenset(labels.items())
        return sum(value for found, value in self._samples.get(f"fraudstream_{name}", ()) if wanted <= found)


class WorkerProcess:
    """`fraudstream worker` for one place. As a context manager it is running inside."""

    def __init__(self, place: Place, home: Path, options: Mapping[str, object]) -> None:
        self.log = home / "worker.log"
        self._port = _free_port()
        given = {**place.options(), "state-dir": home / "state", "metrics-port": self._port, **options}
        self._command = [sys.executable, "-m", "fraudstream", "worker", "--log-format", "json"]
        self._command += [text for name, value in given.items() for text in (f"--{name}", str(value))]

    def __enter__(self) -> "WorkerProcess":
        self._process = launch(self._command, self.log, outlives_us=False)
        self._identity = ProcessIdentity.of(self._process.pid)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> int:
        """SIGTERM, then by force; returns the exit code."""
        if self._identity:
            end(self._identity, STOP_TIMEOUT_S)
        code = self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        return code

    def kill(self) -> None:
        """SIGKILL, to it and its guard."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def check(self) -> None:
        """Raises BenchError, with the worker's last lines, when it has ended."""
        if (code := self._process.poll()) is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])
            raise BenchError(f"the worker ended with exit code {code}. Its last lines:\n{last}")

    def wait_until_ready(self) -> None:
        """Until its partitions are restored and its tables read."""
        until = time.monotonic() + START_TIMEOUT_S
        while (answer := self._get("/health/ready")) is None or answer[0] != 200:
            self.check()
            if time.monotonic() > until:
                raise BenchError(f"the worker is not ready after {START_TIMEOUT_S:.0f} s", hint=f"look at {self.log}")
            time.sleep(POLL_S)

    def metrics(self) -> Metrics | None:
        """Its metrics now; None when it does not answer (yet)."""
        answer = self._get("/metrics")
        return Metrics(answer[1]) if answer and answer[0] == 200 else None

    def usage(self) -> Usage:
        """Processor time and memory so far."""
        return usage(self._process.pid)

    def _get(self, path: str) -> tuple[int, str] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return None
        finally:
            connection.close()


def stage_seconds(metrics: Metrics, agent: str, stages: Sequence[str]) -> dict[str, float]:
    """Seconds that an agent has spent in each stage of its steps."""
    return {stage: metrics.total("step_seconds_sum", agent=agent, stage=stage) for stage in stages}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
