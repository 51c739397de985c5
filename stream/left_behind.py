"""Calls into a library that may never return: made in a thread that can be left behind.

A thread that hangs in native code cannot be ended. It is a daemon, holds what it was given for as long as the process
lives, and is not waited for.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any


class Caller:
    """Makes one call at a time, in a thread of its own that is kept from call to call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] | None = None
        self.left_behind = 0
        """Calls that did not return in time."""

    def call(self, call: Callable[[], None], timeout_s: float) -> None:
        """Raises what the call raises, and `TimeoutError` when it does not return in time: it may go on for ever."""
        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True).start()
        answer: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._calls.put((call, answer))
        try:
            error = answer.get(timeout=timeout_s)
        except queue.Empty:
            self._calls = None
            self.left_behind += 1
            raise TimeoutError(f"no return within {timeout_s:g} s") from None
        if error is not None:
            raise error

    def close(self) -> None:
        """End the thread, if it is not left behind."""
        if self._calls is not None:
            self._calls.put((_end, queue.SimpleQueue()))
            self._calls = None


def _end() -> None:
    raise SystemExit


def _work(calls: "queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]]") -> None:
    while True:
        call, answer = calls.get()
        try:
            call()
            answer.put(None)
        except SystemExit:
            return
        except BaseException as error:
            answer.put(error)
        del call, answer  # a producer that was given up must go before its successor comes
