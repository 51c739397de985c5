"""What every worker knows of entities: their risk, and the lists that fraud operations keep."""

import threading
from binascii import unhexlify
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bloom import BloomFilter
from models.entity_risk import from_records
from models.entity_state import ENTITY_KEY_BYTES, VALUES
from models.keys import GrowingIndex, Keys, as_keys
from models.policy import ALLOW, BLOCK, WATCH
from models.record_codec import RecordCodec
from schemas.codec import decode_entity_risk, decode_list_entry
from schemas.entity_list import ListEntry
from schemas.errors import DecodeError
from schemas.types import ENTITY_KINDS
from stream.changelog import Checkpoint
from stream.keyed_state import KeyedState
from stream.logs import logger
from stream.settings import StateSettings
from stream.table import Record

log = logger("tables")
VALUES_CODEC = RecordCodec(VALUES, version=2, histories=())
VERSION_KEY = b"version"
_KIND_BYTES = {kind.encode(): bytes([number]) for number, kind in enumerate(ENTITY_KINDS, 1)}
_ONE = 0
"""The table is one database, whatever the partitions of its topic."""


def _key_of(record_key: bytes) -> bytes:
    """An entity's key in memory from a record's, `kind:token`; raises `ValueError` for anything else."""
    kind, _, token = record_key.partition(b":")
    key = _KIND_BYTES.get(kind, b"") + unhexlify(token)
    if len(key) != ENTITY_KEY_BYTES:
        raise ValueError("a kind or a token that is none")
    return key


class RiskTable:
    """Entity risk on disk, the entities in use in memory. Implements `stream.table.Table`."""

    def __init__(self, directory: Path, topic_id: bytes, settings: StateSettings) -> None:
        self._state = KeyedState(VALUES_CODEC, directory, settings, ENTITY_KEY_BYTES)
        self._topic_id = topic_id
        checkpoint = self._state.open(_ONE)
        if checkpoint is not None and (checkpoint.topic_id != topic_id or self._version() != VALUES_CODEC.version):
            log.warning("the topic of entity risk was made again, or another build kept it: reading it from its start")
            self._state.wipe(_ONE)
            self._state.open(_ONE)
        self._lock = threading.Lock()
        self._published = BloomFilter()
        known = [key for key in self._state.keys(_ONE) if len(key) == ENTITY_KEY_BYTES]
        self._published.add(as_keys(known, ENTITY_KEY_BYTES))

    def _version(self) -> int:
        """Version of the values on disk. They are a cache: those of another version are read again, not upgraded."""
        value = self._state.get(_ONE, VERSION_KEY)
        return value[0] if value else 1  # the first build kept none

    def next_offset(self, partition: int) -> int:
        value = self._state.get(_ONE, b"offset:%d" % partition)
        return int(value) if value else 0

    def apply(self, partition: int, records: Sequence[Record], next_offset: int) -> None:
        latest: dict[bytes, bytes | None] = {}
        for key, value in records:
            try:
                latest[_key_of(key)] = value
            except ValueError:
                log.warning("a risk record has no entity's key", partition=partition)
        keys, values = self._decoded(latest)
        encoded = VALUES_CODEC.encode(values, np.arange(len(keys)))
        gone = [key for key, value in latest.items() if value is None]
        changes: list[Record] = [*zip(keys, encoded, strict=True), *((key, None) for key in gone)]
        offset = (b"offset:%d" % partition, b"%d" % next_offset)
        version = (VERSION_KEY, bytes([VALUES_CODEC.version]))
        with self._lock:
            self._published.add(as_keys(keys, ENTITY_KEY_BYTES))
            self._state.restore(_ONE, [*changes, offset, version], Checkpoint(-1, 0, self._topic_id))
            touched = as_keys([key for key, _ in changes], ENTITY_KEY_BYTES)
            self._state.refresh(_ONE, touched, [value for _, value in changes])

    def _decoded(self, latest: dict[bytes, bytes | None]) -> tuple[list[bytes], NDArray[np.void]]:
        keys, risks = [], []
        for key, value in latest.items():
            if value is None:
                continue
            try:
                risks.append(decode_entity_risk(value))
                keys.append(key)
            except DecodeError as error:
                log.warning("a risk record cannot be read", error=str(error))
        return keys, from_records(risks)

    def may_know(self, keys: Keys) -> NDArray[np.bool_]:
        """(n,): False for an entity of which nothing was ever published."""
        return self._published.may_hold(keys)

    def lookup(self, keys: Keys) -> NDArray[np.void]:
        """(n,) of `VALUES` for keys (n, 17); zeros for an entity of which nothing is known."""
        values = np.zeros(len(keys), dtype=VALUES)
        known = np.flatnonzero(self.may_know(keys))
        with self._lock:
            step = self._state.begin()
            values[known] = self._state.records[self._state.rows(_ONE, keys[known])]
            self._state.keep(step)
        return values

    def close(self) -> None:
        self._state.close_all()


_BITS = {"block": BLOCK, "allow": ALLOW, "watch": WATCH}


class ListTable:
    """The lists in memory: they are short. Implements `stream.table.Table`."""

    def __init__(self) -> None:
        self._entries: dict[bytes, ListEntry] = {}
        self._offsets: dict[int, int] = {}
        self._listed = _Listed({})

    def next_offset(self, partition: int) -> int:
        return 0

    def apply(self, partition: int, records: Sequence[Record], next_offset: int) -> None:
        entries = dict(self._entries)
        for key, value in records:
            try:
                if value is None:
                    entries.pop(_key_of(key), None)
                else:
                    entries[_key_of(key)] = decode_list_entry(value)
            except (DecodeError, ValueError) as error:
                log.warning("a list entry cannot be read", error=str(error))
        self._offsets[partition] = next_offset
        self._entries = entries
        self._listed = _Listed(entries)  # the scoring thread sees the old lists or the new ones, never half of each

    @property
    def version(self) -> str:
        """Which lists: the number of records read of the topic. Grows with each change."""
        return f"lists-{sum(self._offsets.values())}"

    def __len__(self) -> int:
        return len(self._entries)

    def hits(self, keys: Keys, event_time: NDArray[np.float64]) -> NDArray[np.uint8]:
        """(n,) of BLOCK, ALLOW or WATCH, 0 for an entity on no list or whose entry expired before the payment."""
        return self._listed.hits(keys, event_time)


class _Listed:
    """Entries by entity, as arrays; never changed."""

    def __init__(self, entries: Mapping[bytes, ListEntry]) -> None:
        self._index = GrowingIndex(ENTITY_KEY_BYTES)
        self._index.add(as_keys(list(entries), ENTITY_KEY_BYTES))
        self._bits = np.array([_BITS[entry.list] for entry in entries.values()], dtype=np.uint8)
        until = (entry.expires_at for entry in entries.values())
        self._until = np.array([np.inf if time is None else time for time in until])

    def hits(self, keys: Keys, event_time: NDArray[np.float64]) -> NDArray[np.uint8]:
        rows = self._index.find(keys)
        listed = np.flatnonzero(rows >= 0)
        mine = rows[listed]
        hits = np.zeros(len(keys), dtype=np.uint8)
        hits[listed] = np.where(event_time[listed] < self._until[mine], self._bits[mine], 0)
        return hits
