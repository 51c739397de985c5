"""The demo's bank: how large its world is, and where the model that was trained on its past is kept."""

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import simulator
from fraudstream.errors import UserError
from models.catalogue import CATALOGUE_HASH
from simulator.arrays import DAY_MS
from simulator.config import SimulationConfig
from simulator.stream import acceleration

NOW_MS = int(datetime(2025, 1, 9, tzinfo=UTC).timestamp() * 1000)
"""Where the past ends and the live payments begin. Fixed, so that a model once trained serves every later demo, and
far enough back that a world faster than the clock does not overtake it: such payments would count as clamped.
Gangs change their accounts every fortnight and are hardest to catch just after; this is the middle of one, so that a
minute of 2,000/s, 12 days, sees both."""
PAST_DAYS = 30
FRAUD_RATE = 0.005
"""Far above life's, one in several hundred thousand: a minute's show needs something to see."""


@dataclass(frozen=True)
class World:
    """A bank with `customers`, each of whom pays about once a day; the same seed is the same bank."""

    customers: int
    seed: int

    @property
    def config(self) -> SimulationConfig:
        """The world as the simulator takes it. Its history is the past, `payments` from its end on are live."""
        return SimulationConfig(
            payments=self.customers * PAST_DAYS,
            payers=self.customers,
            fraud_rate=FRAUD_RATE,
            seed=self.seed,
            days=PAST_DAYS,
            end_ms=NOW_MS,
        )

    def check_lasts(self, rate: float, seconds: float, clock_ms: int) -> None:
        """Raise UserError when so many payments would lead the world beyond the present."""
        longest = (clock_ms - NOW_MS) / 1000 / acceleration(self.config, rate)
        if seconds > longest:
            raise UserError(
                f"{seconds:g} s at {rate:g} payments/s lead the simulated bank beyond today",
                hint=f"choose up to {longest:.0f} --seconds, a lower --rate, or more --customers",
            )

    @property
    def cached_model(self) -> Path:
        """Directory of the model for this world, as this version of simulator and engine would train it."""
        import models

        version = hashlib.sha256(f"{CATALOGUE_HASH}{self.config}".encode())
        for package in (models, simulator):
            for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
                version.update(path.read_bytes())
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return home / "fraudstream" / "demo" / version.hexdigest()[:16]


def world_days(world: World, rate: float) -> float:
    """Days that pass in the world in a second of the clock."""
    return acceleration(world.config, rate) * 1000 / DAY_MS
