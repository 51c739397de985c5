"""Simulated histories with their features, made once and kept: one directory for each config and version of the code.

Only the code that simulates and featurises names a directory, so a change to a model does not make it anew.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from bench.environment import ROOT
from bench.model.protocol import Protocol
from bench.model.sources import data_files, digest, reached
from bench.world import made
from fraudstream.progress import progress
from models.history import History, featurise
from simulator.config import SimulationConfig
from simulator.scenario import load, standard
from simulator.simulation import Simulation

FEATURES, PAYMENTS, STATUS = "features.npy", "payments.parquet", "status.npy"


def config_of(protocol: Protocol, seed: int) -> SimulationConfig:
    """The protocol's world of one seed."""
    return SimulationConfig(
        payments=protocol.payments,
        payers=protocol.payers,
        fraud_rate=protocol.fraud_rate,
        days=protocol.days,
        seed=seed,
        scenario=load(ROOT / protocol.scenario) if protocol.scenario else standard(),
    )


def simulate(config: SimulationConfig) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Payments and labels."""
    with progress("simulating", config.payments) as advance:
        slots = []
        for slot in Simulation(config).history():
            slots.append(slot)
            advance(slot.payments.height)
    return pl.concat([slot.payments for slot in slots]), pl.concat([slot.labels for slot in slots])


def history_of(config: SimulationConfig, cache: Path) -> History:
    """Simulated and featurised, from the cache or made now."""
    home = cache.expanduser() / _name(config)
    made(home, lambda at: _make(config, at))
    return History(np.load(home / FEATURES), pl.read_parquet(home / PAYMENTS), np.load(home / STATUS))


def _make(config: SimulationConfig, at: Path) -> None:
    payments, labels = simulate(config)
    with progress("computing features", payments.height) as advance:
        history = featurise(payments, labels, progress=advance)
    at.mkdir()
    np.save(at / FEATURES, history.features)
    np.save(at / STATUS, history.status)
    history.payments.write_parquet(at / PAYMENTS)


def _name(config: SimulationConfig) -> str:
    code = reached("simulator.simulation") | reached("models.history") | data_files(ROOT / "simulator")
    what = json.dumps([asdict(config), digest(*code)], sort_keys=True, default=str)
    return f"model-seed-{config.seed}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
