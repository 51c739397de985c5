"""The processes that the demo starts. None outlives it, however it dies: each ends when its standard input closes.

The demo's own modules speak JSON lines with it (`talk`); any other program runs under the guard that the local broker
uses. All are leaders of sessions of their own, so that Ctrl-C reaches the demo alone, which then ends them in order.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from typing import Any

from fraudstream.errors import UserError
from stream import broker_guard

KEPT_VARIABLE = "FRAUDSTREAM_DEBUG"
LAST_LINES = 5

Report = dict[str, Any]


def _environment() -> dict[str, str]:
    """Ours without settings of FraudStream's: those are for the user's own cluster, not for the demo."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FRAUDSTREAM_") or name == KEPT_VARIABLE
    }


class Child:
    """One process, its output in a log. `end` may be called at any time and more than once."""

    def __init__(self, name: str, command: Sequence[str], log: Path, stdout: int | None = None) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output if stdout is None else stdout,
                stderr=output,
                start_new_session=True,
                env=_environment(),
            )

    @classmethod
    def guarded(cls, name: str, arguments: Sequence[str], log: Path) -> "Child":
        """`python -m ARGUMENTS`, ended by the guard when we are gone."""
        guard = [sys.executable, "-I", "-S", broker_guard.__file__]
        return cls(name, [*guard, sys.executable, "-m", *arguments], log)

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def check(self) -> None:
        """Raise UserError when the process failed."""
        if self.exit_code not in (None, 0):
            raise UserError(
                f"{self.name} ended with exit code {self.exit_code}. Its last lines:\n{self.last_lines()}",
                hint="correct what they name; --keep DIR keeps the whole logs",
            )

    def last_lines(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line[:300]}" for line in lines[-LAST_LINES:])

    def terminate(self, grace_s: float) -> bool:
        """SIGTERM, and wait: whether it ended by itself."""
        if self.exit_code is None:
            self._process.terminate()
        return self._wait(grace_s)

    def end(self, grace_s: float = 5.0) -> None:
        """Close its standard input, and after `grace_s` kill it and whatever it started."""
        if self._process.stdin:
            self._process.stdin.close()
        if not self._wait(grace_s):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False


class Talking(Child):
    """One of our own modules, which runs `talk`: it gets an order, may be told words, and reports."""

    def __init__(self, name: str, module: str, order: Report, log: Path, heard: Callable[[Report], None]) -> None:
        command = [sys.executable, "-m", module, json.dumps(order)]
        super().__init__(name, command, log, stdout=subprocess.PIPE)
        self._heard = heard
        self._reader = threading.Thread(target=self._read, name=name, daemon=True)
        self._reader.start()

    def tell(self, word: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()

    def finished(self) -> bool:
        """Whether it ended well and all of its reports were heard. Raises UserError when it failed."""
        self.check()
        return self.exit_code == 0 and not self._reader.is_alive()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._heard(json.loads(line))


class Talk:
    """The other side: what a module of ours reads and writes. Ends the process when the demo is gone."""

    def __init__(self) -> None:
        self.order: Report = json.loads(sys.argv[1])
        self._words: Queue[str] = Queue(maxsize=8)
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    def report(self, **what: Any) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    def wait_for_word(self) -> str:
        return self._words.get()

    def _listen(self) -> None:
        while words := os.read(0, 1024):  # unbuffered: a buffer's lock would be held when the interpreter ends
            for word in words.decode().split():
                self._words.put(word)
        os._exit(1)  # at once, even from the middle of growing a tree: nothing here needs to be saved
