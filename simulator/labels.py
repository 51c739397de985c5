"""Verdicts: what each payment was, and when that became known."""

import numpy as np
import polars as pl

from simulator.arrays import DAY_MS, HOUR_MS
from simulator.draft import Draft
from simulator.scenario import Scenario

_SIGMA = 1.1
"""Spread of the logarithm of the delay: a median of 2 days is 12 hours to 8 days for two thirds."""


def label(scenario: Scenario, draft: Draft, payments: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A row per payment: transaction_id, payer, payee, event_time, is_fraud, kind, known_at (epoch ms; null: never)."""
    n = len(draft)
    median_days = np.array([0.0] + [attack.known_days for attack in scenario.kinds.values()])
    never = np.array([1.0] + [attack.never_known for attack in scenario.kinds.values()])
    delay = median_days[draft.kind] * DAY_MS * np.exp(_SIGMA * rng.normal(0, 1, n))
    known_at = draft.time + np.clip(delay, HOUR_MS, 90 * DAY_MS).astype(np.int64)
    known = pl.Series(rng.random(n) >= never[draft.kind])
    return payments.select("transaction_id", "payer", "payee", "event_time").with_columns(
        is_fraud=pl.Series(draft.kind > 0),
        kind=pl.Series(["", *scenario.names]).gather(pl.Series(draft.kind.astype(np.uint32))),
        known_at=pl.when(pl.lit(known)).then(pl.lit(pl.Series(known_at))),
    )
