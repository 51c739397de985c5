"""A broker's process: who it is, whether it still runs, and how it is ended.

A process is named by its id and its start, so that a number handed on to a stranger is never signalled.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream import broker_guard

POLL_S = 0.02
JVM_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
"""Meant for other programs; they would change the broker."""


@dataclass(frozen=True)
class ProcessIdentity:
    """Process id and start: together they name one process for ever."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The process that has this id now, if it lives; a zombie does not."""
        started = _start_of(pid)
        return cls(pid, started) if started else None

    def alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self


def _start_of(pid: int) -> str:
    """When a process started, in whatever form the system gives it; "" when there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The name, in parentheses, may hold spaces: fields are counted after it. State is the 3rd, start the 22nd.
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"
    shown = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = shown.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def launch(command: Sequence[str], log: Path, *, outlives_us: bool) -> "subprocess.Popen[bytes]":
    """Starts a command as leader of its own session, its output in `log`; guarded unless it is to outlive us."""
    guard = [] if outlives_us else [sys.executable, "-I", "-S", broker_guard.__file__]
    with log.open("ab") as output:
        return subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL if outlives_us else subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name not in JVM_VARIABLES},
        )


def end(process: ProcessIdentity, grace_s: float) -> None:
    """SIGTERM, and after `grace_s` SIGKILL to its whole session. Returns when it is gone."""
    if _signal(process, signal.SIGTERM) and not _gone(process, grace_s):
        os.killpg(process.pid, signal.SIGKILL)
        _gone(process, grace_s)


def _signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    if not process.alive():
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _gone(process: ProcessIdentity, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while process.alive():
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S)
    return True
