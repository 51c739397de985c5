"""The way of a history through the engine: payments in order, entity risk as it was published, verdicts once known.

Payments pass a chunk at a time. A chunk sees what the chunks before it have led to, as a worker's step sees what the
entities agent had published before; verdicts take effect at the beginning of a chunk. A chunk ends with a minute of
event time, and after `CHUNK` payments: live, risk follows payments within a second, whatever their number. Chunks are
cut by the payments' own times, so that a history comes out the same in whatever parts it is read.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import entity_state
from models.activity import activity_of, activity_of_verdicts
from models.arena import GrowingArena
from models.batch import PaymentBatch, from_frame
from models.engine import DUPLICATE, compute
from models.entity_risk import SEEN, assemble
from models.entity_state import ENTITY, VALUES, entity_keys
from models.keys import as_bytes
from models.payer_state import PAYER
from models.tokens import Tokeniser
from schemas.entity_activity import ACTIVITY

CHUNK = 2_000
CHUNK_MS = 60_000
SLAB = 100_000
"""Payments that become columns at once."""
ORDER = ("event_time", "transaction_id")
"""In which payments pass."""

Judged = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Features (n, 85) and status (n,)."""


class Passage:
    """Payers, entities, published risk and the verdicts still to come, in memory. Copy it to try several futures."""

    def __init__(self, tokeniser: Tokeniser, labels: pl.DataFrame | None = None) -> None:
        self._tokeniser = tokeniser
        self._payers = GrowingArena(PAYER)
        self._entities = GrowingArena(ENTITY)
        self._published = np.zeros(1, dtype=VALUES)
        self._verdicts = np.zeros(0, dtype=ACTIVITY)
        self._known_at = np.zeros(0, dtype=np.int64)
        self._labels: pl.DataFrame | None = None
        if labels is not None:
            self.expect(labels)

    def expect(self, labels: pl.DataFrame) -> None:
        """From here on, payments have these labels: transaction_id, is_fraud, known_at."""
        frauds = labels.filter(pl.col("is_fraud") & pl.col("known_at").is_not_null())
        self._labels = frauds.select("transaction_id", "known_at")

    def judge(self, payments: pl.DataFrame) -> Iterator[Judged]:
        """Pass payments in `ORDER`, of whole minutes; yields their features and status piece by piece."""
        for slab in slabs(payments):
            self._await(slab)
            batch = from_frame(slab, self._tokeniser)
            times = slab["event_time"].to_numpy()
            judged = [
                self._chunk(PaymentBatch(batch.ids[start:stop], batch.rows[start:stop]), int(times[start]))
                for start, stop in chunks(times)
            ]
            yield np.concatenate([features for features, _ in judged]), np.concatenate([bits for _, bits in judged])

    def _chunk(self, batch: PaymentBatch, now: int) -> Judged:
        known = int(np.searchsorted(self._known_at, now, side="right"))
        if known:
            self._apply(self._verdicts[:known])
            self._verdicts, self._known_at = self._verdicts[known:], self._known_at[known:]
        rows = self._payers.rows(batch.payer_keys)
        status = np.zeros(len(batch), dtype=np.uint8)
        values = {name: self._values(kind, batch, name) for name, kind in SEEN}
        risk = assemble(values, batch.rows["event_time"])
        features = compute(batch.rows, self._payers.records, rows, risk, status)
        counted = np.flatnonzero(status & DUPLICATE == 0)
        payer_known = values["payer"]["updated_at"] > 0
        self._apply(activity_of(batch.rows[counted], status[counted], payer_known[counted], risk[counted]))
        return features, status

    def _await(self, payments: pl.DataFrame) -> None:
        """Wait for the verdicts on these payments."""
        if self._labels is None:
            return
        device = pl.col("device_id") if "device_id" in payments.columns else pl.lit(None, dtype=pl.String)
        about = payments.select("transaction_id", "payer", "payee", device.alias("device"), "event_time")
        due = about.join(self._labels, on="transaction_id", how="inner", maintain_order="left")
        named = {name: due[name].to_list() for name in ("payer", "payee", "device")}
        said = activity_of_verdicts(self._tokeniser, named, due["event_time"].to_numpy())
        verdicts = np.concatenate([self._verdicts, said.activity])
        known_at = np.concatenate([self._known_at, due["known_at"].to_numpy()[said.of]])
        order = np.argsort(known_at, kind="stable")
        self._verdicts, self._known_at = verdicts[order], known_at[order]

    def _values(self, kind: int, batch: PaymentBatch, name: str) -> NDArray[np.void]:
        """What is published of one entity of each payment; zeros for nothing."""
        rows = self._entities.find(as_bytes(entity_keys(kind, batch.tokens(name))))
        return self._published[rows]  # the last one, of row -1, is nobody's

    def _apply(self, activity: NDArray[np.void]) -> None:
        rows = self._entities.rows(as_bytes(entity_keys(activity["kind"], activity["token"])))
        if self._published.size <= self._entities.records.size:
            grown = np.zeros(self._entities.records.size + 1, dtype=VALUES)
            grown[: self._published.size - 1] = self._published[:-1]
            self._published = grown
        entity_state.update(activity, self._entities.records, rows)
        touched = np.unique(rows)
        changed, values = entity_state.publishable(self._entities.records, touched)
        self._published[touched[changed]] = values[changed]


def chunks(times: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Where each chunk starts and stops in payments of whole minutes, by their ascending times in epoch ms."""
    minutes = times // CHUNK_MS
    first = np.flatnonzero(np.r_[True, minutes[1:] != minutes[:-1]])
    since = np.arange(times.size) - np.repeat(first, np.diff(np.r_[first, times.size]))
    starts = np.flatnonzero(since % CHUNK == 0)
    return list(zip(starts.tolist(), [*starts[1:].tolist(), times.size], strict=True)) if times.size else []


def slabs(payments: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Pieces of about `SLAB` payments that end where a minute does."""
    minutes = payments["event_time"].to_numpy() // CHUNK_MS
    start = 0
    while start < minutes.size:
        last = min(start + SLAB, minutes.size) - 1
        stop = int(np.searchsorted(minutes, minutes[last], side="right"))
        yield payments[start:stop]
        start = stop
