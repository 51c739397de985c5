"""The reduced job in plain Python: a payment and its payer's record in, 20 features out, the record moved on.

What bench/peers/REDUCED.md says, and nothing else: no library beyond Python's own, so that the Python participants use
it as it is, each in its own environment, and the others are checked against it.
"""

import math
from typing import Any
from zlib import crc32

FEATURES = (
    "amount",
    "amount_deviations",
    "amount_of_highest",
    "hour_of_day",
    "seconds_since_last",
    "payments",
    "hour_count",
    "hour_rupees",
    "day_count",
    "day_rupees",
    "payee_count",
    "payees",
    "device_changed",
    "device_age_hours",
    "sim_changed",
    "distance_km",
    "speed_kmh",
    "gps_ip_km",
    "payee_merchant",
    "network_risk_score",
)
NAN = math.nan
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
INDIA_OFFSET_MS = 19_800_000
EARTH_KM = 6371.0088
MERCHANT: dict[str | None, float] = {"ENTITY": 1.0, "PERSON": 0.0}
PAYEES = 8
AMOUNT_MEMORY = 100

Record = dict[str, Any]
"""A payer's state, ready for JSON."""


def new_record() -> Record:
    """Of a payer never seen."""
    return {
        "last_ms": 0,
        "payments": 0,
        "log_mean": 0.0,
        "log_variance": 0.0,
        "highest": 0.0,
        "hour_count": 0.0,
        "hour_rupees": 0.0,
        "day_count": 0.0,
        "day_rupees": 0.0,
        "device": 0,
        "device_since": 0,
        "sim": 0,
        "fix_ms": 0,
        "fix_latitude": 0.0,
        "fix_longitude": 0.0,
        "payees": [],
    }


def judge(payment: dict[str, Any], record: Record) -> list[float]:
    """The features of `payment`, in the order of `FEATURES`; `record` takes the payment in."""
    get = payment.get
    time_ms, rupees = payment["event_time"], payment["amount"] / 100
    log_rupees = math.log(rupees)
    seen = record["payments"]
    passed_ms = max(0, time_ms - record["last_ms"])
    hour_left, day_left = math.exp(-passed_ms / HOUR_MS), math.exp(-passed_ms / DAY_MS)
    hour_count, hour_rupees = record["hour_count"] * hour_left, record["hour_rupees"] * hour_left
    day_count, day_rupees = record["day_count"] * day_left, record["day_rupees"] * day_left
    payee, device, sim = _crc(payment["payee"]), _crc(get("device_id")), _crc(get("sim_id"))
    payees = record["payees"]
    at = next((i for i, (known, _) in enumerate(payees) if known == payee), -1)
    payee_count = payees[at][1] if at >= 0 else 0
    latitude, longitude = get("latitude"), get("longitude")
    distance = speed = NAN
    if record["fix_ms"]:
        distance = kilometres(record["fix_latitude"], record["fix_longitude"], latitude, longitude)
        speed = distance / max(abs(time_ms - record["fix_ms"]) / HOUR_MS, 1 / 60)
    risk = get("network_risk_score")
    features = [
        rupees,
        (log_rupees - record["log_mean"]) / math.sqrt(record["log_variance"] + 0.0625) if seen >= 3 else NAN,
        rupees / record["highest"] if seen else NAN,
        (time_ms + INDIA_OFFSET_MS) // HOUR_MS % 24,
        passed_ms / 1000 if seen else NAN,
        seen,
        hour_count,
        hour_rupees,
        day_count,
        day_rupees,
        payee_count,
        len(payees),
        _differs(device, record["device"]),
        _device_age(device, record, time_ms),
        _differs(sim, record["sim"]),
        distance,
        speed,
        kilometres(latitude, longitude, get("ip_latitude"), get("ip_longitude")),
        MERCHANT.get(get("payee_type"), NAN),
        NAN if risk is None else risk,
    ]

    weight = 1 / min(seen + 1, AMOUNT_MEMORY)
    away = log_rupees - record["log_mean"]
    record["log_mean"] += weight * away
    record["log_variance"] = (1 - weight) * (record["log_variance"] + weight * away * away)
    record["highest"] = max(record["highest"], rupees)
    record["hour_count"], record["hour_rupees"] = hour_count + 1, hour_rupees + rupees
    record["day_count"], record["day_rupees"] = day_count + 1, day_rupees + rupees
    if device and device != record["device"]:
        record["device"], record["device_since"] = device, time_ms
    if sim:
        record["sim"] = sim
    if latitude is not None and longitude is not None and time_ms >= record["fix_ms"]:
        record["fix_ms"], record["fix_latitude"], record["fix_longitude"] = time_ms, latitude, longitude
    if at >= 0:
        del payees[at]
    elif len(payees) == PAYEES:
        del payees[0]
    payees.append([payee, payee_count + 1])
    record["payments"] = seen + 1
    record["last_ms"] = max(record["last_ms"], time_ms)
    return features


def kilometres(latitude: float | None, longitude: float | None, other: float | None, other_long: float | None) -> float:
    """Great-circle distance between two points in degrees; NaN if a coordinate is missing."""
    if latitude is None or longitude is None or other is None or other_long is None:
        return NAN
    phi, other_phi = math.radians(latitude), math.radians(other)
    half = math.sin((other_phi - phi) / 2) ** 2
    half += math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_long - longitude) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def _crc(text: str | None) -> int:
    return crc32(text.encode()) if text is not None else 0


def _differs(now: int, before: int) -> float:
    return float(now != before) if now and before else NAN


def _device_age(device: int, record: Record, time_ms: int) -> float:
    if not device:
        return NAN
    return max(0, time_ms - record["device_since"]) / HOUR_MS if device == record["device"] else 0.0
