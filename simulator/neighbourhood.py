"""Honest accounts that many strangers pay: what a mule account looks like without being one.

Landlords who collect rents, an organiser who collects for a festival, a wedding or an office party and settles the bill
the same week, hawkers whose QR code is a personal account's, dealers who take deposits all year, shops that have just
opened. Circles of neighbours are numbers nearby; who collects when is a hash, as everything that is not drawn anew for
each payment.
"""

import numpy as np

from simulator import calendar
from simulator.arrays import DAY_MS, Bools, Floats, Ints, below, uniform
from simulator.world import NEW_SHOP_LIFE, World

_LANDLORD, _EVENT, _CIRCLE, _DEALER = 81, 82, 83, 84
_TENANTS = 25
"""Neighbouring customers who share a landlord."""
_CIRCLE_SIZE = 60
"""Neighbouring customers who are asked to give to the same collections."""
_EVENT_DAYS = 4
_EVENT_CHANCE = 0.3
"""Circles in which something is collected for within `_EVENT_DAYS`, with look-alikes as in life (assumed)."""
GIVES = 0.4
"""Share of payments to persons that go to a running collection."""
SETTLES = 0.4
"""Share of an organiser's payments to persons, while collecting or just after, that pass the money on."""
NEW_SHOP = 0.04
"""Share of payments to merchants that go to one opened within the last six weeks (assumed)."""
HAWKER = 0.14
"""Share of payments to persons that are purchases from someone whose code is a personal account's (assumed)."""
DEALS = 0.6
"""Share of deposits that go to someone who takes such sums from strangers all year (assumed)."""
_CUSTOMERS_PER_DEALER = 250
GIFTS: Floats = np.array([51, 101, 101, 151, 201, 251, 251, 500, 501, 501, 1000, 1001, 1100, 2000, 2100, 5100.0])
"""Usual sums for collections and weddings, rupees: round ones, and those with an auspicious one added."""
_FORTNIGHT_MS = 14 * DAY_MS


def landlord(world: World, payer: Ints) -> Ints:
    """Whom each customer pays rent: somebody of the neighbourhood, or an account at another bank."""
    house = payer // _TENANTS
    near = np.minimum(house * _TENANTS + below(_TENANTS, world.seed, _LANDLORD, house), world.payers - 1)
    return np.where(
        (uniform(world.seed, _LANDLORD, house, 1) < 0.5) | (near == payer), _outside(world, _LANDLORD, house), near
    )


def organiser(world: World, payer: Ints, time: Ints, lookalikes: float) -> tuple[Bools, Ints]:
    """Whether something is collected for in each customer's circle, and the account that collects."""
    circle, block = payer // _CIRCLE_SIZE, calendar.india_day(time) // _EVENT_DAYS
    running = uniform(world.seed, _EVENT, circle, block) < min(0.9, _EVENT_CHANCE * lookalikes)
    member = circle * _CIRCLE_SIZE + below(_CIRCLE_SIZE, world.seed, _CIRCLE, circle, block)
    elsewhere = uniform(world.seed, _CIRCLE, circle, block, 1) < 0.4
    return running, np.where(elsewhere, _outside(world, _EVENT, circle, block), np.minimum(member, world.payers - 1))


def settling(world: World, payer: Ints, time: Ints, lookalikes: float) -> Bools:
    """Whether each customer has collected from the circle in these days or those just before."""
    now, organises = organiser(world, payer, time, lookalikes)
    before, organised = organiser(world, payer, time - _EVENT_DAYS * DAY_MS, lookalikes)
    return (now & (organises == payer)) | (before & (organised == payer))


def hawker(world: World, payer: Ints, rng: np.random.Generator) -> Ints:
    """A shopkeeper or hawker nearby who takes money on a personal account; some are at other banks."""
    sellers = world.by_profile[calendar.SHOP]
    outside = _outside(world, _CIRCLE, payer // 15, (rng.random(len(payer)) * 3).astype(np.int64))
    if not len(sellers):
        return outside
    near = np.searchsorted(sellers, payer) + (4 * rng.random(len(payer)) ** 2 - 1).astype(np.int64)
    return np.where(rng.random(len(payer)) < 0.4, outside, sellers[near % len(sellers)])


def dealer(world: World, payer: Ints, rng: np.random.Generator) -> Ints:
    """A broker, caterer, coach or dealer in used goods of the region, paid on a personal account at another bank."""
    region = payer // (3 * _CUSTOMERS_PER_DEALER)
    return _outside(world, _DEALER, region, (3 * rng.random(len(payer))).astype(np.int64))


def new_shop(world: World, payer: Ints, time: Ints, rng: np.random.Generator) -> Ints:
    """A shop near each customer that opened within the last `NEW_SHOP_LIFE` fortnights."""
    return world.new_shop(payer, time // _FORTNIGHT_MS, rng.integers(0, NEW_SHOP_LIFE, len(payer)))


def _outside(world: World, *parts: Ints | int) -> Ints:
    return np.asarray(world.payers + world.merchants + below(world.outside, world.seed, *parts), dtype=np.int64)
