"""Numbers to identifiers: fixed-width hexadecimal and decimal text for whole columns, about 60 ns a value."""

import numpy as np
import polars as pl

from simulator.arrays import AnyArray, Ints, Words, mix

_HEX = np.frombuffer("".join(f"{i:02x}" for i in range(256)).encode(), dtype=np.uint16)
_HEX_UPPER = np.frombuffer("".join(f"{i:02X}" for i in range(256)).encode(), dtype=np.uint16)
_DECIMAL = np.frombuffer("".join(f"{i:04d}" for i in range(10_000)).encode(), dtype=np.uint32)
_OCTET = pl.Series([f"{i}" for i in range(256)], dtype=pl.String)


def _series(text: AnyArray) -> pl.Series:
    return pl.Series(text).cast(pl.String)


def hexadecimal(number: Words, length: int, salt: int = 0) -> pl.Series:
    """`length` hex digits (a multiple of 16) that look random and depend on the number and the salt only."""
    words = np.stack([mix(number, salt, part) for part in range(length // 16)], axis=1)
    return _series(_HEX[words.view(np.uint8)].view(f"S{length}").ravel())


def short_hexadecimal(number: Words, length: int, salt: int = 0) -> pl.Series:
    """Up to 16 upper-case hex digits, an even number of them."""
    octets = mix(number, salt).view(np.uint8).reshape(-1, 8)[:, : length // 2]
    return _series(_HEX_UPPER[octets].view(f"S{length}").ravel())


def decimal(number: Ints, length: int) -> pl.Series:
    """The number's last `length` decimal digits, zeros in front."""
    groups = -(-length // 4)
    parts = np.empty((len(number), groups), dtype=np.int64)
    rest = number
    for group in range(groups - 1, -1, -1):
        rest, parts[:, group] = np.divmod(rest, 10_000)
    digits = _DECIMAL[parts].view(np.uint8).reshape(len(number), groups * 4)[:, groups * 4 - length :]
    return _series(np.ascontiguousarray(digits).view(f"S{length}").ravel())


def ip_address(number: Words) -> pl.Series:
    """Dotted address from the low 32 bits."""
    octets = number.astype("<u4").view(np.uint8).reshape(-1, 4)
    parts = pl.DataFrame({f"{i}": _OCTET.gather(octets[:, i].astype(np.uint32)) for i in range(4)})
    return parts.select(pl.concat_str(pl.all(), separator=".").alias("ip"))["ip"]


def mac_address(number: Words, salt: int = 0) -> pl.Series:
    """Six octets with colons."""
    octets = mix(number, salt).view(np.uint8).reshape(-1, 8)[:, :6]
    text = np.full((len(octets), 6, 3), ord(":"), dtype=np.uint8)
    text[:, :, :2] = _HEX[octets].view(np.uint8).reshape(-1, 6, 2)
    return _series(np.ascontiguousarray(text.reshape(-1, 18)[:, :17]).view("S17").ravel())
