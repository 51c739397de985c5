"""The people and shops of a world: what stays the same about each of them, as one array per trait.

Accounts share one number space: customers first, then merchants, then persons at other banks ("outside"). Customers
and merchants stand in order of their city, so that a neighbour is a number nearby. The last of the merchants are those
that open in the world's time, then those that are registered for fraud only; the last of the persons at other banks
are accounts bought or opened for fraud.
"""

from dataclasses import dataclass

import numpy as np

from simulator import calendar, commerce, geography
from simulator.apps import APPS
from simulator.arrays import DAY_MS, Bools, Floats, Ints, below, uniform

FAVOURITE_SHOPS = 14
FRIENDS = 8
FIRST_REGISTRATION_MS = 1_472_083_200_000
"""2016-08-25, when banks put UPI into their apps: nobody joined earlier."""
_FRIEND, _OUTSIDE, _SHOP, _POPULAR = 11, 12, 13, 14
NEW_SHOP_LIFE = 3
"""Fortnights for which a shop counts as new."""
_NEW_SHOP_FORTNIGHTS = 26
"""After these the new shops' accounts begin anew."""
JOIN_DAYS = 300.0
JOINING = 0.1
"""Share of customers who join within the first `JOIN_DAYS` of the world's time. UPI gains 3 to 6 million users a
month (NPCI, July 2024) on some 400 million, about a hundredth a month."""
SELDOM, SELDOM_ACTIVITY = 0.1, 0.06
"""Share of customers who hardly ever pay from this account, and how much they pay of what others do (assumed)."""
_WORLD_STREAM = 1


@dataclass(frozen=True)
class World:
    """Arrays of one value per customer, unless said otherwise."""

    seed: int
    payers: int
    merchants: int
    """All merchants, with the new and the idle ones."""
    new_shops: int
    """How many of them open in the world's time."""
    idle_shops: int
    """How many of them no honest customer pays."""
    outside: int
    idle_people: int
    """Accounts at other banks, after the `outside` ones, that no honest customer pays."""
    city: Ints
    city_start: Ints
    """First customer of each city, and the end; [cities + 1]."""
    home_lat: Floats
    home_lon: Floats
    work_lat: Floats
    work_lon: Floats
    profile: Ints
    activity: Floats
    """Relative number of payments; 0 for a dormant account."""
    spending: Floats
    """Factor on amounts."""
    merchant_share: Floats
    typing_ms: Floats
    typing_spread_ms: Floats
    tap_ms: Floats
    session_ms: Floats
    app: Ints
    telemetry: Bools
    vpn: Bools
    shares_device: Bools
    registered_at: Ints
    """Epoch ms."""
    by_profile: tuple[Ints, ...]
    """Customers of each way of life."""
    profile_cumulative: tuple[Floats, ...]
    """Running sums of their activity, ending at 1."""
    profile_activity: Floats
    """Share of all activity that each way of life has."""
    merchant_start: Ints
    """First merchant of each city, the last entry being those who sell everywhere; [cities + 2]."""
    merchant_category: Ints
    """Position in `commerce.CATEGORIES`; one per merchant."""

    @property
    def accounts(self) -> int:
        """How many accounts there are in all."""
        return self.payers + self.merchants + self.outside + self.idle_people

    def is_merchant(self, account: Ints) -> Bools:
        """Whether each account is a merchant's."""
        return (account >= self.payers) & (account < self.payers + self.merchants)

    def partner(self, payer: Ints) -> Ints:
        """The customer's spouse or parent, mutual: the partner's partner is the customer."""
        return self._neighbour(payer, np.zeros_like(payer))

    def friend(self, payer: Ints, rank: Ints) -> Ints:
        """The account of the `rank`-th person this customer pays most; a third are at other banks."""
        near = self._neighbour(payer, rank)
        outside = self.payers + self.merchants + below(self.outside, self.seed, _OUTSIDE, payer, rank)
        unused = (near == payer) | (self.activity[near] == 0)  # a dormant account is not paid either
        return np.where(unused | ((rank > 0) & (uniform(self.seed, _FRIEND, payer, rank) < 0.33)), outside, near)

    def _neighbour(self, payer: Ints, rank: Ints) -> Ints:
        city = self.city[payer]
        start, size = self.city_start[city], self.city_start[city + 1] - self.city_start[city]
        turn = below(size, self.seed, _FRIEND, city, rank)
        return start + (turn - (payer - start)) % size

    def favourite_shop(self, payer: Ints, rank: Ints) -> Ints:
        """The account of the merchant this customer pays `rank`-th most often."""
        everywhere = uniform(self.seed, _SHOP, payer, rank) < 0.2
        return self.shop(self.city[payer], everywhere, uniform(self.seed, _POPULAR, payer, rank))

    def new_shop(self, payer: Ints, fortnight: Ints, age: Ints) -> Ints:
        """The account of the shop that opened near each customer `age` fortnights ago."""
        regions = self.new_shops // _NEW_SHOP_FORTNIGHTS
        opened = (fortnight - age) % _NEW_SHOP_FORTNIGHTS
        established = self.merchants - self.new_shops - self.idle_shops
        return self.payers + established + opened * regions + payer * regions // self.payers

    def shop(self, city: Ints, everywhere: Bools, draw: Floats) -> Ints:
        """A merchant of the city, or one who sells everywhere; small draws from [0, 1) give the popular ones."""
        city = np.where(everywhere, len(geography.CITIES), city)
        start, size = self.merchant_start[city], self.merchant_start[city + 1] - self.merchant_start[city]
        return self.payers + start + np.minimum((size * draw**2.2).astype(np.int64), size - 1)


def build(seed: int, payers: int, telemetry: float, epoch_ms: int) -> World:
    """The world of a seed; nine in ten customers have joined before `epoch_ms`. About 1 µs a customer."""
    rng = np.random.default_rng([seed, _WORLD_STREAM])
    cities = len(geography.CITIES)
    counts = _apportion(payers, geography.WEIGHTS)
    city = np.repeat(np.arange(cities), counts)
    home_lat = geography.LATITUDES[city] + rng.normal(0, 0.06, payers)
    home_lon = geography.LONGITUDES[city] + rng.normal(0, 0.06, payers)
    profile = rng.choice(len(calendar.PROFILES), payers, p=calendar.PROFILE_SHARES)
    elder = profile == calendar.ELDER
    activity = rng.gamma(1.6, 1.0, payers) * np.where(elder, 0.5, 1.0)
    activity[rng.random(payers) < SELDOM] *= SELDOM_ACTIVITY
    activity[rng.random(payers) < 0.03] = 0.0
    joined = epoch_ms - (rng.exponential(900, payers) * DAY_MS).astype(np.int64)
    joining = rng.random(payers) < JOINING
    joined = np.where(joining, epoch_ms + (rng.random(payers) * JOIN_DAYS * DAY_MS).astype(np.int64), joined)
    typing = np.clip(rng.normal(175, 17, payers), 120, 240) * np.where(elder, rng.uniform(1.2, 2.3, payers), 1.0)
    by_profile = tuple(np.flatnonzero((profile == p) & (activity > 0)) for p in range(len(calendar.PROFILES)))
    sums = np.array([activity[group].sum() for group in by_profile])
    established = max(4 * (cities + 1), payers // 20)
    shop_counts = _apportion(established, np.append(geography.WEIGHTS * 0.93, 0.07))
    new_shops, idle_shops = _NEW_SHOP_FORTNIGHTS * max(8, payers // 500), max(64, payers // 60)
    merchants = established + new_shops + idle_shops
    return World(
        seed=seed,
        payers=payers,
        merchants=merchants,
        new_shops=new_shops,
        idle_shops=idle_shops,
        outside=payers,
        idle_people=max(200, payers // 8),
        city=city,
        city_start=np.concatenate([[0], np.cumsum(counts)]),
        home_lat=home_lat,
        home_lon=home_lon,
        work_lat=home_lat + rng.normal(0, 0.06, payers),
        work_lon=home_lon + rng.normal(0, 0.06, payers),
        profile=profile,
        activity=activity,
        spending=np.exp(rng.normal(0, 0.55, payers)),
        merchant_share=rng.beta(6.4, 3.6, payers),
        typing_ms=typing,
        typing_spread_ms=typing * rng.uniform(0.18, 0.38, payers),
        tap_ms=np.exp(rng.normal(6.0, 0.25, payers)) * np.where(elder, 1.5, 1.0),
        session_ms=np.exp(rng.normal(10.4, 0.35, payers)) * np.where(elder, 1.8, 1.0),
        app=rng.choice(len(APPS), payers, p=[app.share for app in APPS]),
        telemetry=rng.random(payers) < telemetry,
        vpn=rng.random(payers) < 0.04,
        shares_device=rng.random(payers) < 0.06,
        registered_at=np.maximum(FIRST_REGISTRATION_MS, joined),
        by_profile=by_profile,
        profile_cumulative=tuple(np.cumsum(activity[group]) / max(activity[group].sum(), 1e-9) for group in by_profile),
        profile_activity=sums / sums.sum(),
        merchant_start=np.concatenate([[0], np.cumsum(shop_counts)]),
        merchant_category=rng.choice(len(commerce.CATEGORIES), merchants, p=commerce.SHARES),
    )


def _apportion(total: int, weights: Floats) -> Ints:
    """Whole numbers near `total × weights`, each at least 1, that add up to `total`."""
    edges = np.round(np.cumsum(weights / weights.sum()) * (total - len(weights))).astype(np.int64)
    return np.diff(edges, prepend=0) + 1
