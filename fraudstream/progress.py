"""A progress bar for long work, on stderr; nothing where stderr is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yields a function that moves the bar on by a number of payments."""
    with bars() as begin:
        yield begin(what, total)


class Advance(Protocol):
    """Moves a bar on; a note is shown beside its name."""

    def __call__(self, count: int, note: str = "") -> None: ...


class Begin(Protocol):
    """Begins a bar of so many units, None where nobody knows, and returns what moves it on."""

    def __call__(self, what: str, total: int | None) -> Advance: ...


@contextmanager
def bars() -> Iterator[Begin]:
    """Yields a function that begins a bar and returns the one that moves it on; until the first, nothing is shown."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip

    def begin(what: str, total: int | None) -> Advance:
        bar.start()
        task = bar.add_task(what, total=total)

        def advance(count: int, note: str = "") -> None:
            bar.update(task, advance=count, description=f"{what}: {note}" if note else what)

        return advance

    try:
        yield begin
    finally:
        bar.stop()
