"""What is said about judged payments: an alert for each flagged one, columnar decisions for all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.champion import Models
from models import engine
from models.batch import PaymentBatch
from models.catalogue import CATALOGUE_HASH
from models.explaining import Explanation
from models.fingerprint import fingerprints
from models.keys import of_tokens
from models.policy import DECIDED_BY, Decisions
from models.scoring import Scores
from models.summary import summarise
from schemas.alert import Alert, Source, alert_id
from schemas.arrow_stream import Column, Strings
from schemas.decision import MAX_ROWS, DecisionMeta, encode_columns

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
    second: NDArray[np.int16] | None
    """The second opinion's scores; None without one."""
    decisions: Decisions
    challenger_probabilities: Sequence[NDArray[np.float32]]
    decided_at: int


def alert_record(judged: Judged, i: int, why: Explanation, list_version: str, topic: str) -> Alert:
    """The alert of payment `i`."""
    champion, decider = judged.models.champion, judged.models.decider
    row = judged.payments.rows[i]
    score, second = int(judged.scores.score[i]), None if judged.second is None else int(judged.second[i])
    partition, offset = int(judged.partitions[i]), int(judged.offsets[i])
    return Alert(
        alert_id=alert_id(topic, partition, offset),
        transaction_id=judged.payments.ids[i],
        event_time=int(row["event_time"]),
        decided_at=judged.decided_at,
        payer_token=_token(row, "payer"),
        payee_token=_token(row, "payee"),
        amount=int(row["amount"]),
        probability=float(judged.scores.probability[i]),
        score=score,
        band=champion.bands[judged.scores.band[i]],
        summary=summarise(
            decider,
            judged.decisions,
            i,
            score=score,
            second=second,
            features=judged.features[i],
            usual=champion.bundle.manifest.usual,
        ),
        decided_by=DECIDED_BY[judged.decisions.decided_by[i]],
        rule=decider.rule_names[judged.decisions.rule[i]],
        threshold=int(judged.decisions.threshold[i]),
        reasons=why.reasons,
        explains=why.explains,
        base_value=why.base_value,
        margin=why.margin,
        second_score=second,
        second_threshold=None if second is None else decider.second_score,
        flags=[name for bit, name in FLAGS if judged.status[i] & bit],
        model=champion.bundle.ref,
        policy_version=decider.version,
        list_version=list_version,
        catalogue_hash=CATALOGUE_HASH,
        source=Source(topic=topic, partition=partition, offset=offset, timestamp=int(judged.published[i])),
    )


def _token(row: np.void, name: str) -> str:
    """In hex, as `schemas.types.Token`."""
    return str(row[name].tobytes().hex() + row[f"{name}_low"].tobytes().hex())


def decision_records(judged: Judged, list_version: str, topic: str) -> Iterator[tuple[int, bytes]]:
    """Source partition and record, for each partition of the batch."""
    models = judged.models
    order = np.argsort(judged.partitions, kind="stable")
    columns = _columns(judged, order)
    partitions, starts = np.unique(judged.partitions[order], return_index=True)
    for partition, begin, end in zip(partitions.tolist(), starts, [*starts[1:], order.size], strict=True):
        for start in range(begin, end, MAX_ROWS):
            stop = min(end, start + MAX_ROWS)
            meta = DecisionMeta(
                topic=topic,
                partition=partition,
                first_offset=int(judged.offsets[order[start]]),
                last_offset=int(judged.offsets[order[stop - 1]]),
                decided_at=judged.decided_at,
                model=models.champion.bundle.ref,
                challengers=[challenger.bundle.ref for challenger in models.challengers],
                threshold=models.decider.alert_score,
                second_threshold=models.decider.second_score,
                policy_version=models.decider.version,
                list_version=list_version,
                catalogue_hash=CATALOGUE_HASH,
            )
            yield partition, encode_columns(meta, columns, start, stop)


def _columns(judged: Judged, order: NDArray[np.int64]) -> dict[str, Column]:
    """One row a payment, in this order, with the columns of `schemas.decision`."""
    payments, decisions = judged.payments, judged.decisions
    return {
        "offset": judged.offsets[order],
        "transaction_id": Strings.of([payments.ids[i] for i in order.tolist()]),
        "payer_token": Strings.hex(of_tokens(payments.tokens("payer"))[order]),
        "event_time": payments.rows["event_time"][order].astype(np.int64),
        "features_hash": fingerprints(judged.features)[order],
        "probability": judged.scores.probability[order],
        "score": judged.scores.score[order],
        "band": Strings.coded(judged.models.champion.bands, judged.scores.band[order]),
        "flagged": decisions.flagged[order],
        "decided_by": Strings.coded(DECIDED_BY, decisions.decided_by[order]),
        "rule": Strings.coded(judged.models.decider.rule_names, decisions.rule[order]),
        "status": judged.status[order],
        **({} if judged.second is None else {"second_score": judged.second[order]}),
        **{f"challenger_{k}": values[order] for k, values in enumerate(judged.challenger_probabilities)},
        **{f"risk_{name}": judged.risk[name][order] for name in judged.risk.dtype.names or ()},
    }
