"""What is remembered of an entity, a payee's account, a device or a SIM, over all payers.

Fan-in needs no sketch: each payer's own record knows whether a payment was the first to this payee or from this
device, so counting those firsts counts distinct payers (again only for a payer who forgot the payee in between).
Times are epoch seconds, amounts rupees. A record of zeros is an entity never seen.
"""

import numpy as np
from numpy.typing import NDArray

from models.features.common import fade, window
from models.features.transaction import add_to_buckets
from models.jit import compiled
from models.keys import TOKEN_BYTES, Keys, of_tokens
from models.record_codec import History, Older, RecordCodec
from schemas.entity_activity import FIRST_TIME, FRAUD, LAYERED, OUTFLOW

ENTITY_KEY_BYTES = 1 + TOKEN_BYTES
BUCKETS = 8
BUCKET_SECONDS = 3 * 3600
"""The last day in buckets of three hours."""

_HEAD_1 = [
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
]
_HEAD_2 = [
    # What fades is as of the time beside it.
    ("last_in", "u4"),
    ("in_weight", "f4"),  # payments received, fading with VERDICT_SECONDS
    ("money_weight", "f4"),  # rupees received, fading within a day
    ("layered_weight", "f4"),  # of that, from accounts that had received as much
    ("fraud_since", "u4"),  # first payment judged fraud of the present episode
    ("fraud_weight", "f4"),  # as of last_fraud
    ("losses", "u4"),
    ("last_loss", "u4"),
    ("loss_weight", "f4"),
    ("woken_at", "u4"),
    ("silence", "u4"),  # seconds without anything, which ended at woken_at
]
_HISTORIES = [
    ("ins", "u1"),
    ("outs", "u1"),
    ("in_index", "u4", (BUCKETS,)),
    ("in_amount", "f4", (BUCKETS,)),
    ("in_count", "u2", (BUCKETS,)),
    ("out_index", "u4", (BUCKETS,)),
    ("out_amount", "f4", (BUCKETS,)),
    ("out_count", "u2", (BUCKETS,)),
]
_COUNTED = (
    History("ins", ("in_index", "in_amount", "in_count")),
    History("outs", ("out_index", "out_amount", "out_count")),
)


def _estimate(given: NDArray[np.void], made: NDArray[np.void]) -> None:
    """What version 1 did not keep: its frauds as if all were of the last one's time, nothing else known."""
    made["fraud_since"], made["fraud_weight"] = given["last_fraud"], given["frauds"]
    made["last_in"] = given["last_seen"]
    made["in_weight"] = given["in_count"].sum(axis=1)


ENTITY = np.dtype([*_HEAD_1, *_HEAD_2, *_HISTORIES])
ENTITY_CODEC = RecordCodec(
    ENTITY,
    version=2,
    histories=_COUNTED,
    older=Older(RecordCodec(np.dtype([*_HEAD_1, *_HISTORIES]), version=1, histories=_COUNTED), upgrade=_estimate),
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
        ("fraud_weight", "f4"),
        ("fraud_since", "i8"),
        ("fraud_share", "f4"),
        ("loss_weight", "f4"),
        ("last_loss", "i8"),
        ("silence_days", "f4"),
        ("layered_share", "f4"),
        ("risk", "f4"),
    ]
)
"""What is published of an entity: times in epoch ms, amounts in rupees of the 24 hours up to `updated_at`.
`fraud_weight` is as of `last_fraud`, `loss_weight` as of `last_loss`: a reader lets them fade on."""

VERDICT_SECONDS = 10 * 86_400
"""A verdict counts 1/e of itself after so long. See docs/decisions/0016-fading-verdicts.md."""
EPISODE_SECONDS = 14 * 86_400
"""Frauds of one entity further apart than this belong to two episodes."""
MONEY_SECONDS = 86_400
AWAKE_SECONDS = 7 * 86_400
"""A silence is told of for so long after it ended."""

RISK_STEP = 0.1
"""A risk that moved by this much is published."""
YOUNG_SECONDS = 30 * 86_400
DORMANT_DAYS = 30.0
MULE_PAYERS = 5.0


def entity_keys(kinds: NDArray[np.uint8] | int, tokens: NDArray[np.void]) -> Keys:
    """Keys of entities' records, (n, 17): the kind in one byte, then the token. `tokens` (n,) of 16 bytes."""
    keys = np.empty((tokens.size, ENTITY_KEY_BYTES), dtype=np.uint8)
    keys[:, 0] = kinds
    keys[:, 1:] = of_tokens(tokens)
    return keys


def update(activity: NDArray[np.void], states: NDArray[np.void], rows: NDArray[np.int64]) -> None:
    """Move the records `states[rows]` on by `activity`, one row after another, in place."""
    _update(activity["flags"].copy(), activity["event_time"].copy(), activity["amount"].copy(), states, rows)


@compiled
def _update(flags, times, amounts, states, rows):
    for i in range(rows.size):
        move(states[rows[i]], flags[i], times[i], amounts[i])


@compiled
def move(s, flags, time_ms, paise):
    """Move one record on."""
    seconds = np.uint32(time_ms // 1000)
    rupees = paise / 100
    if flags & FRAUD:
        _judged(s, flags, seconds)
        return
    if flags & OUTFLOW:
        s.outs = add_to_buckets(
            s.out_index, s.out_count, s.out_amount, s.outs, seconds // BUCKET_SECONDS, BUCKETS, rupees
        )
    else:
        _received(s, flags, seconds, rupees)
    if s.first_seen == 0:
        s.first_seen = seconds
    s.last_seen = max(s.last_seen, seconds)


@compiled
def _judged(s, flags, seconds):
    """A verdict of fraud: on what the account paid as a victim, or on what it received."""
    if flags & OUTFLOW:
        s.losses += 1
        s.loss_weight = add_fading(s.loss_weight, s.last_loss, seconds, 1.0, VERDICT_SECONDS)
        s.last_loss = max(s.last_loss, seconds)
        return
    s.frauds += 1
    s.fraud_weight = add_fading(s.fraud_weight, s.last_fraud, seconds, 1.0, VERDICT_SECONDS)
    after_last = np.int64(seconds) - np.int64(s.last_fraud)
    before_first = np.int64(s.fraud_since) - np.int64(seconds)
    if s.last_fraud == 0 or after_last > EPISODE_SECONDS or 0 < before_first <= EPISODE_SECONDS:
        s.fraud_since = seconds
    s.last_fraud = max(s.last_fraud, seconds)


@compiled
def _received(s, flags, seconds, rupees):
    """Money came in."""
    silence = np.int64(seconds) - np.int64(s.last_seen) if s.last_seen > 0 else np.int64(0)
    awake = np.int64(seconds) - np.int64(s.woken_at) < AWAKE_SECONDS
    if silence > 0 and (silence > np.int64(s.silence) or not awake):
        s.silence = silence
        s.woken_at = seconds
    s.in_weight = add_fading(s.in_weight, s.last_in, seconds, 1.0, VERDICT_SECONDS)
    s.money_weight = add_fading(s.money_weight, s.last_in, seconds, rupees, MONEY_SECONDS)
    layered = rupees if flags & LAYERED else 0.0
    s.layered_weight = add_fading(s.layered_weight, s.last_in, seconds, layered, MONEY_SECONDS)
    s.last_in = max(s.last_in, seconds)
    s.payments += 1
    s.payers += flags & FIRST_TIME
    s.received += rupees
    s.ins = add_to_buckets(s.in_index, s.in_count, s.in_amount, s.ins, seconds // BUCKET_SECONDS, BUCKETS, rupees)


@compiled
def add_fading(weight, of, now, value, span):
    """A fading sum as of the later of `of`, its time, and `now`, the time of the value that is added; epoch seconds."""
    if now >= of:
        return weight * fade(np.int64(now) - np.int64(of), span) + value
    return weight + value * fade(np.int64(of) - np.int64(now), span)


def publishable(states: NDArray[np.void], rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.void]]:
    """Which of the entities have changed materially since they were last published, and their `VALUES`.

    Material is a step on a scale of half powers of two of payers, or of powers of four of money received in a day, a
    verdict, or a risk that moved by `RISK_STEP`; an entity with one payer and no verdict is no news, unless it had been
    silent for long. Marks those as published.
    """
    values = np.zeros(rows.size, dtype=VALUES)
    changed = np.zeros(rows.size, dtype=np.bool_)
    _publishable(states, rows, values, changed)
    return changed, values


@compiled
def _publishable(states, rows, values, changed):
    for i in range(rows.size):
        changed[i] = publish(states[rows[i]], values[i])


@compiled
def publish(s, v):
    """Write what is published of one record; returns whether it is news, and marks it as published then."""
    now = s.last_seen // BUCKET_SECONDS
    v.updated_at = max(np.int64(s.last_seen), np.int64(s.last_fraud), np.int64(s.last_loss)) * 1000
    v.first_seen = np.int64(s.first_seen) * 1000
    v.last_fraud = np.int64(s.last_fraud) * 1000
    v.payers = s.payers
    v.inflow_count = window(s.in_index, s.in_count, s.ins, now, BUCKETS)
    v.inflow_day = window(s.in_index, s.in_amount, s.ins, now, BUCKETS)
    v.outflow_day = window(s.out_index, s.out_amount, s.outs, now, BUCKETS)
    v.received = s.received
    v.first_time_share = s.payers / max(1, s.payments)
    v.frauds = s.frauds
    v.fraud_weight = s.fraud_weight
    v.fraud_since = np.int64(s.fraud_since) * 1000
    v.loss_weight = s.loss_weight
    v.last_loss = np.int64(s.last_loss) * 1000
    v.fraud_share = _fraud_share(s)
    v.silence_days = s.silence / 86_400 if s.last_in - s.woken_at < AWAKE_SECONDS else 0.0
    v.layered_share = min(1.0, s.layered_weight / s.money_weight) if s.money_weight > 0 else 0.0
    v.risk = _risk(v, s)
    level = np.uint32(0)
    verdicts = s.frauds + s.losses
    if s.payers > 1 or verdicts > 0 or v.silence_days > DORMANT_DAYS:
        payers = np.uint32(2 * np.log2(max(1.0, s.payers)))
        money = np.uint32(np.log2(max(1.0, v.inflow_day / 1000)) / 2)
        woken = np.uint32(128 if v.silence_days > DORMANT_DAYS else 0)
        level = (min(verdicts, np.uint32(65_535)) << np.uint32(16)) | (payers << np.uint32(8)) | woken | money
    moved = abs(v.risk - s.published_risk) >= RISK_STEP
    if level == s.published_level and not moved:
        return False
    s.published_level = level
    s.published_risk = v.risk
    return True


@compiled
def _fraud_share(s):
    """Verdicts over payments received, both as of the later of the two: a busy shop's few frauds are no mule's."""
    now = max(np.int64(s.last_in), np.int64(s.last_fraud))
    frauds = s.fraud_weight * fade(now - np.int64(s.last_fraud), VERDICT_SECONDS)
    payments = s.in_weight * fade(now - np.int64(s.last_in), VERDICT_SECONDS)
    return min(1.0, frauds / (payments + 0.5))


@compiled
def _risk(v, s):
    """0 to 1: verdicts weigh n / (n + 1), fading; a mule's pattern up to 0.8, the product of its signs: money passed
    on, or had from accounts that pass it on; strangers paying, at least `MULE_PAYERS` of them; and an account seen for
    less than a month, or woken after as long."""
    now = max(np.int64(s.last_seen), np.int64(s.last_fraud))
    weight = v.fraud_weight * fade(now - np.int64(s.last_fraud), VERDICT_SECONDS)
    passed = min(1.0, v.outflow_day / v.inflow_day) if v.inflow_day > 0 else 0.0
    moved = max(passed, v.layered_share)
    young = s.last_seen - s.first_seen < YOUNG_SECONDS or v.silence_days > DORMANT_DAYS
    mule = 0.8 * moved * v.first_time_share * min(1.0, v.payers / MULE_PAYERS) * (1.0 if young else 0.5)
    return 1 - (1 - weight / (weight + 1)) * (1 - mule)
