"""A process of the demo: simulate the bank's past and train a model on it, with the code of `fraudstream train`.

python -m fraudstream.demo.training '{"customers": 6000, "seed": 7, "out": DIR}'
"""

import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from fraudstream.demo.children import Talk
from fraudstream.demo.world import World
from models.bundle import write_bundle
from models.history import featurise
from models.training import Settings, train
from simulator.simulation import Simulation

REPORT_EVERY_S = 0.1
SETTINGS = Settings(name="demo", alert_false_positive_rate=0.003)
"""Verdicts never known count as honest here, so that about half of this rate is left for the truly honest."""


def main() -> None:
    """Report the share of each stage that is done; the bundle is at `out` when the process ends well."""
    talk = Talk()
    world = World(talk.order["customers"], talk.order["seed"])
    payments, labels = _past(world, _counted(talk, "simulating the past", 0.0, 0.2, world.config.payments))
    history = featurise(payments, labels, progress=_counted(talk, "computing features", 0.2, 0.5, payments.height))
    created_at = time.time_ns() // 1_000_000
    growing = _counted(talk, "growing trees", 0.5, 1.0, SETTINGS.trees)
    trained = train(history, SETTINGS, created_at=created_at, progress=growing)
    write_bundle(Path(talk.order["out"]), trained.manifest, trained.model, trained.extra)


def _past(world: World, advance: Callable[[int], None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    payments, labels = [], []
    for slot in Simulation(world.config).history():
        payments.append(slot.payments)
        labels.append(slot.labels)
        advance(len(slot.payments))
    return pl.concat(payments), pl.concat(labels)


def _counted(talk: Talk, stage: str, first: float, last: float, total: int) -> Callable[[int], None]:
    """Reports a stage that takes the training from the share `first` to `last`."""
    done = 0
    reported = 0.0

    def advance(count: int) -> None:
        nonlocal done, reported
        done += count
        if time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            talk.report(stage=stage, done=first + (last - first) * done / total)

    return advance


if __name__ == "__main__":
    main()
