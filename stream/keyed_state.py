"""The state of one agent: decoded records in an arena, in front of one RocksDB for each assigned partition.

The life of a step, in this order: `begin`; `rows` (loads what is not in memory); the caller changes `records` in
place; `encode`; then, after the commit, `persist` for each partition and `keep`, or else `discard`. The next step may
begin before this one is kept. Nothing reaches RocksDB before Kafka has committed it.
"""

import contextlib
import fcntl
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray
from rocksdict import Rdict, WriteBatch

from models.keys import TOKEN_BYTES, Keys, Rows, as_bytes, as_keys, distinct
from schemas.errors import NewerVersion
from stream.arena import Arena
from stream.changelog import Change, Checkpoint
from stream.errors import Retry, Stop
from stream.logs import logger
from stream.rocksdb import SharedMemory, in_memtables, in_order, is_damage, is_stall, open_database
from stream.settings import StateSettings

CHECKPOINT_KEY = b"checkpoint"
WRITE_OUT_WITHIN_S = 5.0
CLOSE_WITHIN_S = 15.0
STALLED_S = 30.0
"""RocksDB may refuse writes for so long before the disk counts as unusable."""
STALL_PAUSE_S = 0.002
SCAN_SORTS = 5_000
"""Records in memtables that a scan may sort: five milliseconds."""
log = logger("state")


class RecordCodec(Protocol):
    """Turns rows of a structured array into bytes and back."""

    @property
    def dtype(self) -> np.dtype[np.void]: ...

    def encode(self, records: NDArray[np.void], rows: NDArray[np.int64]) -> list[bytes]: ...

    def decode(self, values: Sequence[bytes], records: NDArray[np.void], rows: NDArray[np.int64]) -> None:
        """Raises `ValueError` on bytes that are no record."""
        ...


class DirectoryLock:
    """Holds a worker's state directory; a second worker on the same one must leave it alone."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (directory / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Stop(
                f"another worker uses the state directory {directory}",
                hint="give each worker a --slot of its own, or stop the other one",
            ) from None

    def release(self) -> None:
        self._file.close()


class KeyedState:
    """Records by partition and key. Steps are one thread's; partitions may be opened and closed by others meanwhile."""

    def __init__(
        self, codec: RecordCodec, directory: Path, settings: StateSettings, key_bytes: int = TOKEN_BYTES
    ) -> None:
        self.key_bytes = key_bytes
        self._codec = codec
        self._directory = directory
        self._settings = settings
        self._shared = SharedMemory(settings)
        self._arena = Arena(codec.dtype, settings.arena_rows, key_bytes)
        self._databases: dict[int, Rdict] = {}
        self._flushed: dict[int, float] = {}
        self._unflushed: dict[int, int] = {}
        self._lock = threading.RLock()

    @property
    def records(self) -> NDArray[np.void]:
        """The arena's records; index them by what `rows` gives."""
        return self._arena.records

    @property
    def rows_in_memory(self) -> int:
        return len(self._arena)

    def path(self, partition: int) -> Path:
        return self._directory / str(partition)

    def open(self, partition: int) -> Checkpoint | None:
        """Open a partition's database; its checkpoint, or None for an empty one. A damaged one is deleted.

        Nothing of the partition is in memory afterwards, so that what a restore writes is what is read. Raises `Stop`
        where the machine is at fault.
        """
        with self._lock:
            self._arena.forget(partition)
        try:
            checkpoint = self._open(partition)
        except Exception as error:  # RocksDB raises bare exceptions
            self._check_damaged(partition, error)
            self.wipe(partition)
            try:
                checkpoint = self._open(partition)
            except Exception as again:
                raise self._unusable(partition, again) from again
        self._flushed[partition], self._unflushed[partition] = time.monotonic(), 0
        return checkpoint

    def _open(self, partition: int) -> Checkpoint | None:
        path = self.path(partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        if partition not in self._databases:
            self._databases[partition] = open_database(path, self._settings, self._shared)
        value = self._databases[partition].get(CHECKPOINT_KEY)
        return None if value is None else Checkpoint.decode(value)

    def _check_damaged(self, partition: int, error: Exception) -> None:
        """Raises `Stop` unless the local files are what is wrong."""
        if isinstance(error, NewerVersion):  # the changelog has the same
            raise Stop(str(error), hint=error.hint) from error
        if not is_damage(error):
            raise self._unusable(partition, error) from error
        log.warning(
            "local state is damaged, building it again from the changelog", partition=partition, error=str(error)
        )

    def _unusable(self, partition: int, error: Exception) -> Stop:
        free = shutil.disk_usage(self.path(partition).parent).free
        return Stop(
            f"the state of partition {partition} cannot be kept in {self.path(partition)}: {error}; {free:,} bytes are "
            "free there",
            hint="look at the disk: its space, its rights; the worker starts again from what is committed",
        )

    def _database(self, partition: int) -> Rdict:
        database = self._databases.get(partition)
        if database is None:
            raise Retry(f"partition {partition} is not open here")
        return database

    def wipe(self, partition: int) -> None:
        """Close and delete a partition's database."""
        self.close(partition)
        shutil.rmtree(self.path(partition), ignore_errors=True)

    def close(self, partition: int) -> None:
        """Write out and close a partition's database. What cannot be written is still in the changelog."""
        with self._lock:
            self._arena.forget(partition)
            database = self._databases.pop(partition, None)
        if database is not None:
            closing = threading.Thread(target=self._end, args=(partition, database), daemon=True)
            closing.start()
            closing.join(CLOSE_WITHIN_S)  # on a full disk RocksDB may wait for room
            if closing.is_alive():
                log.warning("local state does not close", partition=partition)

    def _end(self, partition: int, database: Rdict) -> None:
        try:
            if not self._write_out(database):
                database.cancel_all_background(False)  # closing would wait for room on a full disk
            database.close()
        except Exception as error:  # RocksDB raises bare exceptions
            log.warning("local state could not be written out", partition=partition, error=str(error))

    def _write_out(self, database: Rdict) -> bool:
        """Write the memtables out; False if that cannot be done, or takes too long."""
        until = time.monotonic() + WRITE_OUT_WITHIN_S
        return self._flushed_out(database, until) and _flush(database) and self._flushed_out(database, until)

    def _flushed_out(self, database: Rdict, until: float) -> bool:
        """Wait for flushes under way; False if they fail, or are not done at `until`."""
        while database.property_int_value("rocksdb.num-immutable-mem-table"):
            if database.property_int_value("rocksdb.background-errors") or time.monotonic() > until:
                return False
            time.sleep(STALL_PAUSE_S)
        return True

    def close_all(self) -> None:
        for partition in list(self._databases):
            self.close(partition)

    def restore(self, partition: int, records: Sequence[Change], checkpoint: Checkpoint) -> None:
        """Write records of the changelog as they are, and the checkpoint that they reach."""
        until = time.monotonic() + STALLED_S
        while True:
            database = self._database(partition)  # it may be closed while this waits
            try:
                database.write(_batch(records, checkpoint))
                return
            except Exception as error:  # RocksDB raises bare exceptions
                if not is_stall(error):
                    self._rebuild(partition, error)
                if time.monotonic() > until:
                    raise self._unusable(partition, error) from error
                time.sleep(STALL_PAUSE_S)

    def keys(self, partition: int) -> Iterator[bytes]:
        """Every key in a partition's database, the reserved ones too."""
        return iter(self._databases[partition].keys(read_opt=in_order()))

    def get(self, partition: int, key: bytes) -> bytes | None:
        """A value as it lies in the database."""
        value: bytes | None = self._database(partition).get(key)
        return value

    def scan_is_cheap(self, partition: int) -> bool:
        """Whether so little of a partition is in memtables that `scan` holds nobody up; so it is after each flush."""
        return in_memtables(self._database(partition)) <= SCAN_SORTS

    def scan(self, partition: int, after: bytes, limit: int) -> tuple[Keys, NDArray[np.void]]:
        """At most `limit` keys behind `after`, in order, and their records as they lie in the database."""
        database = self._database(partition)
        try:
            items = database.items(from_key=after + b"\0" if after else None, read_opt=in_order())
            found = list(islice(((key, value) for key, value in items if key != CHECKPOINT_KEY), limit))
            keys = as_keys([key for key, _ in found], self.key_bytes)
            records = np.zeros(len(found), dtype=self._codec.dtype)
            self._codec.decode([value for _, value in found], records, np.arange(len(found)))
        except Exception as error:  # RocksDB raises bare exceptions
            self._rebuild(partition, error)
        return keys, records

    def refresh(self, partition: int, keys: Keys, values: Sequence[bytes | None]) -> None:
        """Let records in memory follow what was written past them with `restore`."""
        with self._lock:
            rows = self._arena.find(partition, keys)
            here = np.flatnonzero(rows >= 0).tolist()
            known = [i for i in here if values[i] is not None]
            self._arena.records[rows[here]] = np.zeros(1, dtype=self._codec.dtype)
            if known:
                self._codec.decode([values[i] or b"" for i in known], self._arena.records, rows[known])

    def begin(self) -> int:
        """A new step begins; its number. Its rows stay in memory until it is kept or discarded."""
        with self._lock:
            return self._arena.begin()

    def keep(self, step: int) -> None:
        """A step, and all before it, is finished."""
        with self._lock:
            self._arena.keep(step)

    def rows(self, partition: int, keys: Keys) -> Rows:
        """(n,) rows of `records` for `keys`, which may repeat; zeros for a key never seen."""
        with self._lock:
            rows = self._arena.find(partition, keys)
            absent = np.flatnonzero(rows < 0)
            if absent.size:
                missing = keys[absent]
                first, which = distinct(missing)
                rows[absent] = self._load(partition, missing[first])[which]
            return rows

    def _load(self, partition: int, keys: Keys) -> Rows:
        database = self._database(partition)
        rows = self._arena.add(partition, keys)
        try:
            values = database.get(as_bytes(keys))
            known = [i for i, value in enumerate(values) if value is not None]
            if known:
                self._codec.decode([values[i] for i in known], self._arena.records, rows[known])
        except Exception as error:  # RocksDB raises bare exceptions
            self._rebuild(partition, error)
        return rows

    def _rebuild(self, partition: int, error: Exception) -> NoReturn:
        """Drop the local state; the restore that follows the `Retry` builds it from the changelog."""
        self._check_damaged(partition, error)
        self.wipe(partition)
        raise Retry(f"the local state of partition {partition} is damaged") from error

    def encode(self, rows: NDArray[np.int64]) -> list[bytes]:
        """The records at `rows` as they are kept."""
        return self._codec.encode(self._arena.records, rows)

    def persist(self, partition: int, changes: Sequence[Change], checkpoint: Checkpoint) -> None:
        """Write what a committed step changed, with the checkpoint, at once; a value of None deletes."""
        self.restore(partition, changes, checkpoint)
        self.bound_tail(partition, len(changes))

    def bound_tail(self, partition: int, records: int) -> None:
        """After writing so many records: flush the memtable if it holds more than a restart should have to replay."""
        self._unflushed[partition] = self._unflushed.get(partition, 0) + records
        now = time.monotonic()
        late = now - self._flushed[partition] > self._settings.flush_every_s
        if late or self._unflushed[partition] > self._settings.unflushed_records // max(1, len(self._databases)):
            database = self._database(partition)
            # Asked for while the one before is not done, a flush may wait, and everything with it.
            if not database.property_int_value("rocksdb.num-immutable-mem-table") and _flush(database):
                self._flushed[partition], self._unflushed[partition] = now, 0

    def disk_bytes(self) -> int:
        """Size of the files of all open partitions."""
        total = 0
        for partition in list(self._databases):
            for file in self.path(partition).glob("*"):
                with contextlib.suppress(FileNotFoundError):  # compacted away meanwhile
                    total += file.stat().st_size
        return total

    def estimated_records(self) -> int:
        """Records in all open partitions, as RocksDB estimates them."""
        total = 0
        for database in list(self._databases.values()):
            with contextlib.suppress(Exception):  # closed meanwhile; RocksDB raises bare exceptions
                total += database.property_int_value("rocksdb.estimate-num-keys") or 0
        return total

    def discard(self) -> None:
        """Forget what unfinished steps touched; it is loaded again from what is committed."""
        with self._lock:
            self._arena.discard()


def _batch(records: Sequence[Change], checkpoint: Checkpoint) -> WriteBatch:
    batch = WriteBatch(raw_mode=True)
    for key, value in records:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    batch.put(CHECKPOINT_KEY, checkpoint.encode())
    return batch


def _flush(database: Rdict) -> bool:
    """Begin to write the memtable out; False if RocksDB cannot."""
    try:
        database.flush(wait=False)
    except Exception:  # RocksDB raises bare exceptions; the next write or closing says it again
        return False
    return True
