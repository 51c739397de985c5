"""Where a run has got to: one file, replaced as a whole."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backtest.merge import Progress
from backtest.source import Position

FILE = "checkpoint.npz"


class Counts(msgspec.Struct):
    """What has passed."""

    payments: int = 0
    """In the window."""
    warm_up: int = 0
    frauds: int = 0
    """In the window."""
    parts: int = 0
    """Files of scores written."""
    seconds: float = 0.0
    """Time spent, over all beginnings."""
    finished: bool = False
    """Everything has passed; what is left is to gather and to report."""


class _About(msgspec.Struct):
    request: str
    counts: Counts
    positions: dict[int, Position]
    progress: Progress
    unreadable: int


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on."""

    request: str
    """What was asked for, as a hash: another request does not go on from here."""
    counts: Counts
    positions: Mapping[int, Position]
    progress: Progress
    unreadable: int
    snapshot: Mapping[str, NDArray[Any]]
    """`Passage.snapshot`."""

    def write(self, directory: Path) -> None:
        """Put it in place of the former one."""
        about = _About(self.request, self.counts, dict(self.positions), self.progress, self.unreadable)
        raw = np.frombuffer(msgspec.json.encode(about), dtype=np.uint8)
        beside = directory / f".{FILE}"
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, about=raw, **self.snapshot)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(directory / FILE)

    @classmethod
    def load(cls, directory: Path) -> "Checkpoint | None":
        """The last one; None where there is none."""
        path = directory / FILE
        if not path.is_file():
            return None
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        about = msgspec.json.decode(arrays.pop("about").tobytes(), type=_About)
        return cls(about.request, about.counts, about.positions, about.progress, about.unreadable, arrays)
