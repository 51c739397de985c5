"""A world going on live: the same customers, devices, payees and mules as in its history, from a moment on.

history = Simulation(config).history()                                 # train on this …
for slot in payments(config, start_ms=config.end_ms, rate=2_000): …    # … and stream what comes next
"""

from collections.abc import Iterator

from simulator.arrays import DAY_MS
from simulator.config import SimulationConfig
from simulator.errors import SimulatorError
from simulator.simulation import Simulation, Slot


def acceleration(config: SimulationConfig, rate: float) -> float:
    """World seconds that pass in a second when the world, at its own density, makes `rate` payments a second."""
    return rate * config.days * DAY_MS / 1000 / config.payments


def start_for(config: SimulationConfig, rate: float, seconds: float, end_ms: int) -> int:
    """When in the world's time a stream of `seconds` at `rate` must begin, epoch ms, so that it ends near `end_ms`."""
    return end_ms - round(acceleration(config, rate) * seconds * 1000)


def payments(
    config: SimulationConfig, start_ms: int, rate: float, *, world_speed: float | None = None, chunk_rows: int = 2_000
) -> Iterator[Slot]:
    """Payments from `start_ms` on, without end, at most `chunk_rows` at a time, each chunk with its labels.

    Sent at `rate` a second they keep the customers' own pace of payments when `world_speed` is None: the world's
    time then runs `acceleration(config, rate)` times as fast as the clock. With a speed of 1 event_time keeps step
    with the clock (as long as the hour of the day lasts that the stream begins in), and the customers pay as much
    more often as the rate demands.
    """
    if rate <= 0 or (world_speed is not None and world_speed <= 0):
        raise SimulatorError(f"A stream needs a rate above 0, not {rate:g}")
    simulation = Simulation(config)
    if world_speed is not None:
        simulation = Simulation(config, density=rate / world_speed / simulation.rate_at(start_ms))
    for slot in simulation.between(start_ms):
        for at in range(0, len(slot.payments), chunk_rows):
            yield Slot(slot.payments[at : at + chunk_rows], slot.labels[at : at + chunk_rows])
