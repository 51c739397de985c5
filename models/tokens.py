"""Identifiers become tokens: a keyed BLAKE3 hash, so that nobody without the key can test a guess.

A token is 128 bits. Raw VPAs, device ids and SIM ids stop here: state, alerts, logs and metrics carry tokens only.
The hash runs over key, kind and value in one vector operation; BLAKE3 has no length extension, so a prefixed key
authenticates (https://github.com/BLAKE3-team/BLAKE3-specs, section 7.10 on keyed use).
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

from models.hashing import BLOCK, CHUNK, after_first_block, blake3
from models.jit import compiled, eight_at, put_eight
from schemas.errors import FraudStreamError

Kind = Literal["account", "device", "sim", "hardware", "address"]
KEY_BYTES = 32
SEPARATOR = "\x1f"
PREFIX_BYTES = 32
"""Room for what is hashed before a value, behind the key."""
SEPARATED, NONE = (np.uint64(int.from_bytes(text.encode(), "little")) for text in (SEPARATOR, str(None)))


class TokenKeyError(FraudStreamError):
    """The token key cannot be used."""


@dataclass(frozen=True)
class Tokeniser:
    """Turns identifiers into tokens under one key; `version` says which, for the day it is rotated."""

    key: bytes = field(repr=False)
    version: int = 1

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise TokenKeyError(
                f"the token key has {len(self.key)} bytes, not {KEY_BYTES}",
                hint="create one with `fraudstream config new-token-key --out FILE`",
            )

    def tokens(self, columns: Iterable[tuple[Kind, Sequence[str | None]]]) -> bytes:
        """Tokens of whole columns, one after the other, 16 bytes each; zeros for null."""
        keyed: list[str | None] = []
        for kind, values in columns:
            prefix = self._prefix(kind)
            keyed += [None if value is None else prefix + value for value in values]
        hashed = pl.DataFrame({"value": keyed}, schema={"value": pl.String}).select(
            plh.col("value").chash.blake3().str.slice(0, 32)
        )
        return bytes.fromhex("".join(hashed.to_series().fill_null("0" * 32).to_list()))

    def _prefix(self, kind: Kind) -> str:
        """What is hashed before a value; the key's digits fill BLAKE3's first block."""
        return SEPARATOR.join((self.key.hex(), str(self.version), kind, ""))

    def tokenise(
        self,
        data: NDArray[np.uint8],
        spans: NDArray[np.int64],
        kinds: Sequence[Kind],
        parts: NDArray[np.int64],
        columns: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        rows: NDArray[np.uint64],
    ) -> None:
        """The same tokens of texts in a buffer, no string being made.

        `spans` (n, texts, 2) say where the texts begin, -1 for null, and end. The k-th token of a row is of kind
        `kinds[k]` and made of the texts `parts[k]`, filled up with -1: several are joined, unless all are empty. Its
        halves go to the `columns[k]` of `rows`, -1 for nowhere. Only `chosen` rows (n,) are touched.
        """
        start = after_first_block(self._prefix("account").encode()[:BLOCK])
        prefixes = [self._prefix(kind).encode()[BLOCK:] for kind in kinds]
        words = np.array([np.frombuffer(prefix.ljust(PREFIX_BYTES, b"\0"), dtype="<u8") for prefix in prefixes])
        sizes = np.array([len(prefix) for prefix in prefixes])
        message = np.zeros(CHUNK, dtype=np.uint8)  # ours, so that it stays while only its address is used
        _tokenise(data, spans, start, words, sizes, message, parts, columns, chosen, rows)

    def token(self, value: str, kind: Kind = "account") -> str:
        """One identifier's token as 32 hexadecimal digits."""
        return self.tokens([(kind, [value])]).hex()

    @classmethod
    def load(cls, path: Path) -> "Tokeniser":
        """Read a key file: `VERSION:HEX`, or just 64 hexadecimal digits for version 1."""
        hint = "create one with `fraudstream config new-token-key --out FILE`"
        try:
            text = path.read_text().strip()
        except OSError as error:
            raise TokenKeyError(f"cannot read the token key {path}: {error.strerror}", hint=hint) from None
        version, _, digits = text.rpartition(":")
        try:
            return cls(bytes.fromhex(digits), int(version or 1))
        except ValueError:
            raise TokenKeyError(f"{path} holds no token key", hint=hint) from None


@compiled
def _tokenise(
    data: Any, spans: Any, start: Any, prefixes: Any, sizes: Any, message: Any, parts: Any, columns: Any, chosen: Any,
    rows: Any,
) -> None:  # fmt: skip
    base, first, begin = data.ctypes.data, start.ctypes.data, np.int64(message.ctypes.data)
    for i in range(rows.shape[0]):
        for k in range(sizes.size if chosen[i] else 0):
            for j in range(prefixes.shape[1]):
                put_eight(begin + 8 * j, prefixes[k, j])
            p, known = begin + sizes[k], False
            for j in range(parts.shape[1]):
                if parts[k, j] < 0:
                    break
                if j:
                    put_eight(p, SEPARATED)
                    p += 1
                text, size = base + spans[i, parts[k, j], 0], spans[i, parts[k, j], 1] - spans[i, parts[k, j], 0]
                if spans[i, parts[k, j], 0] < 0:
                    put_eight(p, NONE)
                    p += 4
                else:
                    for at in range(0, size, 8):
                        put_eight(p + at, eight_at(text + at))
                    p += size
                    known |= size > 0 or parts[k, 1] < 0
            for at in range(0, BLOCK, 8):
                put_eight(p + at, np.uint64(0))
            low, high = blake3(first, begin, p - begin) if known else (np.uint64(0), np.uint64(0))
            rows[i, columns[k, 0]] = low
            if columns[k, 1] >= 0:
                rows[i, columns[k, 1]] = high


def new_key() -> bytes:
    """A fresh random key."""
    return secrets.token_bytes(KEY_BYTES)
