"""The labels agent: verdicts of analysts and chargebacks in, as activity of the entities they speak about.

Verdicts have no order against payments, so they move entity risk only, never a payer's record.
"""

from dataclasses import dataclass

import numpy as np

from models.activity import activity_of_verdicts
from models.tokens import Tokeniser
from schemas.codec import decode_label
from schemas.entity_activity import split_activity
from schemas.errors import DecodeError
from schemas.label import Label
from stream.batch import Batch
from stream.logs import logger
from stream.step import Outputs

log = logger("labels")


@dataclass(frozen=True)
class Labels:
    """What a step over verdicts needs."""

    tokeniser: Tokeniser
    activity_topic: str
    activity_partitions: int

    def compute(self, batch: Batch) -> Outputs:
        """Activity of payer, payee and device for each verdict of fraud; one that cannot be read is logged and left."""
        frauds = [label for label in map(self._decode, batch.values) if label is not None and label.is_fraud]
        named: dict[str, list[str | None]] = {
            "payer": [label.payer for label in frauds],
            "payee": [label.payee for label in frauds],
            "device": [label.device_id for label in frauds],
        }
        times = np.array([label.event_time for label in frauds], dtype=np.int64)
        activity = activity_of_verdicts(self.tokeniser, named, times).activity
        parts = split_activity(activity, self.activity_partitions)
        return Outputs(
            bulk={self.activity_topic: [{"key": None, "value": value, "partition": p} for p, value in parts]}
        )

    def _decode(self, value: bytes | None) -> Label | None:
        try:
            return decode_label(value or b"")
        except DecodeError as error:
            log.warning("a label cannot be read", error=str(error))
            return None
