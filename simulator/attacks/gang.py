"""Who is behind the attacks at a time: mule accounts and devices that several victims' money passes through.

Each fortnight has its own; those of the one before stay in use beside them. A mule account is used by many victims
within days, then the next takes its place: accounts are frozen once the first complaint arrives. Some were bought or
opened for it, the payee nobody paid before; the aged ones are customers, shops and persons that went about their
business for months, and do so still.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simulator.arrays import DAY_MS, Bools, Floats, Ints, Words, mix, uniform
from simulator.attacks.attack import Payees
from simulator.possessions import phone
from simulator.world import World

FORTNIGHT_MS = 14 * DAY_MS
_GANG, _DEVICE, _REGISTRY, _HONEST = 61, 62, 63, 64
_PAYMENTS_PER_MULE = 22.0
"""Fraudulent payments that an account receives before the next takes its place (assumed)."""
_PAYMENTS_PER_DEVICE = 9.0
_IN_USE = 2.5 / 14
"""Share of a fortnight for which a mule account is in use: two to three days (assumed)."""
_AGED = 0.35
"""Share of mule accounts with an honest past (assumed)."""
_LISTED = 0.4
_LISTED_DAYS = 5.0
"""Share of mule accounts that a registry ever lists, and the mean time from first use until it does (assumed)."""


@dataclass(frozen=True)
class Gang:
    """Mules and devices of one fortnight. Accounts stand in the order in which they come into use."""

    start_ms: int
    mules: Ints
    """All mule accounts."""
    customers: Ints
    """Those who are customers of this bank."""
    shops: Ints
    """Those registered as merchants."""
    aged: Ints
    """Those with an honest past."""
    flagged_at: Ints
    """When the registry lists each of `mules`, epoch ms; beyond any payment where it never does."""
    devices: Words
    farm: Words
    city: Ints
    """Where the gangs work from: positions in `geography.CITIES`."""

    def in_use(self, block: Payees, time: Ints, draw: Floats) -> Ints:
        """An account of a kind that is in use at each time; `draw` from [0, 1) chooses among them."""
        accounts = {"mule": self.mules, "shop_mule": self.shops, "aged_mule": self.aged}[block]
        return self._turn(accounts, time, draw)

    def hub(self, time: Ints, draw: Floats) -> Ints:
        """A mule who is a customer of this bank, in use at each time."""
        return self._turn(self.customers, time, draw)

    def _turn(self, accounts: Ints, time: Ints, draw: Floats) -> Ints:
        now = (time - self.start_ms) / FORTNIGHT_MS * len(accounts)
        width = max(1.0, len(accounts) * _IN_USE)
        return accounts[np.floor(now - draw**1.5 * width).astype(np.int64) % len(accounts)]


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
    quiet = 1.0 / (0.2 + world.activity[active])  # accounts that are sold are rarely the ones their owner lives by
    wanted = min(len(active) // 4, max(3, round(count * 0.4)))
    customers = rng.choice(active, wanted, replace=False, p=quiet / quiet.sum())
    established, outside = world.payers, world.payers + world.merchants
    shops_known = world.merchants - world.new_shops - world.idle_shops
    shops = _accounts(rng, max(3, round(count * 0.2)), (established, shops_known), (outside, -world.idle_shops))
    people = _accounts(
        rng, max(3, round(count * 0.4)), (outside, world.outside), (outside + world.outside, world.idle_people)
    )
    mules = rng.permutation(np.concatenate([customers, shops, people]))
    listed = rng.random(len(mules)) < _LISTED
    used_from = fortnight * FORTNIGHT_MS + np.arange(len(mules)) / len(mules) * FORTNIGHT_MS
    flagged = np.where(listed, used_from + rng.exponential(_LISTED_DAYS * DAY_MS, len(mules)), 2.0**62).astype(np.int64)
    devices = mix(world.seed, _DEVICE, fortnight, np.arange(max(4, round(frauds * 0.35 / _PAYMENTS_PER_DEVICE))))
    used = rng.random(len(devices)) < 0.3  # a mule's own phone, used for his payments as well
    owners = rng.choice(customers, len(devices))
    devices = np.where(used, phone(world, owners, np.full(len(devices), fortnight * FORTNIGHT_MS)), devices)
    idle = ((mules >= outside - world.idle_shops) & (mules < outside)) | (mules >= outside + world.outside)
    return Gang(
        start_ms=fortnight * FORTNIGHT_MS,
        mules=mules,
        customers=mules[mules < world.payers],
        shops=mules[world.is_merchant(mules)],
        aged=mules[~idle],
        flagged_at=flagged,
        devices=devices,
        farm=mix(world.seed, _DEVICE, fortnight, np.arange(max(2, round(frauds * 0.06 / 15))), 1),
        city=rng.integers(0, 36, 6),
    )


def _accounts(rng: np.random.Generator, count: int, aged: tuple[int, int], idle: tuple[int, int]) -> Ints:
    """`count` accounts, some with an honest past; each range is a first account and how many (negative: before it)."""
    ranges = [(first + min(size, 0), abs(size)) for first, size in (aged, idle)]
    wanted = (max(1, round(count * _AGED)), max(1, round(count * (1 - _AGED))))
    return np.concatenate(
        [
            first + rng.choice(size, min(max(1, size // 4), number), replace=False)
            for (first, size), number in zip(ranges, wanted, strict=True)
        ]
    )


def favoured(choices: Ints | Words, draw: Floats) -> Ints:
    """Positions in `choices`: low ones several times as often as high ones."""
    return np.minimum((len(choices) * draw**1.8).astype(np.int64), len(choices) - 1)


def registry(world: World, gangs: Sequence[Gang], payee: Ints, time: Ints) -> tuple[Bools, Ints]:
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
