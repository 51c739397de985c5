"""Verdicts: what each payment was, and when that became known."""

import numpy as np
import polars as pl

from simulator.arrays import DAY_MS, HOUR_MS
from simulator.attacks.kinds import ATTACKS, KINDS
from simulator.draft import Draft

_MEDIAN_DAYS = np.array([0.0] + [ATTACKS[kind].known_days for kind in KINDS])
_NEVER = np.array([1.0] + [ATTACKS[kind].never_known for kind in KINDS])
_KIND_NAMES = pl.Series(["", *KINDS])
_SIGMA = 1.1
"""Spread of the logarithm of the delay: a median of 2 days is 12 hours to 8 days for two thirds."""


def label(draft: Draft, payments: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A row per payment: transaction_id, payer, payee, event_time, is_fraud, kind, known_at (epoch ms; null: never)."""
    n = len(draft)
    delay = _MEDIAN_DAYS[draft.kind] * DAY_MS * np.exp(_SIGMA * rng.normal(0, 1, n))
    known_at = draft.time + np.clip(delay, HOUR_MS, 90 * DAY_MS).astype(np.int64)
    known = pl.Series(rng.random(n) >= _NEVER[draft.kind])
    return payments.select("transaction_id", "payer", "payee", "event_time").with_columns(
        is_fraud=pl.Series(draft.kind > 0),
        kind=_KIND_NAMES.gather(pl.Series(draft.kind.astype(np.uint32))),
        known_at=pl.when(pl.lit(known)).then(pl.lit(pl.Series(known_at))),
    )
