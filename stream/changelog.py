"""What a changelog holds: each key's latest record, and one reserved key with the next offset of the source.

One that was rebuilt begins with a second reserved key, which tells it from one that somebody made again, empty, and a
worker wrote to.

Partition k of the changelog belongs to partition k of the source. Reserved keys are shorter than any token, so that
they cannot be one; the position's record is the last of a step's, in the step's transaction.
"""

import struct
from dataclasses import dataclass

POSITION_KEY = b"position"
REBUILT_KEY = b"rebuilt"
_POSITION = struct.Struct("<Bq")
_CHECKPOINT = struct.Struct("<Bqq16s")
VERSION = 1
Change = tuple[bytes, bytes | None]
"""A key and its record as it is kept; None deletes it."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a local database has come: it holds the effect of all source records before `source_offset`."""

    source_offset: int
    """Next offset of the source; -1 before the first."""
    changelog_offset: int
    """Next offset of the changelog to read."""
    topic_id: bytes
    """The changelog's id, 16 bytes: a topic made again under the same name has another."""

    def encode(self) -> bytes:
        return _CHECKPOINT.pack(VERSION, self.source_offset, self.changelog_offset, self.topic_id)

    @classmethod
    def decode(cls, value: bytes) -> "Checkpoint":
        """Raises `ValueError` on anything but a checkpoint of this version."""
        if len(value) != _CHECKPOINT.size or value[0] != VERSION:
            raise ValueError("not a checkpoint")
        return cls(*_CHECKPOINT.unpack(value)[1:])


def encode_position(source_offset: int) -> bytes:
    """The reserved key's record."""
    return _POSITION.pack(VERSION, source_offset)


def decode_position(value: bytes) -> int:
    """Next offset of the source; raises `ValueError` on anything else."""
    if len(value) != _POSITION.size or value[0] != VERSION:
        raise ValueError("not a position")
    return int(_POSITION.unpack(value)[1])
