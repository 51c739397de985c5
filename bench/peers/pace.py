"""How fast a participant was, from what was seen of its committed offsets. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """The first look that showed so many payments committed."""

    at_s: float
    """By the monotonic clock."""
    committed: int


@dataclass(frozen=True)
class Pace:
    """From the first commit seen to the last."""

    payments: int
    seconds: float

    @property
    def rate(self) -> float | None:
        """Payments a second; None where one commit was all."""
        return self.payments / self.seconds if self.seconds > 0 else None


def pace(looks: Sequence[Look]) -> Pace:
    """Of looks in order, each with more payments than the one before; the first one starts the clock."""
    if not looks:
        return Pace(0, 0.0)
    return Pace(looks[-1].committed - looks[0].committed, looks[-1].at_s - looks[0].at_s)


def second_half(looks: Sequence[Look]) -> Pace:
    """The same from the first commit seen after half of the time."""
    if not looks:
        return Pace(0, 0.0)
    middle = (looks[0].at_s + looks[-1].at_s) / 2
    return pace([look for look in looks if look.at_s >= middle])
