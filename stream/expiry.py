"""Collects records that nobody will ask for again: looks slowly through the databases, and names keys to delete.

Whether a subject is forgotten is decided when its record is read, by event time; that a record is deleted later only
frees the disk. So it is deleted no sooner than a grace after it has expired by the newest event time of its partition:
a payment that comes as late as that finds what it would have found. The keys go into a step, which publishes tombstones
in its transaction and deletes them from RocksDB after the commit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.keys import as_bytes
from stream.keyed_state import KeyedState
from stream.step import Outputs

LOOK_EVERY_S = 1.0
"""A partition is looked at no sooner again: each look costs some milliseconds, however few keys it is for."""
LastSeen = Callable[[NDArray[np.void]], NDArray[np.int64]]
"""Epoch ms of when each record's subject was last seen, by event time."""


@dataclass(frozen=True)
class ExpirySettings:
    """When records go, and how fast they are looked for."""

    after_ms: int
    """Time to live and grace, of event time."""
    keys_per_s: int = 2_000
    """Looked at, over all partitions."""
    keys_per_step: int = 2_000
    pass_every_s: float = 3_600.0
    """A partition is not begun again sooner."""


@dataclass
class _Pass:
    """Where in a partition the looking is."""

    looked_at: float
    newest_ms: int = 0
    after: bytes = b""
    not_before: float = 0.0


class Collector:
    """For the computing thread of one agent's steps."""

    def __init__(
        self,
        state: KeyedState,
        last_seen: LastSeen,
        settings: ExpirySettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._last_seen = last_seen
        self._settings = settings
        self._clock = clock
        self._passes: dict[int, _Pass] = {}
        self._started = clock()

    def collect(self, outputs: Outputs) -> None:
        """Add to what a step makes the expired keys of one of its partitions, as many as it is time to look for."""
        now = self._clock()
        for partition in outputs.changed.keys() - self._passes.keys():
            self._passes[partition] = _Pass(self._started)
        due = [partition for partition in outputs.changed if self._is_due(partition, now)]
        if not due:
            return
        partition = min(due, key=lambda each: self._passes[each].looked_at)
        place = self._passes[partition]
        _, rows = outputs.changed[partition]
        place.newest_ms = max(place.newest_ms, int(self._last_seen(self._state.records)[rows].max(initial=0)))
        share = (now - place.looked_at) * self._settings.keys_per_s / len(self._passes)
        place.looked_at = now
        if expired := self._look(partition, place, max(1, int(min(self._settings.keys_per_step, share))), now):
            outputs.deleted[partition] = expired
            outputs.counts["expired"] = len(expired)

    def _is_due(self, partition: int, now: float) -> bool:
        place = self._passes[partition]
        at_rest = now < max(place.not_before, place.looked_at + LOOK_EVERY_S)
        return not at_rest and self._state.scan_is_cheap(partition)

    def _look(self, partition: int, place: _Pass, limit: int, now: float) -> list[bytes]:
        keys, records = self._state.scan(partition, place.after, limit)
        if len(keys) < limit:
            place.after, place.not_before = b"", now + self._settings.pass_every_s
        else:
            place.after = keys[-1].tobytes()
        oldest = place.newest_ms - self._settings.after_ms
        found = keys[self._last_seen(records) < oldest]
        if not len(found):
            return []
        # What is on disk may be older than what an unfinished step made of it.
        rows = self._state.rows(partition, found)
        expired = self._last_seen(self._state.records[rows]) < oldest
        return as_bytes(found[expired])
