"""A progress bar for long work, on stderr; nothing where stderr is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yields a function that moves the bar on by a number of payments."""
    with bars() as begin:
        yield begin(what, total)


@contextmanager
def bars() -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """Yields a function that begins a bar and returns the one that moves it on; until the first, nothing is shown."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal, transient=True,
    )  # fmt: skip

    def begin(what: str, total: int | None) -> Callable[[int], None]:
        bar.start()
        task = bar.add_task(what, total=total)
        return lambda count: bar.advance(task, count)

    try:
        yield begin
    finally:
        bar.stop()
