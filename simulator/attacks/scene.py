"""Where and when a plan's campaigns take place: what their building blocks draw from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from simulator import calendar
from simulator.arrays import DAY_MS, HOUR_MS, Bools, Floats, Ints
from simulator.attacks.aspects import Aspect, adapted
from simulator.attacks.attack import Attack, Payees
from simulator.attacks.gang import Gang
from simulator.world import World

_NIGHT = np.array([6, 7, 7, 6, 4, 2, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 6], dtype=np.float64)
_DAY = np.array([1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 4, 7, 9, 10, 10, 8, 8, 9, 9, 8, 7, 6, 5, 4, 3, 2], dtype=np.float64)
_ANY = calendar.HOUR_WEIGHTS.mean(axis=0) + 0.01
HOURS: dict[str, Floats] = {"night": _NIGHT, "day": _DAY, "any": _ANY}
_LAST_GANG = 0.13
"""Share of campaigns that still pay the accounts of the fortnight before, when verdicts on them are about."""
_WAVES = 0.6
"""Shape of the gamma distribution that days' shares of campaigns come from: below 1, a few days have most of them."""


@dataclass(frozen=True)
class Scene:
    """A stretch of time in which campaigns begin. `rng` is the kind's own: one kind's draws move no other's."""

    world: World
    gangs: tuple[Gang, Gang]
    """The fortnight's, and the one's before."""
    rng: np.random.Generator
    start_ms: int
    end_ms: int
    reach_ms: int
    """How long after its begin a campaign's payments may lie."""
    shares: Mapping[str, float]
    """Aspect → share of campaigns adapted in it."""
    lookalikes: float
    plan: int
    """Number of the stretch, among those of its length."""

    @property
    def gang(self) -> Gang:
        """The fortnight's own gang."""
        return self.gangs[0]

    def of_kind(self, name: str) -> "Scene":
        """The same scene with a kind's own random numbers."""
        key = [self.world.seed, 4, crc32(name.encode()), self.end_ms - self.start_ms, self.plan]
        return replace(self, rng=np.random.default_rng(key))

    def adapted(self, name: str, count: int) -> dict[Aspect, Bools]:
        """For each aspect, which of `count` campaigns of a kind are adapted in it."""
        return adapted(self.shares, self.world.seed, self.plan, crc32(name.encode()), count)

    def mules(self, block: Payees, time: Ints) -> Ints:
        """An account to pay at each time, of a gang's that is in use then."""
        draw, gang = self.rng.random(len(time)), self.rng.random(len(time))
        fresh, known = (group.in_use(block, time, draw) for group in self.gangs)
        return np.where(gang < _LAST_GANG, known, fresh)

    def starts(self, attack: Attack, count: int) -> Ints:
        """When campaigns begin, epoch ms: a day of the span, an hour by preference. They come in waves."""
        rng, span = self.rng, self.end_ms - self.start_ms
        if span < DAY_MS:
            return self.start_ms + (rng.random(count) * span).astype(np.int64)
        busy = np.random.default_rng([self.world.seed, 5, self.plan]).gamma(_WAVES, size=span // DAY_MS) + 0.05
        day = self.start_ms + rng.choice(len(busy), count, p=busy / busy.sum()) * DAY_MS
        weights = HOURS[attack.hours] if isinstance(attack.hours, str) else np.array(attack.hours)
        hour = rng.choice(24, count, p=weights / weights.sum())
        in_day = (hour * HOUR_MS + (rng.random(count) * HOUR_MS).astype(np.int64) - calendar.IST_MS) % DAY_MS
        return np.asarray(day + in_day, dtype=np.int64)

    def spread(self, payer: Ints, first: Ints, order: Ints) -> Ints:
        """When payments of drip campaigns are made: about one a day, at each victim's own usual hours."""
        hours = calendar.HOUR_WEIGHTS[self.world.profile[payer]].cumsum(axis=1)
        hour = (self.rng.random((len(payer), 1)) > hours).sum(axis=1)
        days = order + (self.rng.random(len(payer)) < 0.4) * (order > 0)
        day = (first + calendar.IST_MS) // DAY_MS + days
        time = day * DAY_MS - calendar.IST_MS + ((hour + self.rng.random(len(payer))) * HOUR_MS).astype(np.int64)
        latest = self.end_ms - 1 + self.reach_ms
        return np.asarray(np.where(order == 0, first, np.minimum(np.maximum(time, first), latest)), dtype=np.int64)
