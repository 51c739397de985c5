"""What of a step moves an agent's state on, and nothing else: for building state anew from the source.

The records of the source are read once more; nothing is scored, flagged or published of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.entities import Entities
from models.batch import from_records
from models.engine import RISK, compute
from models.keys import of_tokens
from models.tokens import Tokeniser
from schemas.codec import decode_entity_risk
from schemas.errors import DecodeError
from schemas.types import ENTITY_KINDS
from stream.batch import Batch
from stream.keyed_state import KeyedState
from stream.logs import logger
from stream.rebuild import Folding
from stream.step import Compute, Outputs

log = logger("rebuilding")
UNPUBLISHED = 0xFFFF_FFFF
"""A level that no entity has: its next activity is news."""


def payers(state: KeyedState, tokeniser: Tokeniser) -> Compute:
    """The scoring agent's: payers' records follow from their payments alone, whatever model, lists and risk say."""

    def remember(batch: Batch) -> Outputs:
        outputs = Outputs()
        payments, _ = from_records(batch.values, batch.keys, batch.timestamps, tokeniser)
        if not len(payments):
            return outputs
        partition = int(batch.partitions[0])
        keys = of_tokens(payments.tokens("payer"))
        rows = state.rows(partition, keys)
        nothing_known = np.full(len(payments), np.nan, dtype=RISK)
        compute(payments.rows, state.records, rows, nothing_known, np.zeros(len(payments), dtype=np.uint8))
        touched, first = np.unique(rows, return_index=True)
        outputs.changed[partition] = (keys[first], touched)
        return outputs

    return remember


def entities(state: KeyedState) -> Compute:
    """The entities agent's own; the news that it has is not published."""
    agent = Entities(state, "")
    return lambda batch: agent.compute(batch, {})


class Published:
    """What was last published of each entity, from `entity-risk`: state remembers it, to tell what is news.

    It depends on where steps ended, so it does not follow from the activity.
    """

    def __init__(self) -> None:
        self._risk: dict[bytes, float] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """A record of the topic, in order of its partition."""
        kind, _, token = key.decode().partition(":")
        entity = bytes([ENTITY_KINDS.index(kind) + 1]) + bytes.fromhex(token)
        self._risk.pop(entity, None)
        if value is not None:
            try:
                self._risk[entity] = decode_entity_risk(value).risk
            except DecodeError as error:
                log.warning("a risk record cannot be read", error=str(error))

    def finish(
        self, folding: Folding, keys: Sequence[bytes], records: NDArray[np.void], rows: NDArray[np.int64]
    ) -> None:
        """Set what state remembers of it. Where activity was lost, everything is news again."""
        records["published_risk"][rows] = [self._risk.get(key, 0.0) for key in keys]
        if folding.lost:
            records["published_level"][rows] = UNPUBLISHED
