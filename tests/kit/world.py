"""Payments, and a model that judges them, made the way a user would make them."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from schemas.history import scan_transactions
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

DENSITY = 20
"""Payments of each payer: enough for histories and duplicates of entities, few enough for many payers."""


@dataclass(frozen=True)
class World:
    """A small simulated history, a model trained on it, and a token key."""

    history: Path
    bundle: Path
    key: Path

    @property
    def payments(self) -> pl.DataFrame:
        """The history in order of event time."""
        return scan_transactions(self.history).collect().sort("event_time", "transaction_id")


def make_world(home: Path) -> World:
    """Made by the commands a user would give."""
    world = World(home / "history", home / "bundle", home / "key")
    simulate = ("--payments", "24000", "--payers", "1500", "--fraud-rate", "0.03", "--seed", "3")
    for command in (
        ("fraudstream", "simulate", *simulate, "--out", world.history),
        ("fraudstream", "train", "--data", world.history, "--out", world.bundle, "--trees", "60"),
        ("fraudstream", "config", "new-token-key", "--out", world.key),
        ("models.warm",),  # a worker that is killed while it compiles would compile again and again
    ):
        subprocess.run([sys.executable, "-m", *map(str, command)], check=True, capture_output=True)
    return world


def frames_of(payments: int, seed: int) -> Iterator[pl.DataFrame]:
    """So many simulated payments in order, some thousands to some hundred thousands at a time."""
    config = SimulationConfig(payments, max(50, payments // DENSITY), fraud_rate=0.03, seed=seed)
    return (slot.payments for slot in Simulation(config).history())
