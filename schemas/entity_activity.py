"""Entity activity: who touched which payee, device or SIM, one compact record per step and partition.

A record's value is a version byte and then the rows of `ACTIVITY` as they lie in memory, 42 bytes each,
little-endian. The target partition is decided by the entity's token, so that one agent sees all of it.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.errors import DecodeError, NewerVersion
from schemas.types import ENTITY_KINDS

VERSION = 1
ACTIVITY = np.dtype(
    [
        ("kind", "u1"),  # 1 account, 2 device, 3 sim
        ("flags", "u1"),  # bits below
        ("token", "V16"),  # the entity
        ("other", "<u8"),  # first 8 bytes of the payer's token
        ("event_time", "<i8"),  # epoch ms
        ("amount", "<i8"),  # paise
    ]
)
FIRST_TIME = 1
"""Flag: the payer's first payment to this account, or first use of this device or SIM."""
OUTFLOW = 2
"""Flag: the account paid, it did not receive."""
FRAUD = 4
"""Flag: no payment, but a verdict that an earlier one was fraud: with OUTFLOW that the account was robbed, without
that it received."""
LAYERED = 8
"""Flag: the payer had itself received as much within a day."""


def encode_activity(rows: np.ndarray) -> bytes:
    """One record's value from rows of `ACTIVITY`."""
    assert rows.dtype == ACTIVITY, "rows must be of ACTIVITY"
    return b"".join((bytes((VERSION,)), np.ascontiguousarray(rows).view(np.uint8).data))


def decode_activity(value: bytes) -> np.ndarray:
    """Rows of one record's value, writable. Raises NewerVersion for a newer build's, DecodeError on anything else."""
    if not value:
        raise DecodeError("empty", "entity activity record is empty")
    if value[0] > VERSION:
        raise NewerVersion("an entity activity record", value[0], VERSION)
    if value[0] < VERSION or (len(value) - 1) % ACTIVITY.itemsize:
        raise DecodeError("malformed", "entity activity record is damaged or cut off")
    rows = np.frombuffer(value, dtype=ACTIVITY, offset=1).copy()
    if rows.size and not 1 <= rows["kind"].min() <= rows["kind"].max() <= len(ENTITY_KINDS):
        raise DecodeError("invalid_field", "entity activity of an unknown kind")
    return rows


def partition_of(rows: np.ndarray, partitions: int) -> NDArray[np.int64]:
    """Target partition of each row: the first four bytes of its token modulo `partitions`."""
    tokens = np.ascontiguousarray(rows["token"]).view("<u4").reshape(-1, 4)
    return (tokens[:, 0] % np.uint32(partitions)).astype(np.int64)


def split_activity(rows: np.ndarray, partitions: int) -> Iterator[tuple[int, bytes]]:
    """Partition and record value for each partition that has rows, in order of partition and then of row."""
    if not rows.size:
        return
    target = partition_of(rows, partitions)
    order = np.argsort(target.astype(np.min_scalar_type(partitions)), kind="stable")  # short numbers sort faster
    target = target[order]
    starts = np.flatnonzero(np.r_[True, target[1:] != target[:-1]])
    for start, end in zip(starts, np.r_[starts[1:], target.size], strict=True):
        yield int(target[start]), encode_activity(rows.take(order[start:end]))
