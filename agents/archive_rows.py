"""Records of the archived topics as rows of the lake. Pure: what a record becomes follows from the record alone.

A record is first read, into what can be kept in memory by the hundred thousand, and made a row later, many at a time.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import polars as pl

from schemas.codec import decode_label, decode_transactions
from schemas.decision import EXTRA_PREFIXES, DecisionMeta, decode_decisions
from schemas.errors import DecodeError
from schemas.label import Label
from schemas.lake import LAYOUTS, LakeTopic
from schemas.transaction import Transaction
from schemas.types import AHEAD_MS
from stream.batch import Batch
from stream.logs import logger

log = logger("archive")


class Read(NamedTuple):
    """A record that could be read, and where it stood."""

    offset: int
    published: int
    """The record's timestamp, epoch ms."""
    time: int
    """Of its first row, epoch ms: that of the topic's layout, or when it was published if it claims a later one."""
    rows: int
    content: Any


def read_records(topic: LakeTopic, batch: Batch) -> list[Read | None]:
    """A record each; None for one that cannot be read: it is in the block's range, and not among its rows."""
    places = zip(batch.offsets.tolist(), batch.timestamps.tolist(), _CONTENTS[topic](batch), strict=True)
    return [
        None if content is None else Read(offset, published, _time(content, published), _rows(content), content)
        for offset, published, content in places
    ]


def to_rows(topic: LakeTopic, partition: int, records: Sequence[Read]) -> pl.DataFrame:
    """The rows of one partition's records, in their order, with the topic's columns."""
    if topic == "decisions":
        frames = [_decision_rows(partition, record) for record in records]
        return pl.concat(frames, how="diagonal") if frames else pl.DataFrame(schema=LAYOUTS[topic].columns)
    place = {
        "partition": [partition] * len(records),
        "offset": [record.offset for record in records],
        "published": [record.published for record in records],
    }
    columns = LAYOUTS[topic].columns
    names = [name for name in columns if name not in place]
    contents = [record.content for record in records]
    fields = {name: list(map(attrgetter(name), contents)) for name in names}
    return pl.DataFrame({**fields, **place}, schema=columns)


def _payments(batch: Batch) -> list[Transaction | None]:
    """None for what is a dead letter."""
    good, rejected = decode_transactions(batch.values, batch.keys)
    bad = {reject.index for reject in rejected}
    payments = iter(good)
    return [None if index in bad else next(payments) for index in range(len(batch))]


def _labels(batch: Batch) -> list[Label | None]:
    return [_attempted(decode_label, value) for value in batch.values]


def _decisions(batch: Batch) -> list[tuple[DecisionMeta, pl.DataFrame] | None]:
    found = [_attempted(decode_decisions, value) for value in batch.values]
    return [decision if decision is not None and len(decision[1]) else None for decision in found]


_CONTENTS: dict[LakeTopic, Any] = {"transactions": _payments, "labels": _labels, "decisions": _decisions}


def _attempted(decode: Any, value: bytes | None) -> Any:
    try:
        return decode(value or b"")
    except DecodeError as error:
        log.warning("a record cannot be read and is not archived", error=str(error))
        return None


def _time(content: Any, published: int) -> int:
    if isinstance(content, Transaction):
        time = content.event_time
    elif isinstance(content, Label):
        time = content.known_at
    else:
        time = int(content[1]["event_time"][0])
    return published if time > published + AHEAD_MS else time


def _rows(content: Any) -> int:
    return len(content[1]) if isinstance(content, tuple) else 1


def _decision_rows(partition: int, record: Read) -> pl.DataFrame:
    meta, rows = record.content
    columns = LAYOUTS["decisions"].columns
    shared = {
        "decision_partition": partition,
        "decision_offset": record.offset,
        "published": record.published,
        "topic": meta.topic,
        "partition": meta.partition,
        "decided_at": meta.decided_at,
        "model_name": meta.model.name,
        "model_sha256": meta.model.sha256,
        "challengers": msgspec.to_builtins(meta.challengers),
        "threshold": meta.threshold,
        "second_threshold": meta.second_threshold,
        "policy_version": meta.policy_version,
        "list_version": meta.list_version,
        "catalogue_hash": meta.catalogue_hash,
    }
    once = pl.DataFrame({name: [value] for name, value in shared.items()}, schema={n: columns[n] for n in shared})
    found = rows.join(once, how="cross", maintain_order="left")
    absent = [pl.lit(None, dtype=columns[name]).alias(name) for name in columns if name not in found.columns]
    extra = [name for name in rows.columns if name.startswith(EXTRA_PREFIXES)]
    return found.with_columns(absent).select(*columns, *extra)
