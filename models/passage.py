"""The way of a history through the engine: payments in order, entity risk as it was published, verdicts once known.

Payments pass a chunk at a time. A chunk sees what the chunks before it have led to, as a worker's step sees what the
entities agent had published before; verdicts take effect at the beginning of a chunk. A chunk ends with a minute of
event time, and after `CHUNK` payments: live, risk follows payments within a second, whatever their number. Chunks are
cut by the payments' own times, so that a history comes out the same in whatever parts it is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import entity_state
from models.activity import activity_of_frauds
from models.arena import GrowingArena
from models.batch import PaymentBatch, from_frame
from models.catalogue import FEATURE_NAMES, FEATURES
from models.chunk import VERDICT, pass_chunks
from models.engine import RISK, compute
from models.entity_risk import SEEN
from models.entity_state import ENTITY, ENTITY_KEY_BYTES, VALUES, entity_keys
from models.keys import Keys, of_tokens
from models.payer_state import PAYER
from models.tokens import Tokeniser

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
        self._entities = GrowingArena(ENTITY, ENTITY_KEY_BYTES)
        self._published = np.zeros(1, dtype=VALUES)
        self._verdicts = np.zeros(0, dtype=VERDICT)
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
            times = slab["event_time"].to_numpy()
            yield self.step(from_frame(slab, self._tokeniser), times, chunks(times))

    def step(self, batch: PaymentBatch, times: NDArray[np.int64], starts: NDArray[np.int64]) -> Judged:
        """Pass payments (n,) of whole chunks, which begin at `starts`; `times` (n,), ascending, decide which verdicts
        are known."""
        self._await(batch)
        rows = self._payers.rows(of_tokens(batch.tokens("payer")))
        seen = self._seen(batch)
        risk = np.full(len(batch), np.nan, dtype=RISK)
        status = np.zeros(len(batch), dtype=np.uint8)
        features = np.empty(len(batch), dtype=FEATURES)
        told = pass_chunks(
            np.append(starts, len(batch)), times, batch.rows, self._payers.records, rows, self._entities.records, seen,
            self._published, self._verdicts, risk, status, features,
        )  # fmt: skip
        self._verdicts = self._verdicts[told:]
        return features.view(np.float32).reshape(len(batch), len(FEATURE_NAMES)), status

    def step_given(self, batch: PaymentBatch, risk: NDArray[np.void]) -> Judged:
        """Pass payments (n,) whose entity risk (n,) of RISK is known from elsewhere."""
        rows = self._payers.rows(of_tokens(batch.tokens("payer")))
        status = np.zeros(len(batch), dtype=np.uint8)
        return compute(batch.rows, self._payers.records, rows, risk, status), status

    def know(self, payers: tuple[Keys, NDArray[np.void]], entities: tuple[Keys, NDArray[np.void]]) -> None:
        """Begin with these keys and records, before anything has passed."""
        self._payers.restore(*payers)
        keys, records = entities
        rows = self._entity_rows(keys)
        self._entities.records[rows] = records
        _, values = entity_state.publishable(records.copy(), np.arange(len(records)))
        told = np.flatnonzero((records["published_level"] > 0) | (records["published_risk"] > 0))
        self._published[rows[told]] = values[told]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Everything that has passed, as arrays; verdicts to come are among them, labels to come are not."""
        payer_keys, payers = self._payers.kept()
        entity_keys, entities = self._entities.kept()
        return {
            "payer_keys": payer_keys, "payers": payers, "entity_keys": entity_keys, "entities": entities,
            "published": self._published[: len(self._entities)], "verdicts": self._verdicts,
        }  # fmt: skip

    @classmethod
    def restored(cls, tokeniser: Tokeniser, snapshot: Mapping[str, NDArray[Any]]) -> "Passage":
        """Where a `snapshot` was taken, with the same tokeniser."""
        passage = cls(tokeniser)
        passage._payers.restore(snapshot["payer_keys"], snapshot["payers"])
        rows = passage._entity_rows(snapshot["entity_keys"])
        passage._entities.records[rows] = snapshot["entities"]
        passage._published[rows] = snapshot["published"]
        passage._verdicts = snapshot["verdicts"].copy()
        return passage

    def _seen(self, batch: PaymentBatch) -> NDArray[np.int64]:
        """(n, 4) rows of the entities of each payment, in the order of `SEEN`; nobody's for a payer who is none."""
        keys = [entity_keys(kind, batch.tokens(name)) for name, kind in SEEN]
        seen = [self._entity_rows(each) for each in keys[:-1]]
        return np.stack([*seen, self._entities.find(keys[-1])], axis=1)

    def _entity_rows(self, keys: Keys) -> NDArray[np.int64]:
        rows = self._entities.rows(keys)
        if self._published.size <= self._entities.records.size:
            grown = np.zeros(self._entities.records.size + 1, dtype=VALUES)  # the last one, of row -1, is nobody's
            grown[: self._published.size - 1] = self._published[:-1]
            self._published = grown
        return rows

    def _await(self, batch: PaymentBatch) -> None:
        """Wait for the verdicts on these payments."""
        if self._labels is None:
            return
        asked = pl.DataFrame({"transaction_id": batch.ids, "of": np.arange(len(batch))})
        due = asked.join(self._labels, on="transaction_id", how="inner", maintain_order="left")
        said = activity_of_frauds(batch.rows[due["of"].to_numpy()])
        verdicts = np.empty(said.of.size, dtype=VERDICT)
        verdicts["known_at"] = due["known_at"].to_numpy()[said.of]
        verdicts["row"] = self._entity_rows(entity_keys(said.activity["kind"], said.activity["token"]))
        verdicts["event_time"], verdicts["flags"] = said.activity["event_time"], said.activity["flags"]
        verdicts = np.concatenate([self._verdicts, verdicts])
        self._verdicts = verdicts[np.argsort(verdicts["known_at"], kind="stable")]


def chunks(times: NDArray[np.int64], before: int = 0) -> NDArray[np.int64]:
    """Where each chunk begins in payments by their ascending times in epoch ms, `before` of whose first minute have
    passed already, in whole chunks."""
    if not times.size:
        return np.zeros(0, dtype=np.int64)
    minutes = times // CHUNK_MS
    first = np.flatnonzero(np.r_[True, minutes[1:] != minutes[:-1]])
    lengths = np.diff(np.r_[first, times.size])
    since = np.arange(times.size) - np.repeat(first, lengths)
    since[: lengths[0]] += before
    return np.flatnonzero(since % CHUNK == 0)


def slabs(payments: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Pieces of about `SLAB` payments that end where a minute does."""
    minutes = payments["event_time"].to_numpy() // CHUNK_MS
    start = 0
    while start < minutes.size:
        last = min(start + SLAB, minutes.size) - 1
        stop = int(np.searchsorted(minutes, minutes[last], side="right"))
        yield payments[start:stop]
        start = stop


def in_minutes(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same payments in order, cut where minutes end: those of a part's last minute wait for the next part."""
    left: pl.DataFrame | None = None
    for part in parts:
        frame = (part if left is None else pl.concat([left, part])).sort(ORDER)
        minutes = frame["event_time"] // CHUNK_MS
        whole = int((minutes < minutes[-1]).sum())
        if whole:
            yield frame[:whole]
        left = frame[whole:]
    if left is not None and len(left):
        yield left
