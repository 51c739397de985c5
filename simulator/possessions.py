"""Which phone and SIM a customer has at a moment. Both are replaced now and then; nothing is stored."""

import numpy as np

from simulator.arrays import DAY_MS, Bools, Ints, Words, mix, uniform
from simulator.world import World

_PHONE, _SIM, _SECOND, _TABLET = 31, 32, 33, 34
_PHONE_DAYS = (250.0, 900.0)
_SIM_DAYS = (350.0, 2500.0)
"""Shortest and longest time until a replacement, in days, with look-alikes as in life."""


def _renewals(world: World, payer: Ints, time: Ints, salt: int, days: tuple[float, float], lookalikes: float) -> Ints:
    """How many times the thing has been replaced since 1970."""
    span = (days[0] + (days[1] - days[0]) * uniform(world.seed, salt, payer)) / max(lookalikes, 0.01)
    return ((time / DAY_MS) / span + uniform(world.seed, salt, payer, 1)).astype(np.int64)


def phone(world: World, payer: Ints, time: Ints, lookalikes: float = 1.0) -> Words:
    """The customer's own phone."""
    return mix(world.seed, _PHONE, payer, _renewals(world, payer, time, _PHONE, _PHONE_DAYS, lookalikes), 7)


def sim(world: World, payer: Ints, time: Ints, lookalikes: float = 1.0) -> Words:
    """The customer's SIM."""
    return mix(world.seed, _SIM, payer, _renewals(world, payer, time, _SIM, _SIM_DAYS, lookalikes), 7)


def device_in_hand(
    world: World, payer: Ints, time: Ints, rng: np.random.Generator, lookalikes: float
) -> tuple[Words, Bools]:
    """The device each payment is made from, and whether it is a relative's: some own two, some families share."""
    draw = rng.random(len(payer))
    owner, shared = payer, world.shares_device[payer] & (draw < 0.35 * min(lookalikes, 2.0))
    owner = np.where(shared, world.partner(payer), payer)
    device = phone(world, owner, time, lookalikes)
    second = ~shared & (uniform(world.seed, _SECOND, payer) < 0.1) & (draw > 0.8)
    tablet = mix(world.seed, _TABLET, payer)
    return np.where(second, tablet, device), shared
