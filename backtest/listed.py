"""Lists from a file, for payments whose entities are known by the first half of their tokens.

The file is what `fraudstream lists show --json` prints, an entry a line. An entry needs `list`, `kind`, and either
`token` or `value`, the identifier itself; `expires_at` counts, what else it says does not:

    {"list": "block", "kind": "account", "token": "9f6d…", "expires_at": 1767225600000}
    {"list": "watch", "kind": "device", "value": "d-4711"}
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import polars as pl
from msgspec import Meta
from numpy.typing import NDArray

from models.policy import ALLOW, BLOCK, ENTITIES, WATCH, Codes
from models.tokens import Tokeniser
from schemas.errors import FraudStreamError
from schemas.types import EntityKind, Token

BITS = {"block": BLOCK, "allow": ALLOW, "watch": WATCH}
NEVER = np.iinfo(np.int64).max


class ListedError(FraudStreamError):
    """Lists that cannot be read."""


class Listed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entity on one list; the last entry of an entity counts."""

    list: Literal["block", "allow", "watch"]
    kind: EntityKind
    token: Token | None = None
    value: Annotated[str, Meta(min_length=1)] | None = None
    expires_at: int | None = None
    """Epoch ms of event time."""

    def __post_init__(self) -> None:
        if (self.token is None) == (self.value is None):
            raise ValueError("an entry has either a token or a value")


@dataclass(frozen=True)
class Lists:
    """Entries with tokens, ready to look payments up."""

    entries: tuple[Listed, ...]

    def hits(self, payments: pl.DataFrame) -> Codes:
        """(n, 4) of BLOCK, ALLOW and WATCH, as `Decider.decide` takes them, of payments with `ENTITIES`, event_time."""
        times = payments["event_time"].to_numpy()
        return np.stack([self._of(name, payments[name].to_numpy(), times) for name in ENTITIES], axis=1)

    def _of(self, name: str, entities: NDArray[np.uint64], times: NDArray[np.int64]) -> Codes:
        kind = "account" if name in ("payer", "payee") else name
        found = {half_of(entry.token or ""): entry for entry in self.entries if entry.kind == kind}
        if not found:
            return np.zeros(entities.size, dtype=np.uint8)
        keys = np.array(sorted(found), dtype=np.uint64)
        listed = [found[key] for key in keys.tolist()]
        bits = np.array([BITS[entry.list] for entry in listed], dtype=np.uint8)
        ends = np.array([NEVER if entry.expires_at is None else entry.expires_at for entry in listed])
        at = np.minimum(np.searchsorted(keys, entities), keys.size - 1)
        return np.where((keys[at] == entities) & (times < ends[at]), bits[at], 0).astype(np.uint8)

    def write(self, path: Path) -> None:
        """As a file that `read_lists` reads, with tokens only."""
        path.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in self.entries))


NO_LISTS = Lists(())


def half_of(token: str) -> int:
    """The first half of a token of 32 hexadecimal digits, as `SCORED` holds it."""
    return int.from_bytes(bytes.fromhex(token)[:8], "little")


def read_lists(path: Path, tokeniser: Callable[[], Tokeniser]) -> Lists:
    """The entries of a file; the tokeniser is asked for only if one names an identifier. Raises ListedError."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ListedError(f"the lists {path} cannot be read ({error.strerror})", hint="give --lists a file") from error
    entries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(msgspec.json.decode(line, type=Listed))
            except msgspec.DecodeError as error:
                raise ListedError(
                    f"line {number} of the lists {path} is no entry: {error}",
                    hint="write it as `fraudstream lists show --json` does",
                ) from None
    return Lists(_with_tokens(entries, tokeniser))


def _with_tokens(entries: Sequence[Listed], tokeniser: Callable[[], Tokeniser]) -> tuple[Listed, ...]:
    if all(entry.value is None for entry in entries):
        return tuple(entries)
    tokens = tokeniser()
    return tuple(
        entry
        if entry.value is None
        else msgspec.structs.replace(entry, token=tokens.token(entry.value, entry.kind), value=None)
        for entry in entries
    )
