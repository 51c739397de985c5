"""Results as JSON files."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.errors import BenchError

Result = dict[str, Any]
"""As the benchmark made it; what it holds is between that benchmark and its tables."""
WIDTH = 160
"""Where there is no terminal."""

console = Console(highlight=False, width=None if Console().is_terminal else WIDTH)


def write(result: Result, path: Path | None) -> None:
    """Write a result, if a path was given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        console.print(f"written to {path}")


def read(path: Path) -> Result:
    """A result that `write` wrote. Raises BenchError."""
    try:
        found = json.loads(path.read_text())
        if isinstance(found, dict) and "benchmark" in found:
            return found
    except (OSError, ValueError) as error:
        raise BenchError(f"{path} cannot be read: {error}", hint="give files that --json wrote") from error
    raise BenchError(f"{path} is no benchmark's result", hint="give files that --json wrote")
