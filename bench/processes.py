"""Processor time and memory of a process and its descendants, from Linux's /proc and from its end."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.2


@dataclass(frozen=True)
class Usage:
    """What the processes of one session have used so far; None where the system does not tell."""

    cpu_s: float | None
    peak_rss_mib: float | None


@dataclass(frozen=True)
class Spent:
    """What one command took, start and end of its process included."""

    exit_code: int
    seconds: float
    cpu_s: float
    peak_rss_mib: float
    """Of the process itself, as last seen at most `LOOK_S` before its end."""


def spent(command: Sequence[str], directory: Path) -> Spent:
    """Run a command to its end, its output on this process's stderr. Whatever interrupts this ends it."""
    began = time.monotonic()
    peak = 0.0
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=sys.stderr) as process:
        try:
            while True:
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    break
                # Not the peak that wait4 tells: that is never below the parent's.
                peak = max(peak, peak_mib(Path(f"/proc/{process.pid}/status").read_text()))
                time.sleep(LOOK_S)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    return Spent(process.returncode, round(time.monotonic() - began, 1), round(cpu, 1), round(peak, 1))


def usage(session: int) -> Usage:
    """Sums over the processes whose session is led by process `session`; the peak is that of the largest."""
    cpu, peak = 0.0, 0.0
    found = False
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            found = True
            cpu += (int(fields[11]) + int(fields[12])) / TICKS_PER_S
            peak = max(peak, peak_mib((entry / "status").read_text()))
        except OSError:
            continue  # it ended meanwhile
    return Usage(round(cpu, 2), round(peak, 1)) if found else Usage(None, None)


def peak_mib(status: str) -> float:
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines.get("VmHWM", "0 kB").split()[0]) / 1024
