"""Where a customer is at a moment: home, work, about town, or on a journey by train or air."""

import numpy as np

from simulator import calendar, geography
from simulator.arrays import DAY_MS, HOUR_MS, Floats, Ints, kilometres, uniform
from simulator.world import World

_TRIP, _WHERE, _AT_WORK, _ABOUT = 21, 22, 23, 24
_TRIP_BLOCK_DAYS = 30.0
_TRIP_CHANCE = 0.2
"""Customers who go on a journey in a month, times the share of look-alikes."""


def places(world: World, payer: Ints, time: Ints, lookalikes: float) -> tuple[Floats, Floats, Ints]:
    """Latitude and longitude, degrees, and the city (position in `geography.CITIES`) each payer is in or bound for."""
    day, hour = calendar.india_day(time), calendar.india_hour(time)
    lat, lon = world.home_lat[payer], world.home_lon[payer]
    profile = world.profile[payer]
    shift = np.where(profile == calendar.NIGHT_SHIFT, (hour >= 21) | (hour < 5), (hour >= 10) & (hour < 18))
    has_work = (profile == calendar.OFFICE) | (profile == calendar.NIGHT_SHIFT) | (profile == calendar.STUDENT)
    draw = uniform(world.seed, _AT_WORK, payer, day * 24 + hour)
    at_work = has_work & shift & (calendar.weekday(day) < 6) & (draw < 0.85)
    lat, lon = np.where(at_work, world.work_lat[payer], lat), np.where(at_work, world.work_lon[payer], lon)
    about = draw > 0.7
    turn = 2 * np.pi * uniform(world.seed, _ABOUT, payer, day * 24 + hour)
    reach = np.where(about, -0.03 * np.log1p(-uniform(world.seed, _ABOUT, payer, day, hour)), 0.0)
    lat, lon = lat + reach * np.sin(turn), lon + reach * np.cos(turn)
    return _journeys(world, payer, time, lat, lon, lookalikes)


def _journeys(
    world: World, payer: Ints, time: Ints, lat: Floats, lon: Floats, lookalikes: float
) -> tuple[Floats, Floats, Ints]:
    """Moves those who are on a journey: along a straight line there, about the other city, and back."""
    city = world.city[payer]
    since = time / DAY_MS / _TRIP_BLOCK_DAYS + uniform(world.seed, _TRIP, payer)
    block = since.astype(np.int64)
    away = np.flatnonzero(uniform(world.seed, _TRIP, payer, block) < min(0.9, _TRIP_CHANCE * lookalikes))
    if len(away) == 0:
        return lat, lon, city
    who, trip = payer[away], block[away]
    day = (since[away] - trip) * _TRIP_BLOCK_DAYS
    start = 20 * uniform(world.seed, _TRIP, who, trip, 1)
    stay = 1 + 6 * uniform(world.seed, _TRIP, who, trip, 2)
    to = np.minimum(
        np.searchsorted(geography.CUMULATIVE, uniform(world.seed, _WHERE, who, trip)), len(geography.CITIES) - 1
    )
    to_lat = geography.LATITUDES[to] + 0.1 * (uniform(world.seed, _WHERE, who, trip, 1) - 0.5)
    to_lon = geography.LONGITUDES[to] + 0.1 * (uniform(world.seed, _WHERE, who, trip, 2) - 0.5)
    distance = kilometres(lat[away], lon[away], to_lat, to_lon)
    flies = (distance > 300) & (uniform(world.seed, _WHERE, who, trip, 3) < 0.55)
    travel = np.maximum(distance / np.where(flies, 550.0, 60.0), 0.5) * HOUR_MS / DAY_MS
    along = np.clip((day - start) / travel, 0, 1) - np.clip((day - start - travel - stay) / travel, 0, 1)
    lat, lon, city = lat.copy(), lon.copy(), city.copy()
    lat[away] += along * (to_lat - lat[away])
    lon[away] += along * (to_lon - lon[away])
    city[away] = np.where(along > 0.5, to, city[away])
    return lat, lon, city
