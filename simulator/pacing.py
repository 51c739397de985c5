"""Even spacing: how many payments are due by now, whatever happened to the ones before (an open loop)."""

import math
import time
from dataclasses import dataclass
from typing import Protocol

TICK_S = 0.001
LATE_S = 0.005
"""A payment sent this long after its time counts as late."""


class Clock(Protocol):
    """Time, so that a test can be its own."""

    def now(self) -> float:
        """Seconds, from any origin, never going back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """This machine's."""

    def now(self) -> float:
        """Seconds since some start."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass
class Pacer:
    """Payment number i is due at `started + i / rate`. It never slows down to what the receiver can take."""

    rate: float
    """Payments a second."""
    clock: Clock
    started: float
    """When payment 0 is due, by the clock."""
    sent: int = 0
    late: int = 0
    worst_s: float = 0.0
    """The longest that a payment was sent after its time."""

    def take(self, most: int) -> int:
        """How many of at most `most` payments to send now: at least one, after waiting for it where none is due."""
        while (due := self._due()) < 1:
            self.clock.sleep(max(TICK_S, self.started + self.sent / self.rate - self.clock.now()))
        count = min(due, most)
        self._count_late(count)
        self.sent += count
        return count

    def scheduled(self, number: int) -> float:
        """When payment `number` is due, by the clock."""
        return self.started + number / self.rate

    def _due(self) -> int:
        return math.floor((self.clock.now() - self.started) * self.rate) + 1 - self.sent

    def _count_late(self, count: int) -> None:
        now = self.clock.now()
        waited = now - self.scheduled(self.sent)
        self.worst_s = max(self.worst_s, waited)
        overdue = math.floor((now - LATE_S - self.started) * self.rate) + 1 - self.sent
        self.late += min(count, max(overdue, 0))
