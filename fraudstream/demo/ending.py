"""Everything that must end with the demo, and the signals that end it early."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

Thing = TypeVar("Thing")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ends:
    """A context manager that ends what it owns, the newest first, however the demo ends.

    The first SIGINT or SIGTERM raises KeyboardInterrupt; later ones do not disturb the cleaning up: it is short.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._before: dict[signal.Signals, Any] = {}
        self._asked = False
        self._holding = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._asked = True
        try:
            self._stack.close()
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def own(self, make: Callable[[], Thing], end: Callable[[Thing], object]) -> Thing:
        """Make something that `end` must undo. A signal waits meanwhile: nothing is made and then forgotten."""
        self._holding = True
        try:
            thing = make()
            self._stack.callback(end, thing)
        finally:
            self._holding = False
        if self._asked:
            raise KeyboardInterrupt
        return thing

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            return
        self._asked = True
        if not self._holding:
            raise KeyboardInterrupt
