"""What is remembered of an entity, a payee's account, a device or a SIM, over all payers.

Fan-in needs no sketch: each payer's own record knows whether a payment was the first to this payee or from this
device, so counting those firsts counts distinct payers (again only for a payer who forgot the payee in between).
Times are epoch seconds, amounts rupees. A record of zeros is an entity never seen.
"""

import numpy as np
from numpy.typing import NDArray

from models.batch import tokens_of
from models.engine import CLAMPED, FIRST_PAYEE, NEW_DEVICE, NEW_SIM
from models.features.common import window
from models.features.transaction import add_to_buckets
from models.jit import compiled
from models.keys import TOKEN_BYTES, Keys, of_tokens
from models.record_codec import History, RecordCodec
from schemas.entity_activity import ACTIVITY, FIRST_TIME, FRAUD, OUTFLOW

ENTITY_KEY_BYTES = 1 + TOKEN_BYTES
BUCKETS = 8
BUCKET_SECONDS = 3 * 3600
"""The last day in buckets of three hours."""

ENTITY = np.dtype(
    [
        ("first_seen", "u4"),
        ("last_seen", "u4"),
        ("last_fraud", "u4"),
        ("payers", "u4"),
        ("payments", "u4"),
        ("frauds", "u4"),
        ("received", "f4"),
        # as last published
        ("published_level", "u4"),
        ("published_risk", "f4"),
        ("ins", "u1"),
        ("outs", "u1"),
        ("in_index", "u4", (BUCKETS,)),
        ("in_amount", "f4", (BUCKETS,)),
        ("in_count", "u2", (BUCKETS,)),
        ("out_index", "u4", (BUCKETS,)),
        ("out_amount", "f4", (BUCKETS,)),
        ("out_count", "u2", (BUCKETS,)),
    ]
)
ENTITY_CODEC = RecordCodec(
    ENTITY,
    version=1,
    histories=(
        History("ins", ("in_index", "in_amount", "in_count")),
        History("outs", ("out_index", "out_amount", "out_count")),
    ),
)

VALUES = np.dtype(
    [
        ("updated_at", "i8"),
        ("first_seen", "i8"),
        ("last_fraud", "i8"),
        ("payers", "f4"),
        ("inflow_count", "f4"),
        ("inflow_day", "f4"),
        ("outflow_day", "f4"),
        ("received", "f4"),
        ("first_time_share", "f4"),
        ("frauds", "f4"),
        ("risk", "f4"),
    ]
)
"""What is published of an entity: times in epoch ms, amounts in rupees of the 24 hours up to `updated_at`."""

RISK_STEP = 0.1
"""A risk that moved by this much is published."""
YOUNG_SECONDS = 30 * 86_400
MULE_PAYERS = 5.0


def entity_keys(kinds: NDArray[np.uint8] | int, tokens: NDArray[np.void]) -> Keys:
    """Keys of entities' records, (n, 17): the kind in one byte, then the token. `tokens` (n,) of 16 bytes."""
    keys = np.empty((tokens.size, ENTITY_KEY_BYTES), dtype=np.uint8)
    keys[:, 0] = kinds
    keys[:, 1:] = of_tokens(tokens)
    return keys


def activity_of(
    payments: NDArray[np.void], status: NDArray[np.uint8], payer_known: NDArray[np.bool_]
) -> NDArray[np.void]:
    """Rows of `ACTIVITY` that payments (n,) of PAYMENT give, `status` from the engine. Duplicates were left out.

    Money received; money paid, by payers that are known as entities (n,), because only of an account that receives
    is it news that it pays; and the first use of a device or SIM by a payer.
    """
    everything = np.arange(payments.size)
    clamped = (status & CLAMPED) != 0
    times = np.where(clamped, payments["published"], payments["event_time"]).astype(np.int64)

    def part(kind: int, name: str, rows: NDArray[np.int64], flags: NDArray[np.uint8] | int) -> NDArray[np.void]:
        part = np.zeros(rows.size, dtype=ACTIVITY)
        part["kind"], part["flags"] = kind, flags
        part["token"] = tokens_of(payments, name)[rows]
        part["other"] = payments["payer"][rows]
        part["event_time"] = times[rows]
        part["amount"] = payments["amount"][rows]
        return part

    first = np.where(status & FIRST_PAYEE, FIRST_TIME, 0).astype(np.uint8)
    new_device, new_sim = np.flatnonzero(status & NEW_DEVICE), np.flatnonzero(status & NEW_SIM)
    return np.concatenate(
        [
            part(1, "payee", everything, first),
            part(1, "payer", np.flatnonzero(payer_known), OUTFLOW),
            part(2, "device", new_device, FIRST_TIME),
            part(3, "sim", new_sim, FIRST_TIME),
        ]
    )


def update(activity: NDArray[np.void], states: NDArray[np.void], rows: NDArray[np.int64]) -> None:
    """Move the records `states[rows]` on by `activity`, one row after another, in place."""
    _update(activity["flags"].copy(), activity["event_time"].copy(), activity["amount"].copy(), states, rows)


@compiled
def _update(flags, times, amounts, states, rows):
    for i in range(rows.size):
        s = states[rows[i]]
        seconds = times[i] // 1000
        rupees = amounts[i] / 100
        if flags[i] & FRAUD:
            s.frauds += 1
            s.last_fraud = max(s.last_fraud, np.uint32(seconds))
            continue
        if s.first_seen == 0:
            s.first_seen = np.uint32(seconds)
        s.last_seen = max(s.last_seen, np.uint32(seconds))
        if flags[i] & OUTFLOW:
            s.outs = add_to_buckets(
                s.out_index, s.out_count, s.out_amount, s.outs, seconds // BUCKET_SECONDS, BUCKETS, rupees
            )
            continue
        s.payments += 1
        s.payers += flags[i] & FIRST_TIME
        s.received += rupees
        s.ins = add_to_buckets(s.in_index, s.in_count, s.in_amount, s.ins, seconds // BUCKET_SECONDS, BUCKETS, rupees)


def publishable(states: NDArray[np.void], rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.void]]:
    """Which of the entities have changed materially since they were last published, and their `VALUES`.

    Material is a step on a scale of half powers of two of payers, or of powers of four of money received in a day, a
    verdict, or a risk that moved by `RISK_STEP`; an entity with one payer and no verdict is no news. Marks those as
    published.
    """
    values = np.zeros(rows.size, dtype=VALUES)
    changed = np.zeros(rows.size, dtype=np.bool_)
    _publishable(states, rows, values, changed)
    return changed, values


@compiled
def _publishable(states, rows, values, changed):
    for i in range(rows.size):
        s, v = states[rows[i]], values[i]
        now = s.last_seen // BUCKET_SECONDS
        v.updated_at = max(np.int64(s.last_seen), np.int64(s.last_fraud)) * 1000
        v.first_seen = np.int64(s.first_seen) * 1000
        v.last_fraud = np.int64(s.last_fraud) * 1000
        v.payers = s.payers
        v.inflow_count = window(s.in_index, s.in_count, s.ins, now, BUCKETS)
        v.inflow_day = window(s.in_index, s.in_amount, s.ins, now, BUCKETS)
        v.outflow_day = window(s.out_index, s.out_amount, s.outs, now, BUCKETS)
        v.received = s.received
        v.first_time_share = s.payers / max(1, s.payments)
        v.frauds = s.frauds
        v.risk = _risk(v, s)
        level = np.uint32(0)
        if s.payers > 1 or s.frauds > 0:
            payers = np.uint32(2 * np.log2(max(1.0, s.payers)))
            money = np.uint32(np.log2(max(1.0, v.inflow_day / 1000)) / 2)
            level = (min(s.frauds, np.uint32(65_535)) << np.uint32(16)) | (payers << np.uint32(8)) | money
        moved = abs(v.risk - s.published_risk) >= RISK_STEP
        if level != s.published_level or moved:
            changed[i] = True
            s.published_level = level
            s.published_risk = v.risk


@compiled
def _risk(v, s):
    """0 to 1: verdicts weigh n / (n + 1); a mule's pattern up to 0.8, the product of its signs: money passed on,
    strangers paying, at least `MULE_PAYERS` of them, and an account seen for less than a month."""
    verdicts = v.frauds / (v.frauds + 1)
    passed = min(1.0, v.outflow_day / v.inflow_day) if v.inflow_day > 0 else 0.0
    young = 1.0 if s.last_seen - s.first_seen < YOUNG_SECONDS else 0.5
    mule = 0.8 * passed * v.first_time_share * min(1.0, v.payers / MULE_PAYERS) * young
    return 1 - (1 - verdicts) * (1 - mule)
