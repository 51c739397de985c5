"""Features on their way to XGBoost: binned in memory, or from disk a block at a time.

Binned, a value is a byte instead of four, so memory is mostly a question of what is held while binning. From disk
(XGBoost's external memory) neither the features nor their bins are ever held as a whole: a block is read, binned and
written to a scratch directory, from which every tree reads it again. Slower, with the same algorithm.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.forest import Matrix

if TYPE_CHECKING:
    from xgboost import Booster

BLOCK_ROWS = 262_144
"""Payments of one block: 89 MB of features."""
MEMORY_SHARE = 0.5
"""Share of the machine's memory that payments may take before training goes by way of the disk."""
PAYMENT_BYTES = 2_500
"""What a payment takes in memory at the worst, from reading it as columns, twice while sorting, to its features."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Payments to fit on or to stop by."""

    features: Matrix
    rows: Rows
    is_fraud: NDArray[np.bool_]
    """(n,) of the rows."""
    fraud_weight: float = 1.0
    """How many frauds each fraud stands for."""
    invented: Matrix = field(default_factory=lambda: np.empty((0, len(FEATURE_NAMES)), dtype=np.float32))
    """Synthetic frauds beside them."""

    def blocks(self) -> Iterator[tuple[Matrix, NDArray[np.float32], NDArray[np.float32]]]:
        """Features, labels and weights, a block at a time."""
        for start in range(0, self.rows.size, BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            labels = self.is_fraud[part].astype(np.float32)
            yield rows_of(self.features, self.rows[part]), labels, self._weights(labels)
        if len(self.invented):
            ones = np.ones(len(self.invented), dtype=np.float32)
            yield self.invented, ones, self._weights(ones)

    def _weights(self, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(labels > 0, np.float32(self.fraud_weight), np.float32(1))


def quantised(sample: Sample, *, threads: int, ref: Any = None, scratch: Path | None = None) -> Any:
    """XGBoost's matrix of a sample, with the bins of `ref` if there is one; on disk with a `scratch` directory."""
    import xgboost

    class Blocks(xgboost.DataIter):
        def __init__(self, prefix: str | None) -> None:
            super().__init__(cache_prefix=prefix, release_data=True)
            self._left = sample.blocks()

        def next(self, input_data: Callable[..., None]) -> bool:
            block = next(self._left, None)
            if block is None:
                return False
            features, labels, weights = block
            input_data(data=features, label=labels, weight=weights, feature_names=list(FEATURE_NAMES))
            return True

        def reset(self) -> None:
            self._left = sample.blocks()

    if scratch is None:
        return xgboost.QuantileDMatrix(Blocks(None), nthread=threads, ref=ref)
    prefix = str(scratch / ("fitted" if ref is None else "held-out"))
    return xgboost.ExtMemQuantileDMatrix(Blocks(prefix), nthread=threads, ref=ref)


def margins_of(booster: "Booster", features: Matrix, rows: Rows) -> NDArray[np.float32]:
    """Margins (n,) of the rows, a block at a time."""
    parts = [
        booster.inplace_predict(rows_of(features, rows[start : start + BLOCK_ROWS]), predict_type="margin")
        for start in range(0, rows.size, BLOCK_ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def rows_of(features: Matrix, rows: Rows) -> Matrix:
    """Rows in ascending order; a view where they follow each other without a gap.

    Features of a mapped file are read, not mapped: mapped pages would count as memory until there is none left.
    """
    if isinstance(features, np.memmap) and features.filename is not None:
        return _read(features, rows)
    if rows.size and rows[-1] - rows[0] + 1 == rows.size:
        return features[rows[0] : rows[-1] + 1]
    return features[rows]


def _read(features: "np.memmap[Any, Any]", rows: Rows) -> Matrix:
    """Rows in ascending order, read from the file a block at a time."""
    block = np.empty((rows.size, features.shape[1]), dtype=np.float32)
    row_bytes = features.shape[1] * features.dtype.itemsize
    with Path(str(features.filename)).open("rb") as file:
        at = 0
        while at < rows.size:
            first = int(rows[at])
            stop = int(np.searchsorted(rows, first + BLOCK_ROWS))
            file.seek(features.offset + first * row_bytes)
            wanted = rows[at:stop] - first
            span = np.fromfile(file, dtype=features.dtype, count=(int(wanted[-1]) + 1) * features.shape[1])
            block[at:stop] = span.reshape(-1, features.shape[1])[wanted]
            at = stop
    return block


def too_large(payments: int) -> bool:
    """Whether so many payments would take more than `MEMORY_SHARE` of the memory there is."""
    return payments * PAYMENT_BYTES > MEMORY_SHARE * memory_bytes()


def memory_bytes() -> int:
    """Memory of the machine, or what the container may use of it."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):
        return physical
