"""The state that workers had, as a past to begin with: a state directory, or a copy of it made while they ran.

It is read only. Each partition goes on where its database has come to, which its checkpoint tells. What is published of
an entity is taken to be what its record says, which may be a step ahead of what workers knew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.entity_state import ENTITY_CODEC, ENTITY_KEY_BYTES
from models.keys import TOKEN_BYTES, Keys
from models.passage import Passage
from models.payer_state import PAYER_CODEC
from models.record_codec import RecordCodec
from models.tokens import Tokeniser
from schemas.errors import FraudStreamError
from stream import inspection

Records = tuple[Keys, NDArray[np.void]]


class SnapshotError(FraudStreamError):
    """A directory that holds no state."""


@dataclass(frozen=True)
class Snapshot:
    """Records of payers and entities by the partition of their database."""

    payers: Mapping[int, Records]
    entities: Mapping[int, Records]
    offsets: Mapping[int, int]
    """By partition of the payments, the first one that is not in it."""

    @classmethod
    def read(cls, directory: Path) -> "Snapshot":
        """Raises SnapshotError for a directory without state, InspectionError for one that is damaged."""
        payers = _furthest(directory, "scoring", PAYER_CODEC, TOKEN_BYTES)
        if not payers:
            raise SnapshotError(
                f"{directory} holds no state of payers", hint="give a worker's --state-dir, or a copy of it"
            )
        entities = _furthest(directory, "entities", ENTITY_CODEC, ENTITY_KEY_BYTES)
        return cls(
            {partition: (keys, records) for partition, (keys, records, _) in payers.items()},
            {partition: (keys, records) for partition, (keys, records, _) in entities.items()},
            {partition: offset for partition, (_, _, offset) in payers.items()},
        )

    def passage(self, tokeniser: Tokeniser, partitions: Collection[int] | None = None) -> Passage:
        """A passage that knows this past; or of it only the payers of some partitions, for `Passage.step_given`."""
        passage = Passage(tokeniser)
        chosen = [
            records for partition, records in self.payers.items() if partitions is None or partition in partitions
        ]
        entities = self.entities.values() if partitions is None else ()
        passage.know(_joined(chosen, PAYER_CODEC, TOKEN_BYTES), _joined(entities, ENTITY_CODEC, ENTITY_KEY_BYTES))
        return passage


def _furthest(
    directory: Path, agent: str, codec: RecordCodec, key_bytes: int
) -> dict[int, tuple[Keys, NDArray[np.void], int]]:
    """By partition, records and next offset of the database that has come furthest: a partition that moved from one
    worker to another has left one with each."""
    found: dict[int, tuple[Keys, NDArray[np.void], int]] = {}
    for _, partition, path in inspection.databases(directory, agent):
        keys, records, checkpoint = inspection.read(path, codec, key_bytes)
        offset = max(0, checkpoint.source_offset) if checkpoint else 0
        if partition not in found or offset > found[partition][2]:
            found[partition] = keys, records, offset
    return found


def _joined(parts: Collection[Records], codec: RecordCodec, key_bytes: int) -> Records:
    keys = [np.zeros((0, key_bytes), dtype=np.uint8), *(keys for keys, _ in parts)]
    records = [np.zeros(0, dtype=codec.dtype), *(records for _, records in parts)]
    return np.concatenate(keys), np.concatenate(records)
