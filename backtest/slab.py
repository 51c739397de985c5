"""A slab: payments of a source as the engine reads them, with where they stood and when they pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.batch import PAYMENT, PaymentBatch

_RAW = np.dtype(f"V{PAYMENT.itemsize}")
"""Copied as they are: numpy copies records field by field."""


@dataclass(frozen=True)
class Slab:
    """Payments (n,) in the order in which they pass."""

    batch: PaymentBatch
    times: NDArray[np.int64]
    """When each passes, epoch ms, ascending: the latest event time up to it of its partition. A payment that came late
    passes with those that it came with."""
    partitions: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, begin: int, end: int) -> "Slab":
        """Those from `begin` up to, not including, `end`; nothing is copied but ids."""
        batch = PaymentBatch(self.batch.ids[begin:end], self.batch.rows[begin:end])
        return Slab(batch, self.times[begin:end], self.partitions[begin:end], self.offsets[begin:end])

    def before(self, time_ms: float) -> int:
        """How many pass before a time."""
        return int(np.searchsorted(self.times, time_ms, side="left"))


def merged(slabs: Sequence[Slab]) -> Slab:
    """One slab of several, by time; of one moment by partition and offset, whatever slab they were in."""
    if len(slabs) == 1:
        return slabs[0]
    rows = np.concatenate([slab.batch.rows.view(_RAW) for slab in slabs])
    ids = np.array([identity for slab in slabs for identity in slab.batch.ids], dtype=object)
    times, partitions, offsets = (
        np.concatenate([getattr(slab, name) for slab in slabs]) for name in ("times", "partitions", "offsets")
    )
    if (partitions == partitions[0]).all():  # they come in order
        return Slab(PaymentBatch(ids.tolist(), rows.view(PAYMENT)), times, partitions, offsets)
    order = np.lexsort((offsets, partitions, times))
    batch = PaymentBatch(ids[order].tolist(), rows.take(order).view(PAYMENT))
    return Slab(batch, times[order], partitions[order], offsets[order])
