"""The way up to the first live payment, stage by stage: bars on a terminal, a line each without one."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

BAR_WIDTH = 10


class Stages:
    """A context manager; `begin` gives a stage, which is told how far it is and that it is done."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.fields[note]}", style="dim", table_column=Column(no_wrap=True, overflow="ellipsis")),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:  # what was under way stays on the screen as it was
            for task in self.bars.tasks:
                self.bars.stop_task(task.id)
        self.bars.stop()

    def begin(self, name: str, note: str = "") -> "Stage":
        return Stage(self, name, self.bars.add_task(name, total=None, note=note))


class Stage:
    """One line."""

    def __init__(self, stages: Stages, name: str, task: TaskID) -> None:
        self._stages = stages
        self._name = name
        self._task = task
        self._began = time.monotonic()
        self._note = ""

    def at(self, done: float, total: float | None, note: str) -> None:
        """So far of so much; a new note is a line of its own without a terminal."""
        self._stages.bars.update(self._task, completed=done, total=total, note=note)
        if note != self._note:
            self._note = note
            self._line(f"{note} …")

    def done(self, note: str) -> None:
        self._stages.bars.update(self._task, completed=1, total=1, note=note, refresh=True)
        self._stages.bars.stop_task(self._task)
        self._line(f"{note} ({time.monotonic() - self._began:.1f} s)")

    def _line(self, text: str) -> None:
        if not self._stages.console.is_terminal:
            self._stages.console.print(Text(f"{self._name}: {text}"), soft_wrap=True)
