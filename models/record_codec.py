"""Byte codec for state records: a fixed head, then bounded histories of which only the used part is stored.

A record type is a packed numpy dtype. Its histories are parallel arrays (`payee_token`, `payee_last`, …) whose
used length stands in a one-byte counter of the head. Encoded: one version byte, the head, then of each array
its first `counter` elements. The layout follows from the dtype alone, so the codec is the same for every type.

The version is the state format with which the type last changed, counted over all types. A type that changes keeps its
dtype and codec as the `older` of the new codec, so that every older record is still read, and can still be written:
during a rolling upgrade old and new builds share records (`writing`).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.jit import byte_at, compiled, copy_bytes
from schemas.errors import NewerVersion

Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]
Convert = Callable[[NDArray[np.void], NDArray[np.void]], None]
"""Given n records and n of another version, which have the fields of the same name and type already: sets the rest."""


class RecordError(ValueError):
    """Bytes that are no record: truncated or damaged."""


class FormatError(ValueError):
    """A state format that this build does not write."""


@dataclass(frozen=True)
class History:
    """One bounded history: the counter in the head and the arrays that it measures."""

    counter: str
    arrays: tuple[str, ...]


def _nothing(given: NDArray[np.void], made: NDArray[np.void]) -> None:
    """All that there is to do where fields were only added: they stay zero."""


@dataclass(frozen=True)
class Older:
    """A type's version before its present one, and what becomes of a record between the two."""

    codec: "RecordCodec"
    upgrade: Convert = _nothing
    downgrade: Convert = _nothing
    """Must give a record that the older build could have made. What only the newer version holds is lost."""


class RecordCodec:
    """Encodes rows of a structured array to bytes and back; pure, safe to share between threads."""

    def __init__(
        self, dtype: np.dtype[np.void], version: int, histories: Sequence[History], older: Older | None = None
    ) -> None:
        assert 0 < version < 256
        assert older is None or older.codec.version < version
        self.dtype = dtype
        self.version: int = version
        self._older = older
        self._writes = version
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

    def writing(self, state_format: int) -> "RecordCodec":
        """The same codec, encoding as the newest version up to `state_format`; raises `FormatError` for none."""
        writer = copy.copy(self)
        if state_format < self.version:
            if self._older is None:
                raise FormatError(f"this build writes no state format before {self.version}")
            writer._writes = self._older.codec.writing(state_format)._writes
        return writer

    def encode(self, records: NDArray[np.void], rows: Rows) -> list[bytes]:
        """The records at `rows`, each as bytes."""
        if self._writes != self.version:
            assert self._older is not None
            older = self._older
            past = _carried(records[rows], older.codec.dtype, older.downgrade)
            return older.codec.writing(self._writes).encode(past, np.arange(rows.size))
        raw = records.view(np.uint8).reshape(records.size, self.dtype.itemsize)
        ends = _sizes(raw, rows, self._head, self._layout)
        buffer = np.empty(int(ends[-1]) if rows.size else 0, dtype=np.uint8)
        _pack(raw, rows, self.version, self._head, self._layout, ends, buffer)
        whole, stops = buffer.tobytes(), ends.tolist()
        return [whole[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]

    def decode(self, values: Sequence[bytes], records: NDArray[np.void], rows: Rows) -> None:
        """Overwrite `records` at `rows` by `values`, older ones upgraded.

        Raises `NewerVersion` where a newer build wrote one, `RecordError` where one is no record.
        """
        raw = records.view(np.uint8).reshape(records.size, self.dtype.itemsize)
        buffer = np.frombuffer(b"".join(values), dtype=np.uint8)
        ends = np.cumsum(np.fromiter(map(len, values), dtype=np.int64, count=len(values)))
        bad = int(_unpack(raw, rows, self.version, self._head, self._layout, ends, buffer))
        if bad < 0:
            return
        versions = [value[0] if value else 0 for value in values]
        if max(versions) > self.version:
            raise NewerVersion("a state record", max(versions), self.version)
        unknown = [i for i, version in enumerate(versions) if not self._reads(version)]
        if unknown or versions[bad] == self.version:
            value = values[unknown[0] if unknown else bad]
            found = f"version {value[0]}, {len(value)} bytes" if value else "no bytes"
            raise RecordError(f"not a state record of version {self.version}: {found}")
        assert self._older is not None
        own = [i for i, version in enumerate(versions) if version == self.version]
        past = [i for i, version in enumerate(versions) if version != self.version]
        self.decode([values[i] for i in own], records, rows[own])
        earlier = np.zeros(len(past), dtype=self._older.codec.dtype)
        self._older.codec.decode([values[i] for i in past], earlier, np.arange(len(past)))
        records[rows[past]] = _carried(earlier, self.dtype, self._older.upgrade)

    def _reads(self, version: int) -> bool:
        return version == self.version or (self._older is not None and self._older.codec._reads(version))


def _carried(given: NDArray[np.void], dtype: np.dtype[np.void], convert: Convert) -> NDArray[np.void]:
    """Records of another version: fields of the same name and type are carried over, `convert` does the rest."""
    made = np.zeros(given.size, dtype=dtype)
    assert dtype.fields is not None
    assert given.dtype.fields is not None
    for name in set(dtype.fields) & set(given.dtype.fields):
        if dtype.fields[name][0] == given.dtype.fields[name][0]:
            made[name] = given[name]
    convert(given, made)
    return made


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
    records, begin = np.int64(raw.ctypes.data), np.int64(out.ctypes.data)
    at = begin
    for i in range(rows.size):
        record = records + rows[i] * raw.shape[1]
        out[at - begin] = version
        copy_bytes(at + 1, record, head)
        at += 1 + head
        for k in range(layout.shape[0]):
            size = byte_at(record + layout[k, 0]) * layout[k, 2]
            copy_bytes(at, record + layout[k, 1], size)
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
