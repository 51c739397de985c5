"""Byte codec for state records: a fixed head, then bounded histories of which only the used part is stored.

A record type is a packed numpy dtype. Its histories are parallel arrays (`payee_token`, `payee_last`, …) whose
used length stands in a one-byte counter of the head. Encoded: one version byte, the head, then of each array
its first `counter` elements. The layout follows from the dtype alone, so the codec is the same for every type.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.jit import compiled

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]


class RecordError(ValueError):
    """Bytes that are no record of this version: truncated, damaged or written by a newer build."""


@dataclass(frozen=True)
class History:
    """One bounded history: the counter in the head and the arrays that it measures."""

    counter: str
    arrays: tuple[str, ...]


class RecordCodec:
    """Encodes rows of a structured array to bytes and back; pure, safe to share between threads."""

    def __init__(self, dtype: np.dtype[np.void], version: int, histories: Sequence[History]) -> None:
        self.dtype = dtype
        self.version = version
        assert dtype.fields is not None
        assert dtype.names is not None
        array_names = {name for history in histories for name in history.arrays}
        starts = [dtype.fields[name][1] for name in array_names]
        self._head = min(starts, default=dtype.itemsize)
        assert all((dtype.fields[n][1] >= self._head) == (n in array_names) for n in dtype.names), (
            "histories follow the head"
        )
        layout = []  # a row an array: counter's offset, array's offset, element's size, capacity
        for history in histories:
            for name in history.arrays:
                field, offset = dtype.fields[name][:2]
                layout.append((dtype.fields[history.counter][1], offset, field.base.itemsize, field.shape[0]))
        self._layout = np.array(layout, dtype=np.int64).reshape(-1, 4)

    @property
    def max_bytes(self) -> int:
        """The longest an encoded record can be."""
        return 1 + self.dtype.itemsize

    def encode(self, records: NDArray[np.void], rows: Rows) -> list[bytes]:
        """The records at `rows`, each as bytes."""
        raw = records.view(np.uint8).reshape(records.size, self.dtype.itemsize)
        ends = _sizes(raw, rows, self._head, self._layout)
        buffer = np.empty(int(ends[-1]) if rows.size else 0, dtype=np.uint8)
        _pack(raw, rows, self.version, self._head, self._layout, ends, buffer)
        whole, stops = buffer.tobytes(), ends.tolist()
        return [whole[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]

    def decode(self, values: Sequence[bytes], records: NDArray[np.void], rows: Rows) -> None:
        """Overwrite `records` at `rows` by `values`; raises `RecordError` where one cannot be read."""
        raw = records.view(np.uint8).reshape(records.size, self.dtype.itemsize)
        buffer = np.frombuffer(b"".join(values), dtype=np.uint8)
        ends = np.cumsum(np.fromiter(map(len, values), dtype=np.int64, count=len(values)))
        bad = _unpack(raw, rows, self.version, self._head, self._layout, ends, buffer)
        if bad >= 0:
            value = values[bad]
            found = f"version {value[0]}, {len(value)} bytes" if value else "no bytes"
            raise RecordError(f"not a state record of version {self.version}: {found}")


@compiled
def _sizes(raw: Bytes, rows: Rows, head: int, layout: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each encoded record ends in the common buffer."""
    ends = np.empty(rows.size, dtype=np.int64)
    total = 0
    for i in range(rows.size):
        total += 1 + head
        for k in range(layout.shape[0]):
            total += raw[rows[i], layout[k, 0]] * layout[k, 2]
        ends[i] = total
    return ends


@compiled
def _pack(
    raw: Bytes, rows: Rows, version: int, head: int, layout: NDArray[np.int64], ends: NDArray[np.int64], out: Bytes
) -> None:
    at = 0
    for i in range(rows.size):
        record = raw[rows[i]]
        out[at] = version
        at += 1
        out[at : at + head] = record[:head]
        at += head
        for k in range(layout.shape[0]):
            size = record[layout[k, 0]] * layout[k, 2]
            out[at : at + size] = record[layout[k, 1] : layout[k, 1] + size]
            at += size


@compiled
def _unpack(
    raw: Bytes, rows: Rows, version: int, head: int, layout: NDArray[np.int64], ends: NDArray[np.int64], data: Bytes
) -> int:
    """Index of the first value that cannot be read, or -1."""
    start = 0
    for i in range(rows.size):
        stop = ends[i]
        record = raw[rows[i]]
        if stop - start < 1 + head or data[start] != version:
            return i
        at = start + 1
        record[:] = 0
        record[:head] = data[at : at + head]
        at += head
        for k in range(layout.shape[0]):
            count = record[layout[k, 0]]
            size = count * layout[k, 2]
            if count > layout[k, 3] or at + size > stop:
                record[:] = 0
                return i
            record[layout[k, 1] : layout[k, 1] + size] = data[at : at + size]
            at += size
        if at != stop:
            record[:] = 0
            return i
        start = stop
    return -1
