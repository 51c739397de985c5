"""When people pay: hours of the day by way of life, weekdays, salary days, festivals. India is UTC + 5:30 all year."""

import numpy as np

from simulator.arrays import DAY_MS, HOUR_MS, AnyArray, Floats, Ints

IST_MS = 19_800_000

_HOURS = """
office      1 .5 .3 .2 .3 .8 2 4 6 6 5 5 6 7 5 4 5 6 8 9 9 7 4 2
home        .5 .3 .2 .2 .3 1 3 5 7 8 9 9 8 6 5 5 6 7 8 7 5 3 2 1
student     4 3 2 1 .5 .4 .8 2 3 4 5 6 7 7 6 6 6 7 8 8 8 8 7 6
night_shift 7 8 7 6 5 4 3 2 2 1.5 1 1 1.5 2 3 4 5 5 5 5 5 5 6 7
elder       .1 .1 .1 .1 .5 2 5 8 9 10 10 9 7 4 3 4 6 7 6 4 2 1 .4 .2
shop        .5 .3 .2 .3 1 3 5 6 7 8 8 8 8 7 7 7 8 8 9 9 8 6 3 1
"""
PROFILES: tuple[str, ...] = tuple(line.split()[0] for line in _HOURS.strip().splitlines())
OFFICE, HOME, STUDENT, NIGHT_SHIFT, ELDER, SHOP = range(6)
HOUR_WEIGHTS: Floats = np.array([[float(x) for x in line.split()[1:]] for line in _HOURS.strip().splitlines()])
HOUR_WEIGHTS /= HOUR_WEIGHTS.sum(axis=1, keepdims=True)
"""[profile, hour in India] → share of the day's payments."""
PROFILE_SHARES: Floats = np.array([0.42, 0.16, 0.15, 0.05, 0.12, 0.10])

_WEEKDAY = np.array([1.0, 0.98, 0.98, 0.99, 1.02, 1.04, 0.99])
"""Monday first."""
_MONTH_DAY = np.array(
    [1.07, 1.08, 1.06, 1.05, 1.05, 1.03, 1.02, 1.0, 1.0, 1.0] + [0.985] * 14 + [0.97] * 4 + [0.99, 1.0, 1.02]
)
"""UPI's volume varies little: 2 August 2025, a record, had 1.085 times the month's average (NPCI)."""
_FESTIVALS: dict[str, float] = {
    "2024-10-31": 1.13, "2024-10-29": 1.1, "2025-03-14": 1.06, "2025-08-09": 1.04, "2025-10-02": 1.06,
    "2025-10-18": 1.13, "2025-10-20": 1.08, "2025-12-25": 1.04, "2026-01-01": 1.06, "2026-01-14": 1.04,
    "2026-03-04": 1.06, "2026-08-28": 1.04, "2026-11-06": 1.13, "2026-11-08": 1.08,
}  # fmt: skip
"""The day before Diwali 2025 had about 1.13 times September's average (NPCI)."""
_FESTIVAL_DAYS = np.array([np.datetime64(day, "D").astype(np.int64) for day in _FESTIVALS])
_FESTIVAL_FACTORS = np.array(list(_FESTIVALS.values()))


def india_day(time_ms: AnyArray) -> Ints:
    """Days since 1970 in India's calendar."""
    return np.asarray((time_ms + IST_MS) // DAY_MS, dtype=np.int64)


def india_hour(time_ms: AnyArray) -> Ints:
    """Hour of the day in India, 0 to 23."""
    return np.asarray((time_ms + IST_MS) // HOUR_MS % 24, dtype=np.int64)


def weekday(day: Ints) -> Ints:
    """0 is Monday."""
    return (day + 3) % 7


def month_day(day: Ints) -> Ints:
    """Day of the month, from 1."""
    dates = day.astype("datetime64[D]")
    return (dates - dates.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1


def volume(day: Ints) -> Floats:
    """Relative number of payments on a day of India's calendar: weekday × salary days × festival."""
    factor = _WEEKDAY[weekday(day)] * _MONTH_DAY[month_day(day) - 1]
    for festival, extra in zip(_FESTIVAL_DAYS, _FESTIVAL_FACTORS, strict=True):
        factor = np.where(day == festival, factor * extra, factor)
    return factor
