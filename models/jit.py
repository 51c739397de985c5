"""numba as this project uses it: compiled once per machine and version of the sources, without the GIL.

numba checks only a function's own file before it trusts its cache, not the files of the functions it calls.
The cache directory is therefore named after a hash of every module that holds compiled code. Set
`NUMBA_CACHE_DIR` to choose its parent, as an image does that ships the compiled code.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def _cache_directory() -> Path:
    sources = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        sources.update(path.read_bytes())
    parent = os.environ.get("NUMBA_CACHE_DIR") or Path(
        os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "fraudstream", "numba"
    )
    return Path(parent, sources.hexdigest()[:16])


CACHE_DIRECTORY = _cache_directory()


def compiled(function: F) -> F:
    """Compile `function` on its first call: IEEE arithmetic (no fast-math), division by zero as numpy does it."""
    numba.config.CACHE_DIR = str(CACHE_DIRECTORY)
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
