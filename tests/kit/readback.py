"""What lies on the topics and on the disks after a run, read once, as committed; nothing in it is computed.

A test of the oracle alters it, to see whether the oracle sees it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rocksdict import AccessType, Options, Rdict

from kit.bank import Bank
from schemas.codec import decode_alert, decode_entity_risk
from schemas.dead_letter import DeadLetter
from schemas.decision import decode_decisions
from schemas.errors import DecodeError
from stream.changelog import POSITION_KEY, REBUILT_KEY, Checkpoint, decode_position
from stream.keyed_state import CHECKPOINT_KEY
from stream.scan import Scan

AGENTS = ("scoring", "entities")
STATE = {"partition": pl.Int32, "key": pl.Binary, "value": pl.Binary}
"""Records of state; no two of one partition and key. A value of null is a tombstone."""
ALERTS = {
    "at_partition": pl.Int32,
    "at": pl.Int64,  # partition and offset of the alert itself
    "key": pl.String,
    "alert_id": pl.String,
    "transaction_id": pl.String,
    "payer": pl.String,
    "topic": pl.String,
    "partition": pl.Int32,
    "offset": pl.Int64,  # topic, partition and offset of the payment
    "probability": pl.Float32,
    "score": pl.Int16,
    "decided_by": pl.String,
    "rule": pl.String,
}
LETTERS = {
    "topic": pl.String,
    "partition": pl.Int32,
    "offset": pl.Int64,
    "code": pl.String,
    "key": pl.Binary,
    "value": pl.Binary,
}


@dataclass(frozen=True)
class State:
    """One agent's state, from its changelog or from the disks of those who had a partition last."""

    records: pl.DataFrame
    """As `STATE`."""
    positions: dict[int, int]
    """By partition, the next source offset that the state says it has come to."""


@dataclass(frozen=True)
class Found:
    """Everything that a run left behind."""

    decisions: pl.DataFrame
    """partition, at (order on the topic), model (sha256), and the columns of a decision."""
    alerts: pl.DataFrame
    letters: pl.DataFrame
    changelogs: dict[str, State]
    """By agent."""
    disks: dict[str, State]
    """By agent; empty if nobody looked."""
    offsets: dict[str, dict[int, int]]
    """By agent and partition, the committed ones."""
    activity: list[tuple[int, int, bytes]]
    """Partition, offset and value of the records of entity activity, in order of each partition."""
    risk: pl.DataFrame
    """kind:token and risk of each entity, as published last."""
    unread: list[str] = field(default_factory=list)
    """What could not be read at all."""


def read(bank: Bank, *, states: bool = True) -> Found:
    """What a bank's workers left; with `states` on their disks too, for which they must have ended."""
    if states:
        assert not bank.running, "the disks are read when the workers have ended"
    unread: list[str] = []
    changelogs = {"scoring": bank.topics.scoring_changelog, "entities": bank.topics.entities_changelog}
    return Found(
        decisions=_decisions(bank),
        alerts=_alerts(bank),
        letters=_letters(bank, unread),
        changelogs={agent: _changelog(bank, topic) for agent, topic in changelogs.items()},
        disks={agent: _disks(bank, agent, unread) for agent in AGENTS} if states else {},
        offsets={agent: bank.offsets(agent) for agent in AGENTS},
        activity=[(m.partition(), m.offset(), m.value()) for m in messages(bank, bank.topics.entity_activity)],
        risk=_risk(bank),
        unread=unread,
    )


def messages(bank: Bank, topic: str) -> Iterator[Any]:
    """The committed records of a topic; each partition's in order."""
    with Scan(bank.kafka, topic) as scan:
        yield from scan


def _decisions(bank: Bank) -> pl.DataFrame:
    frames = []
    for message in messages(bank, bank.topics.decisions):
        meta, rows = decode_decisions(message.value())
        frames.append(
            rows.with_columns(
                pl.lit(meta.partition, pl.Int32).alias("partition"),
                pl.lit(message.partition(), pl.Int32).alias("at_partition"),
                (pl.lit(message.offset(), pl.Int64) * 100_000 + pl.int_range(pl.len())).alias("at"),
                pl.lit(meta.model.sha256).alias("model"),
            )
        )
    if not frames:
        raise AssertionError(f"nothing was decided: {bank.topics.decisions} is empty")
    return pl.concat(frames, how="diagonal")  # not every model has a second opinion


def _alerts(bank: Bank) -> pl.DataFrame:
    rows = []
    for message in messages(bank, bank.topics.alerts):
        alert = decode_alert(message.value())
        source = alert.source
        rows.append(
            (
                message.partition(),
                message.offset(),
                message.key().decode(),
                alert.alert_id,
                alert.transaction_id,
                alert.payer_token,
                source.topic,
                source.partition,
                source.offset,
                alert.probability,
                alert.score,
                alert.decided_by,
                alert.rule,
            )
        )
    return pl.DataFrame(rows, schema=ALERTS, orient="row")


def _letters(bank: Bank, unread: list[str]) -> pl.DataFrame:
    rows = []
    for message in messages(bank, bank.topics.dead_letter):
        try:
            letter = DeadLetter.from_headers(message.headers() or [])
        except DecodeError as error:
            unread.append(f"the dead letter {message.partition()}-{message.offset()}: {error}")
            continue
        rows.append((letter.topic, letter.partition, letter.offset, letter.code, message.key(), message.value()))
    return pl.DataFrame(rows, schema=LETTERS, orient="row")


def _changelog(bank: Bank, topic: str) -> State:
    """The latest record of each key, and the latest position."""
    records: dict[tuple[int, bytes], bytes | None] = {}
    positions: dict[int, int] = {}
    for message in messages(bank, topic):
        if message.key() == REBUILT_KEY:
            continue
        if message.key() == POSITION_KEY:
            positions[message.partition()] = decode_position(message.value())
        else:
            records[message.partition(), message.key()] = message.value()
    return State(_frame(records), positions)


def _frame(records: dict[tuple[int, bytes], bytes | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "partition": [partition for partition, _ in records],
            "key": [key for _, key in records],
            "value": list(records.values()),
        },
        schema=STATE,
    )


def _disks(bank: Bank, agent: str, unread: list[str]) -> State:
    """Each partition as it lies with the worker that came furthest with it."""
    furthest: dict[int, tuple[int, Path]] = {}
    for path in sorted(bank.home.glob(f"*/*/{agent}/*/CURRENT")):
        partition = int(path.parent.name)
        try:
            with _opened(path.parent) as database:
                checkpoint = database.get(CHECKPOINT_KEY)
        except Exception as error:  # RocksDB raises bare exceptions
            unread.append(f"the database {path.parent.relative_to(bank.home)}: {error}")
            continue
        offset = Checkpoint.decode(checkpoint).source_offset if checkpoint else -1
        furthest[partition] = max(furthest.get(partition, (-1, path.parent)), (offset, path.parent))
    records: dict[tuple[int, bytes], bytes | None] = {}
    for partition, (_, path) in furthest.items():
        with _opened(path) as database:
            records |= {(partition, key): value for key, value in database.items() if key != CHECKPOINT_KEY}
    return State(_frame(records), {partition: offset for partition, (offset, _) in furthest.items()})


@contextmanager
def _opened(path: Path) -> Iterator[Rdict]:
    """A database, for reading."""
    database = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only(False))
    try:
        yield database
    finally:
        database.close()


def _risk(bank: Bank) -> pl.DataFrame:
    latest = {message.key(): message.value() for message in messages(bank, bank.topics.entity_risk)}
    risks = [(key.decode(), decode_entity_risk(value).risk) for key, value in latest.items() if value is not None]
    return pl.DataFrame(risks, schema={"entity": pl.String, "risk": pl.Float64}, orient="row")


def counted(rows: np.ndarray) -> pl.DataFrame:
    """How often each row of a structured array is there, whatever the order: columns row, count."""
    raw = np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}").tolist()
    return pl.DataFrame({"row": raw}, schema={"row": pl.Binary}).group_by("row").agg(pl.len().alias("count"))
