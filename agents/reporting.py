"""What is said about judged payments: an alert for each flagged one, columnar decisions for all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.champion import Models
from models import engine
from models.batch import PaymentBatch
from models.catalogue import CATALOGUE_HASH
from models.explaining import Explanation
from models.fingerprint import fingerprints
from models.policy import DECIDED_BY, Decisions
from models.scoring import Scores
from schemas.alert import Alert, Source, alert_id
from schemas.decision import MAX_ROWS, DecisionMeta, encode_decisions

FLAGS = ((engine.ID_CONFLICT, "id_conflict"), (engine.LATE, "late"), (engine.CLAMPED, "clamped"))
"""What an alert may say of its payment. A duplicate or a redo is never alerted."""


@dataclass(frozen=True)
class Judged:
    """n payments and everything that was found out about them."""

    models: Models
    payments: PaymentBatch
    partitions: NDArray[np.int32]
    offsets: NDArray[np.int64]
    published: NDArray[np.int64]
    features: NDArray[np.float32]
    risk: NDArray[np.void]
    status: NDArray[np.uint8]
    scores: Scores
    decisions: Decisions
    challenger_probabilities: Sequence[NDArray[np.float32]]
    decided_at: int


def alert_record(judged: Judged, i: int, why: Explanation, list_version: str, topic: str) -> Alert:
    """The alert of payment `i`."""
    champion, decider = judged.models.champion, judged.models.decider
    row = judged.payments.rows[i]
    partition, offset = int(judged.partitions[i]), int(judged.offsets[i])
    return Alert(
        alert_id=alert_id(topic, partition, offset),
        transaction_id=judged.payments.ids[i],
        event_time=int(row["event_time"]),
        decided_at=judged.decided_at,
        payer_token=judged.payments.payer_keys[i].hex(),
        payee_token=row["payee"].tobytes().hex() + row["payee_low"].tobytes().hex(),
        amount=int(row["amount"]),
        probability=float(judged.scores.probability[i]),
        score=int(judged.scores.score[i]),
        band=champion.bands[judged.scores.band[i]],
        decided_by=DECIDED_BY[judged.decisions.decided_by[i]],
        rule=decider.rule_names[judged.decisions.rule[i]],
        threshold=int(judged.decisions.threshold[i]),
        reasons=why.reasons,
        base_value=why.base_value,
        margin=why.margin,
        flags=[name for bit, name in FLAGS if judged.status[i] & bit],
        model=champion.bundle.ref,
        policy_version=decider.version,
        list_version=list_version,
        catalogue_hash=CATALOGUE_HASH,
        source=Source(topic=topic, partition=partition, offset=offset, timestamp=int(judged.published[i])),
    )


def decision_records(judged: Judged, list_version: str, topic: str) -> Iterator[tuple[int, bytes]]:
    """Source partition and record, for each partition of the batch."""
    models = judged.models
    frame = _frame(judged)
    for partition in np.unique(judged.partitions).tolist():
        mine = np.flatnonzero(judged.partitions == partition)
        for start in range(0, mine.size, MAX_ROWS):
            part = mine[start : start + MAX_ROWS]
            meta = DecisionMeta(
                topic=topic,
                partition=partition,
                first_offset=int(judged.offsets[part[0]]),
                last_offset=int(judged.offsets[part[-1]]),
                decided_at=judged.decided_at,
                model=models.champion.bundle.ref,
                challengers=[challenger.bundle.ref for challenger in models.challengers],
                threshold=models.decider.alert_score,
                policy_version=models.decider.version,
                list_version=list_version,
                catalogue_hash=CATALOGUE_HASH,
            )
            yield partition, encode_decisions(meta, frame[part])


def _frame(judged: Judged) -> pl.DataFrame:
    """One row a payment, with the columns of `schemas.decision`."""
    return pl.DataFrame(
        {
            "offset": judged.offsets,
            "transaction_id": judged.payments.ids,
            "payer_token": [key.hex() for key in judged.payments.payer_keys],
            "event_time": judged.payments.rows["event_time"].astype(np.int64),
            "features_hash": fingerprints(judged.features),
            "probability": judged.scores.probability,
            "score": judged.scores.score,
            "band": _named(judged.models.champion.bands, judged.scores.band),
            "flagged": judged.decisions.flagged,
            "decided_by": _named(DECIDED_BY, judged.decisions.decided_by),
            "rule": _named(judged.models.decider.rule_names, judged.decisions.rule),
            "status": judged.status,
            **{f"challenger_{k}": values for k, values in enumerate(judged.challenger_probabilities)},
            **{f"risk_{name}": judged.risk[name] for name in judged.risk.dtype.names or ()},
        }
    )


def _named(names: Sequence[str | None], codes: NDArray[np.uint8]) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(codes)
