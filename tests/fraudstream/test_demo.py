"""`fraudstream demo` as a user runs it: without a terminal, on one, and interrupted."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraudstream.demo.summary import Summary, summarise
from fraudstream.demo.watch import Figures, Ledger

SMALL = ("--customers", "1500", "--rate", "500")
COMMAND = (sys.executable, "-m", "fraudstream", "demo")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
WIDTH, HEIGHT = 100, 30


@pytest.fixture
def environment(tmp_path, clean_environment) -> dict[str, str]:
    """Everything temporary, and so every command line of a child, is under the test's own directory."""
    (tmp_path / "tmp").mkdir()
    return os.environ | {"TMPDIR": str(tmp_path / "tmp"), "TERM": "xterm-256color"}


@pytest.fixture
def nothing_left(tmp_path) -> Iterator[None]:
    yield
    assert list((tmp_path / "tmp").iterdir()) == []
    commands = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    assert [line for line in commands.splitlines() if str(tmp_path) in line] == []


@pytest.mark.broker
@pytest.mark.slow
def test_without_a_terminal_it_prints_lines_ends_by_itself_and_the_counts_add_up(tmp_path, environment, nothing_left):
    kept = tmp_path / "kept"
    arguments = (*SMALL, "--seconds", "8", "--retrain", "--keep", str(kept))
    done = subprocess.run((*COMMAND, *arguments), capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert re.search(r"alert [\w ]+ \d+, ₹[\d,]+: The (model's score is|rule “|payment is unlike)", done.stdout)

    summary = json.loads((kept / "summary.json").read_text())
    alerts = (kept / "alerts.jsonl").read_bytes().splitlines()
    assert summary["payments"] == summary["decisions"] == 4000
    assert (summary["doubles"], summary["missing"], summary["alerts_missing"]) == (0, 0, 0)
    assert summary["alerts"] == len(alerts) >= 1
    assert summary["caught"] + summary["false_alarms"] == summary["alerts"]
    assert sum(frauds for frauds, _ in summary["by_kind"].values()) == summary["frauds"]
    assert "4,000, each decided exactly once" in done.stdout


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "streaming"), (signal.SIGTERM, "Apache Kafka: 127")],
)
def test_an_interrupt_ends_it_with_130_and_leaves_nothing(environment, nothing_left, number, moment):
    command = (*COMMAND, *SMALL, "--seconds", "60")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert any(moment in line for line in demo.stdout)
        demo.send_signal(number)
        rest, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "")
    assert "interrupted" in rest


@pytest.mark.broker
@pytest.mark.slow
def test_on_a_terminal_the_screen_shows_figures_and_alerts_with_their_reasons(environment, nothing_left):
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    demo = subprocess.Popen(
        (*COMMAND, *SMALL, "--seconds", "8"), stdin=its, stdout=its, stderr=its, env=environment, close_fds=True
    )
    os.close(its)
    shown = ANSI.sub("", b"".join(_chunks(ours)).decode())
    assert demo.wait(timeout=60) == 0, shown[-2000:]
    assert "to alert" in shown
    assert re.search(r"newest of \d+ alerts, and why", shown)
    assert re.search(r" (critical|high|by rule) \d+ +₹[\d,]+ .*\r\n   The \w.*\r\n   • \w", shown)
    assert "each decided exactly once" in shown
    assert max(len(line) for line in re.split(r"[\r\n]+", shown)) <= WIDTH


def _chunks(descriptor: int) -> Iterator[bytes]:
    """What a pseudo-terminal's program writes, until it ends: Linux reports that as an error."""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(65_536):
                yield chunk
        except OSError:
            return


def test_a_directory_in_use_is_not_kept_in(run_cli, tmp_path):
    (tmp_path / "something").touch()
    done = run_cli("demo", "--keep", str(tmp_path))
    assert (done.code, "is not an empty directory" in done.err) == (1, True)


def test_a_stream_beyond_the_present_is_refused(run_cli):
    done = run_cli("demo", "--seconds", "80000", "--rate", "100000")
    assert (done.code, "beyond today" in done.err) == (1, True)


def test_offsets_that_follow_are_no_doubles_and_no_gaps():
    ledger = Ledger()
    assert [ledger.enter(0, 0, 9, 10), ledger.enter(1, 0, 4, 5), ledger.enter(0, 10, 10, 1)] == [(0, 0)] * 3


@pytest.mark.parametrize(
    ("first", "last", "rows", "wrong"),
    [(5, 14, 10, (5, 0)), (12, 14, 3, (0, 2)), (10, 14, 4, (0, 1)), (0, 9, 10, (10, 0))],
)
def test_offsets_that_do_not_follow_are_counted_and_named(first, last, rows, wrong):
    ledger = Ledger()
    ledger.enter(0, 0, 9, 10)
    assert ledger.enter(0, first, last, rows) == wrong
    assert f"offsets {first} to {last}" in ledger.odd[0]


@pytest.fixture
def summary_of(tmp_path) -> Callable[..., Summary]:
    """Ten payments, two of them fraud: `summary_of(decided=10, alerted=["a"])`."""
    import polars as pl

    truth = tmp_path / "truth.parquet"
    pl.DataFrame({"transaction_id": ["a", "b"], "kind": ["sim_swap", "app_scam"]}).write_parquet(truth)

    def make(decided: int, alerted: list[str]) -> Summary:
        return summarise(10, 1.0, Figures(decided=decided, flagged=2, alerted=alerted), Path(truth))

    return make


def test_a_summary_tells_caught_missed_and_false_alarms(summary_of):
    summary = summary_of(decided=10, alerted=["a", "x"])
    assert (summary.adds_up, summary.caught, summary.false_alarms, summary.precision) == (True, 1, 1, 0.5)
    assert summary.by_kind == {"sim_swap": (1, 1), "app_scam": (1, 0)}


@pytest.mark.parametrize(
    ("decided", "alerted"), [(9, ["a", "x"]), (11, ["a", "x"]), (10, ["a"]), (10, ["a", "x", "a"])]
)
def test_a_payment_or_alert_too_few_or_too_many_does_not_add_up(summary_of, decided, alerted):
    assert not summary_of(decided, alerted).adds_up
