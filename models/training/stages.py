"""How long work tells that it moves on. Training knows nothing of terminals: the caller hands in what shows it."""

from typing import Protocol


class Advance(Protocol):
    """Moves a stage on by a number of its units; a note is shown beside its name."""

    def __call__(self, count: int, note: str = "") -> None: ...


class Begin(Protocol):
    """Begins a stage of so many units, None where nobody knows."""

    def __call__(self, what: str, total: int | None) -> Advance: ...


def quiet(what: str, total: int | None) -> Advance:
    """Shows nothing."""
    return _ignore


def _ignore(count: int, note: str = "") -> None:
    pass
