"""The world over time: payments and labels of any stretch of it, history and continuation alike.

Time is cut into slots. What happens in a slot is a function of the seed, the slot and the density of payments;
nothing is carried from one to the next. So history up to now and the stream from now on are one story about the
same customers, devices, payees and mules, and the same seed gives the same bytes however they are asked for.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from simulator import calendar
from simulator import world as worlds
from simulator.arrays import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.attacks.campaigns import campaigns
from simulator.attacks.gang import FORTNIGHT_MS, Gang, gang, registry
from simulator.attacks.scene import Scene
from simulator.config import SimulationConfig
from simulator.draft import Draft, concatenate
from simulator.honest import honest
from simulator.labels import label
from simulator.render import render

_HONEST_STREAM, _PLAN_STREAM = 2, 3
_PLANS = {
    DAY_MS: (7 * DAY_MS, 5 * DAY_MS),
    HOUR_MS: (DAY_MS, 5 * DAY_MS),
    MINUTE_MS: (HOUR_MS, 3 * HOUR_MS),
}
"""Per length of slot: the span whose campaigns are planned together, and how far beyond it a campaign may reach."""
_SLOT_PAYMENTS = 300_000
"""A slot is a day, an hour or a minute: the longest that holds at most this many payments on average."""


@dataclass(frozen=True)
class Slot:
    """Payments of one stretch of time, by event_time, and a label for each."""

    payments: pl.DataFrame
    labels: pl.DataFrame


class Simulation:
    """A config's world. `density` is a factor on payments per world time, where a stream is to be busier."""

    def __init__(self, config: SimulationConfig, *, density: float = 1.0) -> None:
        self.config = config
        self.world = worlds.build(config.seed, config.payers, config.telemetry, config.start_ms)
        per_day = config.payments * density / config.days
        self.slot_ms = next((ms for ms in _PLANS if per_day * ms / DAY_MS <= _SLOT_PAYMENTS), MINUTE_MS)
        self._plan_ms, self._reach_ms = _PLANS[self.slot_ms]
        self._scale = 1.0
        self._scale = config.payments * density / self._expected(config.start_ms, config.end_ms)
        self._plan = lru_cache(maxsize=3 + self._reach_ms // self._plan_ms)(self._make_plan)

    def history(self) -> Iterator[Slot]:
        """Exactly `config.payments` payments, from the config's start to its end."""
        return self.between(self.config.start_ms, self.config.end_ms)

    def between(self, start_ms: int, end_ms: int | None = None) -> Iterator[Slot]:
        """Everything with start_ms <= event_time < end_ms, slot by slot; without end for ever."""
        while end_ms is None or start_ms < end_ms:
            edge = (start_ms // self.slot_ms + 1) * self.slot_ms
            stop = edge if end_ms is None else min(edge, end_ms)
            slot = self._slot(start_ms, stop)
            if len(slot.payments):
                yield slot
            start_ms = stop

    def rate_at(self, time_ms: int) -> float:
        """Payments a second of the world's time in the hour of the day that `time_ms` falls in."""
        hour = time_ms // HOUR_MS * HOUR_MS
        return self._expected(hour, hour + HOUR_MS) / 3600

    def _expected(self, start_ms: int, end_ms: int) -> float:
        """Payments expected in a span, by India's calendar and everybody's hours."""
        hours = np.arange(start_ms // HOUR_MS, -(-end_ms // HOUR_MS)) * HOUR_MS
        inside = (np.minimum(hours + HOUR_MS, end_ms) - np.maximum(hours, start_ms)) / HOUR_MS
        by_hour = self.world.profile_activity @ calendar.HOUR_WEIGHTS
        weights = by_hour[calendar.india_hour(hours)] * calendar.volume(calendar.india_day(hours))
        return self._scale * math.fsum(weights * inside)

    def _count(self, start_ms: int, end_ms: int) -> int:
        """Whole payments of a span: rounded so that the spans of history add up to exactly the number asked for."""
        origin = self.config.start_ms
        if start_ms >= origin:
            return round(self._expected(origin, end_ms)) - round(self._expected(origin, start_ms))
        return round(self._expected(start_ms, end_ms))

    def _gangs(self, time_ms: int) -> tuple[Gang, Gang]:
        """The gangs at work: this fortnight's and the one's before."""
        fortnight = time_ms // FORTNIGHT_MS
        frauds = self._scale * self.config.fraud_rate * FORTNIGHT_MS / DAY_MS
        return gang(self.world, fortnight, frauds), gang(self.world, fortnight - 1, frauds)

    def _make_plan(self, number: int) -> Draft | None:
        """The campaigns that begin in a plan's span."""
        config, start, end = self.config, number * self._plan_ms, (number + 1) * self._plan_ms
        scene = Scene(
            world=self.world,
            gangs=self._gangs(start),
            rng=np.random.default_rng([config.seed, _PLAN_STREAM, self._plan_ms, number]),
            start_ms=start,
            end_ms=end,
            reach_ms=self._reach_ms,
            shares=config.adapted_shares,
            lookalikes=config.lookalikes,
            plan=number,
        )
        frauds = self._expected(start, end) * config.fraud_rate
        return campaigns(scene, config.scenario, config.attack_weights, frauds)

    def _frauds(self, start_ms: int, end_ms: int) -> list[Draft]:
        """Fraudulent payments of a span, from every plan whose campaigns reach into it."""
        if not self.config.fraud_rate:
            return []
        found = []
        for number in range((start_ms - self._reach_ms) // self._plan_ms, (end_ms - 1) // self._plan_ms + 1):
            draft = self._plan(number)
            if draft is not None:
                inside = (draft.time >= start_ms) & (draft.time < end_ms)
                if inside.any():
                    found.append(draft.take(inside))
        return found

    def _slot(self, start_ms: int, end_ms: int) -> Slot:
        config, world = self.config, self.world
        seeds = [config.seed, _HONEST_STREAM, start_ms // MINUTE_MS, (end_ms - start_ms) // 1000]
        frauds = self._frauds(start_ms, end_ms)
        count = self._count(start_ms, end_ms) - sum(len(draft) for draft in frauds)
        rng = np.random.default_rng(seeds)
        if count < 0:  # more fraud than payments: only ever in the shortest spans
            frauds, count = [concatenate(frauds).take(np.arange(self._count(start_ms, end_ms)))], 0
        draft = concatenate([honest(world, start_ms, end_ms, count, rng, config.lookalikes), *frauds])
        draft = draft.take(np.argsort(draft.time, kind="stable"))
        flagged, indicator = registry(world, self._gangs(start_ms), draft.payee, draft.time)
        payments = render(world, draft, start_ms // MINUTE_MS, flagged, indicator, config.full_telemetry)
        return Slot(payments, label(config.scenario, draft, payments, rng))
