"""A local broker's directory: its files, and the broker that runs in it."""

import fcntl
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream.broker_process import ProcessIdentity, end

LAST_LINES = 15
ANSWER_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class RunningBroker:
    """A broker's process, and where it listens."""

    process: ProcessIdentity
    bootstrap_servers: str
    cluster_id: str

    def answers(self) -> bool:
        """Whether a client gets this cluster's metadata, with a broker in it."""
        host, _, port = self.bootstrap_servers.rpartition(":")
        with socket.socket() as probe:
            probe.settimeout(ANSWER_TIMEOUT_S)
            if probe.connect_ex((host, int(port))):
                return False
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            seen = client.list_topics(timeout=ANSWER_TIMEOUT_S)
        except KafkaException:
            return False
        return bool(seen.brokers) and seen.cluster_id == self.cluster_id


@dataclass(frozen=True)
class BrokerDirectory:
    """Everything that one local broker keeps."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def log(self) -> Path:
        return self.path / "broker.log"

    @property
    def properties(self) -> Path:
        return self.path / "server.properties"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def _run_file(self) -> Path:
        return self.path / "broker.json"

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Makes the directory; one process at a time starts a broker in it."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        with (self.path / ".starting").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def running(self) -> RunningBroker | None:
        """The broker that runs here: the very process that was started, not one that got its number later."""
        try:
            body = json.loads(self._run_file.read_text())
            found = RunningBroker(ProcessIdentity(**body["process"]), body["bootstrap_servers"], body["cluster_id"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.process.alive() else None

    def write_running(self, broker: RunningBroker) -> None:
        """Notes who runs here, for `running`."""
        aside = self._run_file.with_suffix(".new")
        aside.write_text(json.dumps(asdict(broker)))
        aside.replace(self._run_file)

    def forget_running(self) -> None:
        self._run_file.unlink(missing_ok=True)

    def stop(self, timeout_s: float = 30.0) -> RunningBroker | None:
        """Ends the broker that runs here; returns what was ended, None if nothing ran."""
        found = self.running()
        if found:
            end(found.process, timeout_s)
        self.forget_running()
        return found

    def delete(self) -> bool:
        """Removes the directory with all topics; False when it holds no broker's data."""
        if self.cluster_id() is None:
            return False
        shutil.rmtree(self.path)
        return True

    def cluster_id(self) -> str | None:
        """The cluster whose data is here; None when it was never formatted."""
        try:
            found = re.search(r"^cluster\.id=(.+)$", (self.data / "meta.properties").read_text(), re.MULTILINE)
        except OSError:
            return None
        return found[1].strip() if found else None

    def log_text(self, start: int = 0) -> str:
        """The log from a byte on."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def last_lines(self, count: int = LAST_LINES) -> str:
        """The end of the log, without the Java frames."""
        said = [
            line for line in self.log_text().splitlines() if line.strip() and not line.startswith(("\tat ", "\t... "))
        ]
        return "\n".join(f"  {line}" for line in said[-count:]) or "  (it wrote none)"


def default_directory() -> Path:
    """Where a broker lives that was started without naming a directory."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "fraudstream" / "broker"
