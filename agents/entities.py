"""The entities agent: activity of payees, devices and SIMs in, risk records out when something material changed."""

from dataclasses import dataclass

import numpy as np

from models import entity_state
from models.entity_risk import to_records
from schemas.codec import encode
from schemas.entity_activity import ACTIVITY, decode_activity
from schemas.entity_risk import entity_key as record_key
from schemas.errors import DecodeError, NewerVersion
from stream.batch import Batch
from stream.errors import Stop
from stream.keyed_state import KeyedState
from stream.logs import logger
from stream.step import Outputs

log = logger("entities")
ENTITIES_PER_PAYER = 4
"""Accounts, devices and SIMs held in memory for each payer: their records are an eighth as large."""


@dataclass(frozen=True)
class Entities:
    """What an entities step needs."""

    state: KeyedState
    risk_topic: str

    def compute(self, batch: Batch, applied: dict[int, int]) -> Outputs:
        """Move the entities' records on; `applied` is the offset from which each partition's records are new.

        Raises `Stop` for activity that a newer build wrote: left out, it would be lost.
        """
        outputs = Outputs(counts={"risk_records": 0})
        for partition in np.unique(batch.partitions).tolist():
            activity = self._activity(batch, partition, applied.get(partition, -1))
            if not activity.size:
                continue
            keys = entity_state.entity_keys(activity["kind"], activity["token"])
            rows = self.state.rows(partition, keys)
            entity_state.update(activity, self.state.records, rows)
            touched, first = np.unique(rows, return_index=True)
            outputs.changed[partition] = (keys[first], touched)
            changed, values = entity_state.publishable(self.state.records, touched)
            published = activity.take(first[changed])
            news = to_records(published["kind"], published["token"], values[changed])
            outputs.bulk.setdefault(self.risk_topic, []).extend(
                {"key": record_key(risk.kind, risk.token), "value": encode(risk)} for risk in news
            )
            outputs.counts["risk_records"] += len(news)
        return outputs

    def _activity(self, batch: Batch, partition: int, applied: int) -> np.ndarray:
        rows = [np.zeros(0, dtype=ACTIVITY)]
        for i in np.flatnonzero((batch.partitions == partition) & (batch.offsets >= applied)).tolist():
            try:
                rows.append(decode_activity(batch.values[i] or b""))
            except NewerVersion as error:
                raise Stop(str(error), hint=error.hint) from error
            except DecodeError as error:
                log.warning(
                    "activity that cannot be read is left out",
                    partition=partition,
                    offset=int(batch.offsets[i]),
                    error=str(error),
                )
        return np.concatenate(rows)
