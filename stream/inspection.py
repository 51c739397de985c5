"""What local databases hold, read beside a worker that has them open. What it has not written out is not seen."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rocksdict import Rdict

from models.keys import Keys, as_keys
from schemas.errors import FraudStreamError, NewerVersion
from stream.changelog import Checkpoint
from stream.keyed_state import CHECKPOINT_KEY, RecordCodec
from stream.rocksdb import open_read_only

CHUNK = 10_000
ATTEMPTS = 5
PAUSE_S = 0.1
"""A file that is compacted away just as the database is opened is not missed by the next attempt."""
LastSeen = Callable[[NDArray[np.void]], NDArray[np.int64]]
"""Epoch ms of when each record's subject was last seen; 0 for never."""


class InspectionError(FraudStreamError):
    """A database that cannot be read."""


@dataclass(frozen=True)
class Inspected:
    """One partition's database."""

    slot: int
    agent: str
    partition: int
    records: int
    disk_bytes: int
    source_offset: int | None
    """Next offset of the source, by the checkpoint; None for a database without one."""
    changelog_offset: int | None
    oldest_ms: int | None
    """When the subject seen least recently was last seen, epoch ms."""
    newest_ms: int | None
    size_median: int
    """Of a record's value, bytes."""
    size_p99: int
    size_max: int


def databases(directory: Path, agent: str, slot: int | None = None) -> list[tuple[int, int, Path]]:
    """Slot, partition and place of an agent's databases under a state directory, in order."""
    found = [
        (int(path.parent.parent.parent.name), int(path.parent.name), path.parent)
        for path in directory.glob(f"[0-9]*/{agent}/[0-9]*/CURRENT")
    ]
    return sorted(each for each in found if slot is None or each[0] == slot)


def inspect(slot: int, agent: str, partition: int, path: Path, codec: RecordCodec, last_seen: LastSeen) -> Inspected:
    """Look at every record. Raises `InspectionError`."""
    sizes: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    seen: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    with _opened(path) as database:
        checkpoint = _checkpoint(database)
        for _, values, records in _chunks(database, codec):
            times = last_seen(records)
            seen.append(times[times > 0])
            sizes.append(np.fromiter(map(len, values), dtype=np.int64, count=len(values)))
    all_sizes, all_seen = np.concatenate(sizes), np.concatenate(seen)
    median, p99, largest = np.percentile(all_sizes, (50, 99, 100)).tolist() if all_sizes.size else (0, 0, 0)
    return Inspected(
        slot=slot,
        agent=agent,
        partition=partition,
        records=int(all_sizes.size),
        disk_bytes=sum(file.stat().st_size for file in path.glob("*")),
        source_offset=checkpoint.source_offset if checkpoint else None,
        changelog_offset=checkpoint.changelog_offset if checkpoint else None,
        oldest_ms=int(all_seen.min()) if all_seen.size else None,
        newest_ms=int(all_seen.max()) if all_seen.size else None,
        size_median=int(median),
        size_p99=int(p99),
        size_max=int(largest),
    )


def read(path: Path, codec: RecordCodec, key_bytes: int) -> tuple[Keys, NDArray[np.void], Checkpoint | None]:
    """Every key and its record, and how far the database has come. Raises `InspectionError`."""
    keys: list[bytes] = []
    records = [np.zeros(0, dtype=codec.dtype)]
    with _opened(path) as database:
        checkpoint = _checkpoint(database)
        for some_keys, _, some in _chunks(database, codec):
            keys += some_keys
            records.append(some)
    return as_keys(keys, key_bytes), np.concatenate(records), checkpoint


def find(places: list[tuple[int, int, Path]], key: bytes) -> tuple[int, int, bytes] | None:
    """Slot, partition and value of a key; of several copies the one whose database has come furthest."""
    best: tuple[int, int, int, bytes] | None = None
    for slot, partition, path in places:
        with _opened(path) as database:
            value = database.get(key)
            checkpoint = _checkpoint(database)
        reached = checkpoint.source_offset if checkpoint else -1
        if value is not None and (best is None or reached > best[0]):
            best = (reached, slot, partition, value)
    return best[1:] if best else None


def _chunks(database: Rdict, codec: RecordCodec) -> Iterator[tuple[list[bytes], list[bytes], NDArray[np.void]]]:
    """Keys, values and records of a database, some at a time."""
    items = ((key, value) for key, value in database.items() if key != CHECKPOINT_KEY)
    while chunk := list(islice(items, CHUNK)):
        keys, values = [key for key, _ in chunk], [value for _, value in chunk]
        records = np.zeros(len(values), dtype=codec.dtype)
        codec.decode(values, records, np.arange(len(values)))
        yield keys, values, records


def _checkpoint(database: Rdict) -> Checkpoint | None:
    value = database.get(CHECKPOINT_KEY)
    return Checkpoint.decode(value) if value is not None else None


@contextmanager
def _opened(path: Path) -> Iterator[Rdict]:
    try:
        database = _open(path)
        try:
            yield database
        finally:
            database.close()
    except NewerVersion:
        raise
    except Exception as error:  # RocksDB raises bare exceptions
        raise InspectionError(
            f"the database {path} cannot be read: {error}",
            hint="a worker that starts on it finds the damage and builds it again from the changelog",
        ) from error


def _open(path: Path) -> Rdict:
    for _ in range(ATTEMPTS - 1):
        try:
            return open_read_only(path)
        except Exception:  # RocksDB raises bare exceptions
            time.sleep(PAUSE_S)
    return open_read_only(path)
