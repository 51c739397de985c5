"""The scoring agent: payments in; alerts, decisions, dead letters and entity activity out. Top to bottom.

`compute` is a step's pure part: it reads state and tables, changes the payers' records in memory, and returns what
is to be published; for metrics only, it counts. `stream.step` publishes it in one transaction, and keeps the records.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agents.breaker import CircuitBreaker
from agents.champion import Models
from agents.drift import DriftWatch
from agents.reporting import Judged, alert_record, decision_records
from agents.tables import ListTable, RiskTable
from models.activity import activity_of
from models.batch import PaymentBatch, from_records
from models.engine import DUPLICATE, REDO, compute
from models.entity_risk import SEEN, assemble
from models.entity_state import entity_keys
from models.explaining import explain
from models.keys import of_tokens
from models.policy import ENTITIES as LISTED
from models.policy import SECOND_OPINION
from models.tokens import Tokeniser
from schemas.codec import Rejected, encode
from schemas.dead_letter import MAX_PART_BYTES, DeadLetter
from schemas.entity_activity import split_activity
from stream.batch import Batch
from stream.keyed_state import KeyedState
from stream.step import Outputs
from stream.topics import Topics


@dataclass(frozen=True)
class Scoring:
    """What a scoring step needs."""

    state: KeyedState
    tokeniser: Tokeniser
    models: Callable[[], Models]
    """What judges now; asked once a step."""
    risk: RiskTable
    lists: ListTable
    topics: Topics
    activity_partitions: int
    slot: int
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """For `decided_at` only: no feature knows it."""
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    drift: DriftWatch = field(default_factory=DriftWatch)

    def compute(self, batch: Batch, applied: dict[int, int]) -> Outputs:
        """Judge a batch; `applied` is, by partition, the offset up to which payments are in the state already.

        Raises `Stop` where the circuit breaker trips.
        """
        outputs = Outputs()
        payments, rejected = from_records(batch.values, batch.keys, batch.timestamps, self.tokeniser)
        unreadable = [reject.index for reject in rejected]
        self.breaker.see(batch.partitions, batch.offsets, unreadable)
        where = np.delete(np.arange(len(batch)), unreadable)
        self._dead_letters(outputs, batch, rejected)
        outputs.counts = {"dead_letters": len(rejected), "payments": len(payments)}
        if not len(payments):
            return outputs
        partitions, offsets, published = batch.partitions[where], batch.offsets[where], batch.timestamps[where]
        status = np.zeros(len(payments), dtype=np.uint8)
        for partition, offset in applied.items():
            status[(partitions == partition) & (offsets < offset)] = REDO
        models = self.models()
        rows = self._payers(outputs, payments, partitions)
        risk, hits = self._entities(payments)
        features = compute(payments.rows, self.state.records, rows, risk, status)
        scores = models.champion.score(features)
        second = models.champion.second_score(features)
        decisions = models.decider.decide(scores.score, features, status, hits, second)
        flagged = np.flatnonzero(decisions.flagged)
        judged = Judged(
            models=models,
            payments=payments,
            partitions=partitions,
            offsets=offsets,
            published=published,
            features=features,
            risk=risk,
            status=status,
            scores=scores,
            second=second,
            decisions=decisions,
            challenger_probabilities=[challenger.score(features).probability for challenger in models.challengers],
            decided_at=self.clock_ms(),
        )
        self.drift.see(judged)
        self._alerts(outputs, judged, flagged)
        self._decisions(outputs, judged)
        self._activity(outputs, judged)
        outputs.counts |= {"duplicates": int(np.count_nonzero(status & DUPLICATE))}
        return outputs

    def _dead_letters(self, outputs: Outputs, batch: Batch, rejected: Sequence[Rejected]) -> None:
        """Records that cannot be read, as they came, with the reason in Kafka Connect's headers; giants are cut."""
        for index, code, message in rejected:
            letter = DeadLetter(
                topic=self.topics.transactions,
                partition=int(batch.partitions[index]),
                offset=int(batch.offsets[index]),
                code=code,
                message=message,
                task=str(self.slot),
            )
            key, value = batch.keys[index], batch.values[index]
            record = {
                "key": key and key[:MAX_PART_BYTES],
                "value": value and value[:MAX_PART_BYTES],
                "headers": letter.headers(),
            }
            outputs.records.append((self.topics.dead_letter, record))

    def _payers(self, outputs: Outputs, payments: PaymentBatch, partitions: NDArray[np.int32]) -> NDArray[np.int64]:
        """Rows of the payers' records, and which of them this step changes."""
        payers = of_tokens(payments.tokens("payer"))
        rows = np.empty(len(payments), dtype=np.int64)
        for partition in np.unique(partitions).tolist():
            mine = np.flatnonzero(partitions == partition)
            keys = payers[mine]
            rows[mine] = self.state.rows(partition, keys)
            touched, first = np.unique(rows[mine], return_index=True)
            outputs.changed[partition] = (keys[first], touched)
        return rows

    def _entities(self, payments: PaymentBatch) -> tuple[NDArray[np.void], NDArray[np.uint8] | None]:
        """Risk of each payment's payee, device, SIM and payer, and the lists that its entities are on."""
        keys = {name: entity_keys(kind, payments.tokens(name)) for name, kind in SEEN}
        found = self.risk.lookup(np.concatenate(list(keys.values()))).reshape(len(keys), -1)
        times = payments.rows["event_time"]
        risk = assemble(dict(zip(keys, found, strict=True)), times)
        if not len(self.lists):
            return risk, None
        return risk, np.stack([self.lists.hits(keys[name], times) for name in LISTED], axis=1)

    def _alerts(self, outputs: Outputs, judged: Judged, flagged: NDArray[np.int64]) -> None:
        by_second = judged.decisions.decided_by[flagged] == SECOND_OPINION
        explanations = explain(judged.models.champion, judged.features[flagged], by_second)
        alerts = [
            alert_record(judged, i, explanation, self.lists.version, self.topics.transactions)
            for i, explanation in zip(flagged.tolist(), explanations, strict=True)
        ]
        outputs.bulk[self.topics.alerts] = [
            {"key": alert.payer_token.encode(), "value": encode(alert)} for alert in alerts
        ]
        outputs.alerts = [(alert.band, alert.decided_by) for alert in alerts]
        outputs.oldest_ms = int(judged.published.min())

    def _decisions(self, outputs: Outputs, judged: Judged) -> None:
        records = decision_records(judged, self.lists.version, self.topics.transactions)
        outputs.bulk[self.topics.decisions] = [
            {"key": None, "value": value, "partition": partition} for partition, value in records
        ]

    def _activity(self, outputs: Outputs, judged: Judged) -> None:
        """What the payments say about payees, devices and SIMs; a duplicate or a redo says nothing new."""
        counted = np.flatnonzero(judged.status & (DUPLICATE | REDO) == 0)
        activity = activity_of(judged.payments.rows.take(counted), judged.status[counted], judged.risk[counted])
        parts = split_activity(activity, self.activity_partitions)
        outputs.bulk[self.topics.entity_activity] = [
            {"key": None, "value": value, "partition": partition} for partition, value in parts
        ]
