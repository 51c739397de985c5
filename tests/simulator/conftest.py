"""One small world that the simulator's tests look at from several sides."""

from dataclasses import dataclass

import polars as pl
import pytest

from simulator.config import SimulationConfig
from simulator.simulation import Simulation


@dataclass(frozen=True)
class Simulated:
    config: SimulationConfig
    payments: pl.DataFrame
    labels: pl.DataFrame


def simulated(config: SimulationConfig) -> Simulated:
    slots = list(Simulation(config).history())
    return Simulated(config, pl.concat([slot.payments for slot in slots]), pl.concat([slot.labels for slot in slots]))


@pytest.fixture(scope="session")
def history() -> Simulated:
    """60,000 payments of 2,000 customers in 20 days, 2 % of them fraud."""
    return simulated(SimulationConfig(payments=60_000, payers=2_000, fraud_rate=0.02, days=20, seed=5))
