"""The reduced job's features compiled, over columns of payments and an array of records: how our product does it."""

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import Literal
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.peers.reference import AMOUNT_MEMORY, DAY_MS, FEATURES, MERCHANT, PAYEES
from models.features.common import HOUR_MS, NAN, differs, find, haversine_km, hour_in_india
from models.jit import compiled
from models.record_codec import History, RecordCodec

NUMBERS = ("event_time", "amount", "latitude", "longitude", "ip_latitude", "ip_longitude", "network_risk_score")
DIGESTS = ("payee", "device_id", "sim_id")


class Payment(msgspec.Struct, gc=False):
    """The fields that the reduced job reads; a decoder passes over the others."""

    transaction_id: str
    event_time: int
    payer: str
    payee: str
    amount: int
    device_id: str | None = None
    sim_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    ip_latitude: float | None = None
    ip_longitude: float | None = None
    payee_type: Literal["PERSON", "ENTITY"] | None = None
    network_risk_score: int | None = None


ROW = np.dtype([(name, "f8") for name in NUMBERS] + [(name, "u4") for name in DIGESTS] + [("merchant", "f8")])
"""One payment, NaN or 0 for what is missing; times and paise stay below 2^53."""

RECORD = np.dtype(
    [
        ("last_ms", "f8"),
        ("log_mean", "f8"),
        ("log_variance", "f8"),
        ("highest", "f8"),
        ("hour_count", "f8"),
        ("hour_rupees", "f8"),
        ("day_count", "f8"),
        ("day_rupees", "f8"),
        ("device_since", "f8"),
        ("fix_ms", "f8"),
        ("fix_latitude", "f8"),
        ("fix_longitude", "f8"),
        ("payments", "u4"),
        ("device", "u4"),
        ("sim", "u4"),
        ("payees", "u1"),
        ("payee", "u4", (PAYEES,)),
        ("payee_count", "u4", (PAYEES,)),
    ]
)
"""A payer's state; zeros for one never seen."""

CODEC = RecordCodec(RECORD, version=1, histories=(History("payees", ("payee", "payee_count")),))
_numbers = attrgetter(*NUMBERS)
_digests = attrgetter(*DIGESTS)


def rows_of(payments: Sequence[Payment]) -> NDArray[np.void]:
    """(n,) of ROW."""
    rows = np.zeros(len(payments), dtype=ROW)
    numbers = np.array([_numbers(payment) for payment in payments], dtype=np.float64).reshape(-1, len(NUMBERS))
    for k, name in enumerate(NUMBERS):
        rows[name] = numbers[:, k]
    for name, texts in zip(DIGESTS, zip(*map(_digests, payments), strict=True), strict=True):
        rows[name] = [0 if text is None else crc32(text.encode()) for text in texts]
    rows["merchant"] = [MERCHANT.get(payment.payee_type, NAN) for payment in payments]
    return rows


def judge(rows: NDArray[np.void], records: NDArray[np.void], at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Features (n, 20) of `rows` (n,), one after another; `records[at]` are the payers' records, moved on in place."""
    features = np.empty((rows.size, len(FEATURES)), dtype=np.float32)
    _judge(rows, records, at, features)
    return features


@compiled
def _judge(rows, records, at, features):
    for i in range(rows.size):
        _judge_one(rows[i], records[at[i]], features[i])


@compiled
def _judge_one(p, s, f):
    time_ms, rupees = p.event_time, p.amount / 100
    log_rupees = math.log(rupees)
    passed_ms = max(0.0, time_ms - s.last_ms)
    hour_left, day_left = math.exp(-passed_ms / HOUR_MS), math.exp(-passed_ms / DAY_MS)
    hour_count, hour_rupees = s.hour_count * hour_left, s.hour_rupees * hour_left
    day_count, day_rupees = s.day_count * day_left, s.day_rupees * day_left
    used = np.int64(s.payees)
    known = find(s.payee, used, p.payee)
    payee_count = np.int64(s.payee_count[known]) if known >= 0 else 0
    distance, speed = NAN, NAN
    if s.fix_ms > 0:
        distance = haversine_km(s.fix_latitude, s.fix_longitude, p.latitude, p.longitude)
        speed = distance / max(abs(time_ms - s.fix_ms) / HOUR_MS, 1 / 60)
    f[0] = rupees
    f[1] = (log_rupees - s.log_mean) / math.sqrt(s.log_variance + 0.0625) if s.payments >= 3 else NAN
    f[2] = rupees / s.highest if s.payments > 0 else NAN
    f[3] = hour_in_india(time_ms)
    f[4] = passed_ms / 1000 if s.payments > 0 else NAN
    f[5] = s.payments
    f[6] = hour_count
    f[7] = hour_rupees
    f[8] = day_count
    f[9] = day_rupees
    f[10] = payee_count
    f[11] = used
    f[12] = differs(p.device_id, s.device)
    f[13] = _device_age(p, s, time_ms)
    f[14] = differs(p.sim_id, s.sim)
    f[15] = distance
    f[16] = speed
    f[17] = haversine_km(p.latitude, p.longitude, p.ip_latitude, p.ip_longitude)
    f[18] = p.merchant
    f[19] = p.network_risk_score

    weight = 1.0 / min(np.int64(s.payments) + 1, AMOUNT_MEMORY)
    away = log_rupees - s.log_mean
    s.log_mean += weight * away
    s.log_variance = (1 - weight) * (s.log_variance + weight * away * away)
    s.highest = max(s.highest, rupees)
    s.hour_count = hour_count + 1
    s.hour_rupees = hour_rupees + rupees
    s.day_count = day_count + 1
    s.day_rupees = day_rupees + rupees
    if p.device_id != 0 and p.device_id != s.device:
        s.device = p.device_id
        s.device_since = time_ms
    if p.sim_id != 0:
        s.sim = p.sim_id
    if not np.isnan(p.latitude) and not np.isnan(p.longitude) and time_ms >= s.fix_ms:
        s.fix_ms = time_ms
        s.fix_latitude = p.latitude
        s.fix_longitude = p.longitude
    _pay(s, p.payee, payee_count, known, used)
    s.payments += 1
    s.last_ms = max(s.last_ms, time_ms)


@compiled
def _device_age(p, s, time_ms):
    if p.device_id == 0:
        return NAN
    return max(0.0, time_ms - s.device_since) / HOUR_MS if p.device_id == s.device else 0.0


@compiled
def _pay(s, payee, count, known, used):
    """The payee leaves its place, or the first of a full list goes; it comes to the end."""
    if known >= 0:
        first, last = known, used - 1
    elif used == s.payee.size:
        first, last = np.int64(0), used - 1
    else:
        first, last = used, used
        s.payees = used + 1
    for k in range(first, last):
        s.payee[k] = s.payee[k + 1]
        s.payee_count[k] = s.payee_count[k + 1]
    s.payee[last] = payee
    s.payee_count[last] = count + 1
