"""The lake: what was on the topics, as Parquet files named by the offsets they hold. Names and rules only.

    LAKE/transactions/date=2026-01-31/hour=07/00003-00000000000000120000-00000000000000180500.parquet
    LAKE/decisions/…
    LAKE/labels/…

A file is a *block*: an uninterrupted range of offsets of one partition, here [120000, 180500) of partition 3. Its rows
lie in the order of their offsets. What a range holds follows from the topic alone, so whoever writes it again writes
the same. Date and hour (UTC) are those of the block's first row: a payment that comes late stays where it came.

Ranges may overlap: leftovers of a crash, of a writer that lost its partition, of a compaction that died half-way. So a
reader takes each offset once, by the rule that `cover` is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import polars as pl

from schemas.decision import COLUMNS as DECISION_COLUMNS
from schemas.history import TRANSACTION_COLUMNS

LakeTopic = Literal["transactions", "decisions", "labels"]
TOPICS: tuple[LakeTopic, ...] = get_args(LakeTopic)
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Layout:
    """The columns of one topic's rows."""

    columns: Mapping[str, pl.DataType]
    time: str
    """The column, epoch ms, whose hour a block is filed under."""
    partition: str = "partition"
    offset: str = "offset"
    """The columns that tell where the record stood on its topic."""


_PLACE: dict[str, pl.DataType] = {"partition": pl.Int32(), "offset": pl.Int64(), "published": pl.Int64()}
"""published is the record's timestamp, epoch ms."""
_MODEL = pl.Struct({"name": pl.String(), "sha256": pl.String()})

LAYOUTS: Mapping[LakeTopic, Layout] = {
    "transactions": Layout({**TRANSACTION_COLUMNS, **_PLACE}, "event_time"),
    # partition and offset are those of the payment on `topic`; a record of the topic decisions has many rows.
    "decisions": Layout(
        {
            "decision_partition": pl.Int32(),
            "decision_offset": pl.Int64(),
            "published": pl.Int64(),
            "topic": pl.String(),
            "partition": pl.Int32(),
            **DECISION_COLUMNS,
            "decided_at": pl.Int64(),
            "model_name": pl.String(),
            "model_sha256": pl.String(),
            "challengers": pl.List(_MODEL),
            "threshold": pl.Int16(),
            "second_threshold": pl.Int16(),
            "policy_version": pl.String(),
            "list_version": pl.String(),
            "catalogue_hash": pl.String(),
        },
        "event_time",
        "decision_partition",
        "decision_offset",
    ),
    "labels": Layout(
        {
            "transaction_id": pl.String(),
            "payer": pl.String(),
            "payee": pl.String(),
            "device_id": pl.String(),
            "event_time": pl.Int64(),
            "is_fraud": pl.Boolean(),
            "kind": pl.String(),
            "known_at": pl.Int64(),
            "source": pl.String(),
            **_PLACE,
        },
        "known_at",
    ),
}
"""Blocks of decisions have further Float32 columns, challenger_… and risk_…, as their records do."""

_PATH = re.compile(
    r"(?P<topic>[a-z]+)/date=(?P<date>\d{4}-\d\d-\d\d)/hour=(?P<hour>\d\d)"
    r"/(?P<partition>\d{5})-(?P<first>\d{20})-(?P<end>\d{20})\.parquet"
)


@dataclass(frozen=True)
class Block:
    """A file: offsets from `first` up to, not including, `end` of one partition."""

    topic: LakeTopic
    hour: int
    """Hours since the epoch."""
    partition: int
    first: int
    end: int

    @property
    def path(self) -> str:
        """The file's name within the lake."""
        return f"{self.directory}/{self.partition:05d}-{self.first:020d}-{self.end:020d}.parquet"

    @property
    def directory(self) -> str:
        """That of its topic and hour, within the lake."""
        return f"{self.topic}/{datetime.fromtimestamp(self.hour * 3600, UTC):date=%Y-%m-%d/hour=%H}"

    @classmethod
    def of_path(cls, path: str) -> "Block | None":
        """The block that a file within the lake is; None for a file that is none."""
        found = _PATH.fullmatch(path)
        if found is None or found["topic"] not in TOPICS:
            return None
        try:
            start = datetime.fromisoformat(f"{found['date']}T{found['hour']}:00+00:00")
        except ValueError:
            return None
        topic = next(topic for topic in TOPICS if topic == found["topic"])
        block = cls(
            topic, int(start.timestamp()) // 3600, int(found["partition"]), int(found["first"]), int(found["end"])
        )
        return block if block.first < block.end else None


@dataclass(frozen=True)
class Take:
    """What a reader takes of a block: its rows from offset `first` on."""

    block: Block
    first: int

    @property
    def end(self) -> int:
        return self.block.end


def cover(blocks: Iterable[Block], from_offset: int = 0) -> dict[int, list[Take]]:
    """The reader's rule: by partition, what to take of which block of one topic so that each offset comes once.

    Sorted by (first, -end), a block gives the offsets that none before it gave; one that has none left is left out.
    """
    taken: dict[int, list[Take]] = {}
    for block in sorted(blocks, key=lambda block: (block.partition, block.first, -block.end)):
        takes = taken.setdefault(block.partition, [])
        first = max(block.first, takes[-1].end if takes else from_offset)
        if first < block.end:
            takes.append(Take(block, first))
    return taken


def gaps(takes: Iterable[Take]) -> Iterator[tuple[int, int]]:
    """Ranges of offsets [first, end) that lie between what one partition's blocks hold, and that none of them holds."""
    end: int | None = None
    for take in takes:
        if end is not None and take.first > end:
            yield end, take.first
        end = take.end
