"""What an agent gets from its topic: a batch of records, as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Message, TopicPartition
from numpy.typing import NDArray


@dataclass(frozen=True)
class Batch:
    """Records of one partition, or of several, in the order in which they were fetched."""

    values: list[bytes | None]
    keys: list[bytes | None]
    partitions: NDArray[np.int32]
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    """When each was published, epoch ms."""
    epochs: dict[int, int] = field(default_factory=dict)
    """By partition, in which of its lives the records were fetched."""
    ends: dict[int, int] = field(default_factory=dict)
    """By partition that was read to its end, the offset of that; only if `tell_ends` is set."""

    def __len__(self) -> int:
        return len(self.values)

    def next_offsets(self, topic: str) -> list[TopicPartition]:
        """Where each partition goes on after this batch."""
        return [
            TopicPartition(topic, int(p), int(self.offsets[self.partitions == p].max()) + 1)
            for p in np.unique(self.partitions)
        ]


def batch_of(messages: Sequence[Message], epochs: Mapping[int, int], ends: Mapping[int, int] = {}) -> Batch:
    """Messages, none of them an error; `epochs` by partition."""
    count = len(messages)
    partitions = {message.partition() for message in messages} | ends.keys()
    return Batch(
        [message.value() for message in messages],
        [message.key() for message in messages],
        np.fromiter((message.partition() for message in messages), dtype=np.int32, count=count),
        np.fromiter((message.offset() for message in messages), dtype=np.int64, count=count),
        np.fromiter((message.timestamp()[1] for message in messages), dtype=np.int64, count=count),
        {partition: epochs[partition] for partition in partitions},
        dict(ends),
    )
