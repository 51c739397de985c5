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
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

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


@intrinsic
def byte_at(typing, address):  # type: ignore[no-untyped-def]
    """The byte in memory at an address. Arrays passed from function to function are counted, numbers are not.

    The array at an address must be an argument that Python holds: one made in compiled code is freed after its last use
    by name.
    """
    return types.int64(types.int64), _loading(8)


@intrinsic
def eight_at(typing, address):  # type: ignore[no-untyped-def]
    """The 8 bytes in memory from an address, of any alignment, as a little-endian number."""
    return types.uint64(types.int64), _loading(64)


@intrinsic
def put_eight(typing, address, word):  # type: ignore[no-untyped-def]
    """Write 8 bytes to memory from an address, of any alignment, as a little-endian number."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        builder.store(arguments[1], place).align = 1
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


@intrinsic
def copy_bytes(typing, to, source, size):  # type: ignore[no-untyped-def]
    """Copy so many bytes in memory from one address to another; the two do not overlap."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        to, source = (builder.inttoptr(address, ir.IntType(8).as_pointer()) for address in arguments[:2])
        cgutils.raw_memcpy(builder, to, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _loading(bits: int) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = builder.load(builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()))
        number.align = 1
        return builder.zext(number, ir.IntType(64)) if bits < 64 else number

    return generate


@intrinsic
def trailing_zeros(typing, word):  # type: ignore[no-untyped-def]
    """How many low bits of a number of 64 bits are 0."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate
