"""The fault matrix: each row done to real workers and brokers, and what the oracle found afterwards.

    python -m bench.faults [--quick] [--rows 9,12] [--seed N] [--json bench/results/faults.json]

Runs the tests under tests/faults, about half an hour in full form, and makes a table of their books. Ends with 1 when
anything failed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.environment import ROOT, environment
from bench.errors import BenchError, run
from bench.options import Json
from bench.results import console, write
from bench.tables import show

FAULTS = {
    1: "SIGKILL before the transaction begins",
    2: "SIGKILL after producing",
    3: "SIGKILL after offsets were added",
    4: "SIGKILL during the commit",
    5: "SIGKILL after the commit, before RocksDB",
    6: "SIGKILL during memtable flush and compaction",
    7: "SIGKILL during a restore",
    8: "SIGKILL in the callback of a revocation",
    9: "random SIGKILLs, seeded",
    10: "broker killed under load",
    11: "coordinator killed in the middle of a commit",
    12: "zombie: SIGSTOP beyond the session timeout",
    13: "second process with the same slot",
    14: "answer to a commit lost",
    15: "broker unreachable, slow",
    16: "disk full under the state",
    17: "disk full under the broker",
    18: "local state deleted, truncated, bit-flipped",
    19: "changelog made again or truncated under committed offsets",
    20: "poison payments",
    21: "every payment poison",
    22: "schema versions 1 and 2 mixed",
    23: "clock skew, late and future payments",
    24: "duplicate, id-reusing and reordered payments",
    25: "one payer makes 90 % of the load",
    26: "workers join and leave every 2 s",
    27: "a step slower than the poll interval",
    28: "truncated, tampered, wrong-feature model bundle",
    29: "exception in a callback of librdkafka",
    30: "right revoked while running",
    31: "rolling upgrade from older state and features, and rollback",
    32: "changelog's commit marker later than the group's",
}
COUNTS = ("runs", "kills", "payments", "lost", "doubled", "disordered")
POLL_S = 0.2
EXPLAINED_CHARACTERS = 200
SELECTED, NONE_SELECTED = 0, 5
"""Pytest's exit codes for tests that passed and for none found."""


def main(
    quick: Annotated[bool, typer.Option("--quick", help="The short form, as `make test` runs it.")] = False,
    rows: Annotated[str, typer.Option(help="Only these rows, separated by commas.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of everything random; else each test chooses and shows it.")] = None,
    output: Json = None,
) -> None:
    """Run the fault matrix and show what came out."""
    chosen = _chosen(rows)
    taken = environment({"form": "quick" if quick else "full", "rows": rows or "all", "seed": seed})
    options = ["--faults", "quick" if quick else "full", "--fault-rows", rows]
    options += [] if seed is None else ["--faults-seed", str(seed)]
    with tempfile.TemporaryDirectory(prefix="fraudstream-faults-") as home:
        ledger, log = Path(home, "ledger.jsonl"), Path(home, "pytest.log")
        began = time.monotonic()
        code = _watched(options, ledger, log)
        seconds = round(time.monotonic() - began)
        if code not in (SELECTED, NONE_SELECTED):
            console.print(log.read_text(errors="replace"), markup=False)
        result = {"benchmark": "faults", **taken, **books(_events(ledger), chosen), "seconds": seconds}
    show(result)
    write(result, output)
    if code != SELECTED:
        raise BenchError(f"the fault suite failed (pytest: {code})", hint="see the failures above")


def _chosen(rows: str) -> list[int]:
    """Numbers of rows, all for an empty text."""
    try:
        chosen = [int(part) for part in rows.split(",")] if rows else list(FAULTS)
    except ValueError:
        raise BenchError(f"{rows!r} are no rows", hint="write --rows 1,9") from None
    if unknown := set(chosen) - set(FAULTS):
        raise BenchError(f"there is no row {min(unknown)}", hint=f"rows are 1 to {max(FAULTS)}")
    return chosen


def _watched(options: Sequence[str], ledger: Path, log: Path) -> int:
    """Runs pytest, shows which row is running, and returns pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "tests/faults", "-p", "no:cacheprovider", *options]
    ledger.touch()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip
    with log.open("wb") as out, ledger.open() as lines, bar:
        task = bar.add_task("starting", total=None)
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "FAULTS_LEDGER": str(ledger)}
        )
        try:
            while process.poll() is None:
                time.sleep(POLL_S)
                for event in map(json.loads, lines):
                    if event["event"] == "collected":
                        bar.update(task, total=event["tests"])
                    elif event["event"] == "started":
                        bar.update(task, description=_named(event))
                    elif event["event"] == "ended":
                        bar.advance(task)
                        if event["outcome"] != "skipped" and (event["rows"] or event["outcome"] == "failed"):
                            bar.print(f"{_named(event)}: {event['outcome']}, {event['seconds']:.0f} s")
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # what it has started ends with it
                process.wait()
    return process.returncode


def _named(event: dict[str, Any]) -> str:
    """A test in words."""
    rows = event["rows"]
    return f"row {rows[0]}, {FAULTS[rows[0]]}" if rows else event["name"]


def _events(ledger: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def books(events: Sequence[dict[str, Any]], chosen: Sequence[int]) -> dict[str, Any]:
    """The rows' results, their totals, and how many checks of the oracle itself passed, from a ledger's events."""
    rows = [_row(number, events) for number in chosen]
    totals = {name: sum(row[name] for row in rows) for name in (*COUNTS, "seconds")}
    checks = [event for event in events if event["event"] == "ended" and not event["rows"]]
    passed = sum(event["outcome"] == "passed" for event in checks)
    return {"rows": rows, "totals": totals, "checks": {"passed": passed, "failed": len(checks) - passed}}


def _row(number: int, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    runs = [event for event in events if event["event"] == "run" and event["row"] == number]
    tests = [event for event in events if event["event"] == "ended" and number in event["rows"]]
    return {
        "row": number,
        "fault": FAULTS[number],
        "runs": len(runs),
        **{name: sum(run[name] for run in runs) for name in COUNTS[1:]},
        "seconds": round(sum(test["seconds"] / len(test["rows"]) for test in tests), 1),
        "result": _result(tests),
    }


def _result(tests: Sequence[dict[str, Any]]) -> str:
    """Failed if any did; not run if none ran."""
    failures = [test["why"] for test in tests if test["outcome"] == "failed"]
    skips = [test["why"] for test in tests if test["outcome"] == "skipped"]
    if failures:
        return f"failed: {' '.join(failures[0].split())[:EXPLAINED_CHARACTERS]}"
    if len(skips) < len(tests):
        return "ok"
    return f"not run: {skips[0].removeprefix('not run: ') if skips else 'there is no test'}"


if __name__ == "__main__":
    run(main)
