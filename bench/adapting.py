"""One world with the attackers of its last weeks changed, and the same model judging each version of them.

The past is simulated and passed through the engine once. Each version of what comes after goes on from a copy of that
engine, with the same customers, mules and verdicts, so that what differs is what the attackers changed.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.engine import DUPLICATE
from models.history import History
from models.passage import Passage
from models.tokens import Tokeniser, new_key
from simulator.attacks.aspects import ASPECTS
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

DAY_MS = 86_400_000
STANDARD, ALL, SILENT = "standard", "all four", "silent"
KNOBS = (*ASPECTS, ALL, SILENT)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
REPORTED = (
    *("latitude", "longitude", "gps_accuracy_m", "gps_mocked", "cell_latitude", "cell_longitude"),
    *("typing_interval_ms", "typing_deviation_ms", "tap_interval_ms", "session_ms"),
    *("pasted", "screen_shared", "on_call", "failed_pins"),
    *("imei", "mac", "processor", "battery_percent", "battery_charging", "apps_hash", "fonts_hash"),
    *("rooted", "emulator"),
)
"""What only the customer's application can tell. A silent attacker uses one that does not."""


@dataclass(frozen=True)
class Version:
    """Attackers of the test: how much of what they do is adapted, in one respect."""

    knob: str
    strength: float
    """Share of the campaigns, or for silence of the victims."""

    def config(self, base: SimulationConfig) -> SimulationConfig:
        """The world in which they attack; what the knob is not about stays as in training."""
        if self.knob in (STANDARD, SILENT):
            return base
        return replace(base, adapt=dict.fromkeys(ASPECTS if self.knob == ALL else (self.knob,), self.strength))


def versions() -> Iterator[Version]:
    """Every version that is measured. Without silence, attackers are as in training."""
    yield Version(STANDARD, 0.0)
    for knob in KNOBS:
        yield from (Version(knob, strength) for strength in STRENGTHS if strength or knob != SILENT)


class Past:
    """A world up to a time, passed through the engine: what a model is trained on, and where its future begins."""

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        payments, labels = _collected(config, config.start_ms, config.end_ms)
        self._passage = Passage(Tokeniser(new_key()), labels)
        features, status = _passed(self._passage, payments)
        self.history = _history(features, status, payments, labels)

    def future(self, version: Version, days: float) -> History:
        """The days after it, with the attackers of `version`; duplicates are left out."""
        config, end_ms = version.config(self.config), self.config.end_ms
        payments, labels = _collected(config, end_ms, end_ms + round(days * DAY_MS))
        if version.knob == SILENT:
            payments = silenced(payments, labels, version.strength)
        passage = copy.deepcopy(self._passage)
        passage.expect(labels)
        features, status = _passed(passage, payments)
        judged = _history(features, status, payments, labels)
        kept = np.flatnonzero(status & DUPLICATE == 0)
        return History(judged.features[kept], judged.payments[kept], status[kept])


def silenced(payments: pl.DataFrame, labels: pl.DataFrame, share: float) -> pl.DataFrame:
    """Payments of which the fraudulent ones of this share of the payers come without what the application reports."""
    frauds = payments["transaction_id"].is_in(labels.filter("is_fraud")["transaction_id"].to_list())
    silent = frauds & (payments["payer"].hash(seed=1) % 1_000 < round(1_000 * share))
    return payments.with_columns(
        pl.when(silent).then(None).otherwise(pl.col(name)).alias(name) for name in REPORTED if name in payments.columns
    )


def _collected(config: SimulationConfig, start_ms: int, end_ms: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    slots = list(Simulation(config).between(start_ms, end_ms))
    payments = pl.concat([slot.payments for slot in slots]).sort("event_time", "transaction_id")
    return payments, pl.concat([slot.labels for slot in slots])


def _passed(passage: Passage, payments: pl.DataFrame) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Features and status of all these payments."""
    features, status = zip(*passage.judge(payments), strict=True)
    return np.concatenate(features), np.concatenate(status)


def _history(
    features: NDArray[np.float32], status: NDArray[np.uint8], payments: pl.DataFrame, labels: pl.DataFrame
) -> History:
    told = payments.select("transaction_id", "event_time", "payer", "payee", "amount").join(
        labels.select("transaction_id", "is_fraud", "kind", "known_at"),
        on="transaction_id",
        how="left",
        maintain_order="left",
    )
    return History(features, told, status)
