"""Decisions: what was decided about every payment, one columnar record per step and source partition.

A record's value is one envelope::

    4 bytes    length of the metadata, little-endian
    metadata   JSON, a `DecisionMeta`: what is the same for all rows
    rows       Arrow IPC stream, zstd if they are many: one row a payment, in source order

Audit, live quality, the lake and a replay's comparison rest on it. Tokens only, no identifiers.
"""

import io
import zlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import polars as pl
from msgspec import Meta

from schemas.alert import ModelRef
from schemas.arrow_stream import Column, write_stream
from schemas.errors import DecodeError
from schemas.types import EventTime, Name, Offset, Partition, Score, Sha256, Topic

VERSION = 2
"""1 has neither the column second_score nor second_threshold, and is still read."""
MAX_ROWS = 4096
"""Rows to put into one record: even when nothing compresses, they stay below a broker's default 1 MiB."""

COMPRESSED_ROWS = 512
"""From so many rows on they are compressed: for fewer it takes longer than all the rest, and gains little."""

COLUMNS: dict[str, pl.DataType] = {
    "offset": pl.Int64(),  # on the source partition
    "transaction_id": pl.String(),
    "payer_token": pl.String(),  # 32 hex
    "event_time": pl.Int64(),  # epoch ms
    "features_hash": pl.UInt64(),  # digest of the feature row
    "probability": pl.Float32(),  # calibrated, 0 to 1
    "score": pl.Int16(),  # 0 to 1000
    "band": pl.String(),
    "flagged": pl.Boolean(),
    "decided_by": pl.String(),  # list, rule, model or second_opinion
    "rule": pl.String(),  # the list or rule that decided; null for the models
    "status": pl.UInt8(),  # status bits of the engine
    "second_score": pl.Int16(),  # 0 to 1000, of the second opinion; absent without one
}
OPTIONAL = frozenset({"rule", "second_score"})
EXTRA_PREFIXES = ("challenger_", "risk_")
"""Further Float32 columns: challenger_0 … the probabilities of the challengers in the metadata's order,
risk_… the entity-risk values that were used (NaN: unknown)."""

STATUS_FLAGS = {
    1: "duplicate",
    2: "id_conflict",
    4: "late",
    8: "clamped",
    16: "first_payee",
    32: "new_device",
    64: "new_sim",
    128: "redo",
}
"""Names of the status bits, as alerts have them."""


def flags_of(status: int) -> list[str]:
    """The names of the bits that are set."""
    return [name for bit, name in STATUS_FLAGS.items() if status & bit]


class DecisionMeta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all rows of one record share."""

    version: Annotated[int, Meta(ge=1, le=255)] = VERSION
    """Version of the envelope."""
    topic: Topic
    """Source topic."""
    partition: Partition
    """Source partition."""
    first_offset: Offset
    """Offset of the first row."""
    last_offset: Offset
    """Offset of the last row."""
    decided_at: EventTime
    """When the step decided, epoch ms of the worker's clock."""
    model: ModelRef
    """The champion."""
    challengers: list[ModelRef] = []
    """Models scoring in shadow, in the order of the challenger columns."""
    threshold: Score
    """Score from which the model flags."""
    second_threshold: Score | None = None
    """Score from which the second opinion flags; null where it does not."""
    policy_version: Name
    """Version of the decision policy."""
    list_version: Name
    """Version of the entity lists."""
    catalogue_hash: Sha256
    """Hash of the feature catalogue."""
    rows_crc32: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)] | None = None
    """CRC-32 of the rows: what reads Arrow may end the process on damaged bytes."""


_meta_encoder = msgspec.json.Encoder()
_meta_decoder = msgspec.json.Decoder(DecisionMeta)


def encode_decisions(meta: DecisionMeta, rows: pl.DataFrame) -> bytes:
    """One record's value. Raises ValueError when `rows` has not the columns it should have."""
    problem = _wrong_columns(rows)
    if problem:
        raise ValueError(problem)
    return _envelope(meta, _compressed(rows))


def encode_columns(meta: DecisionMeta, columns: Mapping[str, Column], begin: int, end: int) -> bytes:
    """One record's value, of rows `begin` to `end` of columns that are as they should be: the quick way."""
    rows = write_stream(columns, begin, end)
    if end - begin >= COMPRESSED_ROWS:
        rows = _compressed(pl.read_ipc_stream(io.BytesIO(rows)))
    return _envelope(meta, rows)


def _compressed(rows: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    rows.write_ipc_stream(stream, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def _envelope(meta: DecisionMeta, rows: bytes) -> bytes:
    head = _meta_encoder.encode(msgspec.structs.replace(meta, rows_crc32=zlib.crc32(rows)))
    return b"".join((len(head).to_bytes(4, "little"), head, rows))


def decode_decisions(value: bytes) -> tuple[DecisionMeta, pl.DataFrame]:
    """Metadata and rows of one record's value. Raises DecodeError on anything else."""
    meta, start, crc = _head(value)
    if crc is not None and zlib.crc32(memoryview(value)[start:]) != crc:
        raise DecodeError("malformed", "rows of a decisions record are damaged")
    try:
        rows = pl.read_ipc_stream(io.BytesIO(value[start:]))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise DecodeError("malformed", "rows of a decisions record are not an Arrow stream") from error
    except BaseException as error:
        # The reader panics on some damaged bytes; a panic is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise DecodeError("malformed", "rows of a decisions record are damaged") from error
    problem = _wrong_columns(rows)
    if problem:
        raise DecodeError("invalid_field", problem)
    return meta, rows


def decode_meta(value: bytes) -> DecisionMeta:
    """Only the metadata: enough to skip a record. Raises DecodeError on anything else."""
    return _head(value)[0]


def _head(value: bytes) -> tuple[DecisionMeta, int, int | None]:
    """The metadata, where the rows start, and their CRC-32, which is the envelope's business alone."""
    start = 4 + int.from_bytes(value[:4], "little")
    if len(value) < 4 or start > len(value):
        raise DecodeError("malformed", "decisions record is cut off")
    try:
        meta = _meta_decoder.decode(value[4:start])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("malformed", "metadata of a decisions record cannot be read") from error
    if meta.version > VERSION:
        raise DecodeError(
            "unknown_version",
            f"decisions record of version {meta.version}, this build reads up to {VERSION}",
            hint="upgrade this program to the workers' version",
        )
    return msgspec.structs.replace(meta, rows_crc32=None), start, meta.rows_crc32


def _wrong_columns(rows: pl.DataFrame) -> str:
    found: dict[str, Any] = dict(rows.schema)
    for name, dtype in COLUMNS.items():
        if name not in found:
            if name not in OPTIONAL:
                return f"decisions lack the column {name}"
        elif found.pop(name) != dtype:
            return f"column {name} of decisions is not {dtype}"
    for name, dtype in found.items():
        if not name.startswith(EXTRA_PREFIXES):
            return f"decisions have a column too many: {name}"
        if dtype != pl.Float32():
            return f"column {name} of decisions is not Float32"
    return ""
