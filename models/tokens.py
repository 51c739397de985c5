"""Identifiers become tokens: a keyed BLAKE3 hash, so that nobody without the key can test a guess.

A token is 128 bits. Raw VPAs, device ids and SIM ids stop here: state, alerts, logs and metrics carry tokens only.
The hash runs over key, kind and value in one vector operation; BLAKE3 has no length extension, so a prefixed key
authenticates (https://github.com/BLAKE3-team/BLAKE3-specs, section 7.10 on keyed use).
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl
import polars_hash as plh

from schemas.errors import FraudStreamError

Kind = Literal["account", "device", "sim", "hardware", "address"]
KEY_BYTES = 32


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
            prefix = f"{self.key.hex()}\x1f{self.version}\x1f{kind}\x1f"
            keyed += [None if value is None else prefix + value for value in values]
        hashed = pl.DataFrame({"value": keyed}, schema={"value": pl.String}).select(
            plh.col("value").chash.blake3().str.slice(0, 32)
        )
        return bytes.fromhex("".join(hashed.to_series().fill_null("0" * 32).to_list()))

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


def new_key() -> bytes:
    """A fresh random key."""
    return secrets.token_bytes(KEY_BYTES)
