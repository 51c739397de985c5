"""History through the engine: what a payment would have looked like live, for training and replay.

All payments in memory here; `models.featurising` does the same by way of the disk. Both are a `models.passage`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.passage import ORDER, Passage
from models.tokens import Tokeniser, new_key


@dataclass(frozen=True)
class History:
    """Payments with their features and what is known of them, in order of event time; all of length n."""

    features: NDArray[np.float32]
    """(n, 85)"""
    payments: pl.DataFrame
    """transaction_id, event_time, payer, payee, amount, and with labels is_fraud, kind, known_at (epoch ms or null)."""
    status: NDArray[np.uint8]

    def __len__(self) -> int:
        return self.payments.height

    def take(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """All that is known of these payments, rows in ascending order."""
        return self.payments[rows]


def featurise(
    transactions: pl.DataFrame,
    labels: pl.DataFrame | None = None,
    *,
    tokeniser: Tokeniser | None = None,
    progress: Callable[[int], None] | None = None,
) -> History:
    """Pass a history through the engine. `progress` is called with the number of payments done since its last call.

    The key of the tokens makes no difference to a feature; without a tokeniser a random one is used.
    """
    transactions = transactions.sort(ORDER)
    passage = Passage(tokeniser or Tokeniser(new_key()), labels)
    features = np.empty((transactions.height, len(FEATURE_NAMES)), dtype=np.float32)
    status = np.zeros(transactions.height, dtype=np.uint8)
    done = 0
    for judged, bits in passage.judge(transactions):
        features[done : done + bits.size], status[done : done + bits.size] = judged, bits
        done += bits.size
        if progress:
            progress(bits.size)
    payments = transactions.select("transaction_id", "event_time", "payer", "payee", "amount")
    if labels is not None:
        payments = payments.join(
            labels.select("transaction_id", "is_fraud", "kind", "known_at"),
            on="transaction_id",
            how="left",
            maintain_order="left",
        )
        payments = payments.with_columns(pl.col("is_fraud").fill_null(False), pl.col("kind").fill_null(""))
    return History(features, payments, status)
