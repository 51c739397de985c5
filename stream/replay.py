"""Committed changelog records into a partition's local database: what a restore and a standby have in common.

A batch goes in at once, with the checkpoint that it reaches, so that whoever comes next goes on from there. Of a key
that changed several times in a batch only the latest record is written.
"""

from collections.abc import Sequence
from dataclasses import replace

from confluent_kafka import Message

from stream.changelog import POSITION_KEY, REBUILT_KEY, Checkpoint, decode_position
from stream.errors import Stop
from stream.keyed_state import KeyedState

REBUILD = (
    "restore the topic, run `fraudstream state rebuild --from-transactions`, or accept the loss: "
    "docs/operations.md, When state and offsets disagree"
)


def read_position(changelog: str, value: bytes | None) -> int:
    """A position's source offset; raises `Stop`, naming the `changelog`, for one that is none."""
    try:
        return decode_position(value or b"")
    except ValueError as error:
        raise Stop(f"the changelog {changelog} holds a position that is none", hint=REBUILD) from error


class Replay:
    """One partition, from a checkpoint on. For one thread."""

    def __init__(self, state: KeyedState, changelog: str, partition: int, checkpoint: Checkpoint) -> None:
        self._state = state
        self._name = f"{changelog}-{partition}"
        self._partition = partition
        self.checkpoint = checkpoint
        self.records = 0
        """Replayed so far, reserved keys not counted."""

    def take(self, messages: Sequence[Message], reached: int = -1) -> int:
        """Write messages of the partition, in order, none an error; returns how many records were among them.

        `reached` is where the partition ended just now, if it did. Raises `Stop` for a position that is none, and what
        `KeyedState.restore` raises.
        """
        keys = [message.key() for message in messages]
        latest = dict(zip(keys, [message.value() for message in messages], strict=True))
        offset = max(self.checkpoint.changelog_offset, reached)
        if messages:
            offset = max(offset, messages[-1].offset() + 1)
        checkpoint = replace(self.checkpoint, changelog_offset=offset)
        if POSITION_KEY in latest:
            checkpoint = replace(checkpoint, source_offset=read_position(self._name, latest.pop(POSITION_KEY)))
        latest.pop(REBUILT_KEY, None)
        if checkpoint != self.checkpoint:
            self._state.restore(self._partition, list(latest.items()), checkpoint)
            self.checkpoint = checkpoint
        records = len(keys) - keys.count(POSITION_KEY) - keys.count(REBUILT_KEY)
        self.records += records
        return records
