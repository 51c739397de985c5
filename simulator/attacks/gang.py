"""Who is behind the attacks at a time: mule accounts and devices that several victims' money passes through.

Each fortnight has its own; those of the one before stay in use beside them. Some mules are customers and shops
that went about their business before, and do so still.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.arrays import DAY_MS, Bools, Floats, Ints, Words, mix, uniform
from simulator.possessions import phone
from simulator.world import World

FORTNIGHT_MS = 14 * DAY_MS
_GANG, _DEVICE, _REGISTRY, _HONEST = 61, 62, 63, 64
_PAYMENTS_PER_MULE = 7.0
_PAYMENTS_PER_DEVICE = 9.0


@dataclass(frozen=True)
class Gang:
    """Mules and devices of one fortnight."""

    customers: Ints
    """Mules who are customers of this bank."""
    mules: Ints
    """All mule accounts, the most used first."""
    shops: Ints
    """Mule accounts that are registered as merchants."""
    flagged_at: Ints
    """When the registry lists each of `mules`, epoch ms; beyond any payment where it never does."""
    devices: Words
    farm: Words
    city: Ints
    """Where the gangs work from: positions in `geography.CITIES`."""


def gang(world: World, fortnight: int, frauds: float) -> Gang:
    """The gang of a fortnight (since 1970) in which about `frauds` fraudulent payments are made."""
    return _gang(_Key(world), fortnight, max(1, round(frauds)))


class _Key:
    """Lets a world be a cache's key: worlds are equal when they are the same object."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __hash__(self) -> int:
        return id(self.world)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.world is other.world


@lru_cache(maxsize=16)
def _gang(key: _Key, fortnight: int, frauds: int) -> Gang:
    world = key.world
    rng = np.random.default_rng([world.seed, _GANG, fortnight])
    count = max(8, round(frauds / _PAYMENTS_PER_MULE))
    active = np.flatnonzero(world.activity > 0)
    customers = rng.choice(active, min(len(active) // 4, max(3, round(count * 0.45))), replace=False)
    shops = world.payers + rng.choice(
        world.merchants, min(world.merchants // 4, max(2, round(count * 0.2))), replace=False
    )
    outside = (
        world.payers
        + world.merchants
        + rng.choice(world.outside, min(world.outside // 4, max(3, round(count * 0.35))), replace=False)
    )
    mules = rng.permutation(np.concatenate([customers, shops, outside]))
    listed = rng.random(len(mules)) < 0.3
    delay = rng.exponential(12 * DAY_MS, len(mules))
    flagged = np.where(listed, fortnight * FORTNIGHT_MS + delay, 2.0**62).astype(np.int64)
    devices = mix(world.seed, _DEVICE, fortnight, np.arange(max(4, round(frauds * 0.35 / _PAYMENTS_PER_DEVICE))))
    used = rng.random(len(devices)) < 0.3  # a mule's own phone, used for his payments as well
    owners = rng.choice(customers, len(devices))
    devices = np.where(used, phone(world, owners, np.full(len(devices), fortnight * FORTNIGHT_MS)), devices)
    farm = mix(world.seed, _DEVICE, fortnight, np.arange(max(2, round(frauds * 0.06 / 15))), 1)
    return Gang(customers, mules, shops, flagged, devices, farm, rng.integers(0, 36, 6))


def favoured(choices: Ints | Words, draw: Floats) -> Ints:
    """Positions in `choices`: low ones several times as often as high ones."""
    return np.minimum((len(choices) * draw**1.8).astype(np.int64), len(choices) - 1)


def registry(world: World, gangs: list[Gang], payee: Ints, time: Ints) -> tuple[Bools, Ints]:
    """What the outside says of each payee: the mule flag, and the risk indicator of its number (0 none to 3 very high).

    Mules are listed late or never; a few honest accounts are listed too.
    """
    noise = uniform(world.seed, _HONEST, payee)
    level = np.where(noise < 0.0008, 3, np.where(noise < 0.003, 2, np.where(noise < 0.014, 1, 0)))
    flag = uniform(world.seed, _REGISTRY, payee) < 0.0004
    for group in gangs:
        order = np.argsort(group.mules, kind="stable")
        at = np.minimum(np.searchsorted(group.mules[order], payee), len(order) - 1)
        listed = (group.mules[order][at] == payee) & (time >= group.flagged_at[order][at])
        flag = flag | (listed & (noise < 0.5))
        level = np.where(listed, np.maximum(level, np.where(noise < 0.4, 3, np.where(noise < 0.75, 2, 1))), level)
    return flag, level
