"""History through the engine: what a payment would have looked like live, for training and replay.

Payments pass in order of event time, a chunk at a time. A chunk sees entity risk as published before it; verdicts
take effect once they are known. The same code as live computes all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import entity_state
from models.arena import GrowingArena
from models.batch import PaymentBatch, from_frame
from models.catalogue import FEATURE_NAMES
from models.engine import DUPLICATE, compute
from models.entity_risk import assemble
from models.entity_state import ENTITY, VALUES, entity_keys
from models.keys import as_bytes
from models.payer_state import PAYER
from models.tokens import Tokeniser, new_key
from schemas.entity_activity import ACTIVITY, FRAUD

CHUNK = 2_000
"""Payments that share one view of entity risk: what arrives live within some tenths of a second."""


@dataclass(frozen=True)
class History:
    """Payments with their features and what is known of them, in order of event time; all of length n."""

    features: NDArray[np.float32]
    """(n, 85)"""
    payments: pl.DataFrame
    """transaction_id, event_time, payer, payee, amount, and with labels is_fraud, kind, known_at (epoch ms or null)."""
    status: NDArray[np.uint8]

    def __len__(self) -> int:
        return self.payments.height

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """All that is known of these payments, rows in ascending order."""
        return self.payments[rows]


class OfflineEngine:
    """Payers, entities and published risk in memory. Judges one chunk of payments after another."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        self._tokeniser = tokeniser
        self._payers = GrowingArena(PAYER)
        self._entities = GrowingArena(ENTITY)
        self._published = np.zeros(1, dtype=VALUES)

    def judge(self, frame: pl.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Features (n, 85) and status (n,) of a chunk in order of event time."""
        batch = from_frame(frame, self._tokeniser)
        rows = self._payers.rows(batch.payer_keys)
        status = np.zeros(len(batch), dtype=np.uint8)
        features = compute(batch.rows, self._payers.records, rows, self._risk(batch), status)
        counted = np.flatnonzero(status & DUPLICATE == 0)
        payer_known = self._values(1, batch, "payer")["updated_at"] > 0
        self._apply(entity_state.activity_of(batch.rows[counted], status[counted], payer_known[counted]))
        return features, status

    def learn(self, frauds: pl.DataFrame) -> None:
        """Let verdicts of fraud take effect: columns payee, device_id, event_time, amount."""
        if frauds.is_empty():
            return
        payees = self._tokeniser.tokens([("account", frauds["payee"].to_list())])
        devices = self._tokeniser.tokens([("device", frauds["device_id"].to_list())])
        self._apply(np.concatenate([self._verdicts(1, payees, frauds), self._verdicts(2, devices, frauds)]))

    def _verdicts(self, kind: int, tokens: bytes, frauds: pl.DataFrame) -> NDArray[np.void]:
        rows = np.zeros(frauds.height, dtype=ACTIVITY)
        rows["kind"], rows["flags"], rows["token"] = kind, FRAUD, np.frombuffer(tokens, dtype="V16")
        rows["event_time"], rows["amount"] = frauds["event_time"].to_numpy(), frauds["amount"].to_numpy()
        return rows[np.frombuffer(tokens, dtype="<u8").reshape(-1, 2).any(axis=1)]

    def _risk(self, batch: PaymentBatch) -> NDArray[np.void]:
        payee, device, sim = (self._values(k, batch, name) for k, name in ((1, "payee"), (2, "device"), (3, "sim")))
        return assemble(payee, device, sim, batch.rows["event_time"])

    def _values(self, kind: int, batch: PaymentBatch, name: str) -> NDArray[np.void]:
        """What is published of one entity of each payment; zeros for nothing."""
        rows = self._entities.find(as_bytes(entity_keys(kind, batch.tokens(name))))
        return np.where(rows >= 0, self._published[rows], np.zeros(1, dtype=VALUES))

    def _apply(self, activity: NDArray[np.void]) -> None:
        rows = self._entities.rows(as_bytes(entity_keys(activity["kind"], activity["token"])))
        if self._published.size < self._entities.records.size:
            grown = np.zeros(self._entities.records.size, dtype=VALUES)
            grown[: self._published.size] = self._published
            self._published = grown
        entity_state.update(activity, self._entities.records, rows)
        touched = np.unique(rows)
        changed, values = entity_state.publishable(self._entities.records, touched)
        self._published[touched[changed]] = values[changed]


def featurise(
    transactions: pl.DataFrame,
    labels: pl.DataFrame | None = None,
    *,
    tokeniser: Tokeniser | None = None,
    progress: Callable[[int], None] | None = None,
) -> History:
    """Pass a history through the engine. `progress` is called with the number of payments done since its last call.

    The key of the tokens makes no difference to a feature; without a tokeniser a random one is used.
    """
    transactions = transactions.sort("event_time", "transaction_id")
    engine = OfflineEngine(tokeniser or Tokeniser(new_key()))
    verdicts = _verdicts(transactions, labels)
    features = np.empty((transactions.height, len(FEATURE_NAMES)), dtype=np.float32)
    status = np.zeros(transactions.height, dtype=np.uint8)
    for start in range(0, transactions.height, CHUNK):
        chunk = transactions[start : start + CHUNK]
        now = chunk["event_time"][0]
        known, verdicts = verdicts.filter(pl.col("known_at") <= now), verdicts.filter(pl.col("known_at") > now)
        engine.learn(known)
        stop = start + chunk.height
        features[start:stop], status[start:stop] = engine.judge(chunk)
        if progress:
            progress(chunk.height)
    payments = transactions.select("transaction_id", "event_time", "payer", "payee", "amount")
    if labels is not None:
        payments = payments.join(
            labels.select("transaction_id", "is_fraud", "kind", "known_at"),
            on="transaction_id",
            how="left",
            maintain_order="left",
        )
        payments = payments.with_columns(pl.col("is_fraud").fill_null(False), pl.col("kind").fill_null(""))
    return History(features, payments, status)


def _verdicts(transactions: pl.DataFrame, labels: pl.DataFrame | None) -> pl.DataFrame:
    """Frauds with the time they became known, and what verdicts are about."""
    device = pl.col("device_id") if "device_id" in transactions.columns else pl.lit(None, dtype=pl.String)
    about = transactions.select("transaction_id", "payee", device.alias("device_id"), "event_time", "amount")
    if labels is None:
        return about.clear().with_columns(pl.lit(None, dtype=pl.Int64).alias("known_at"))
    frauds = labels.filter(pl.col("is_fraud") & pl.col("known_at").is_not_null()).select("transaction_id", "known_at")
    return about.join(frauds, on="transaction_id", how="inner")
