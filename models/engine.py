"""The engine: a pure function of payment, payer's record and entity risk. Live, training and replay all run it.

Payments are judged one after another in the order given, so that a payer's second payment sees the first; nothing
depends on how they were cut into batches or on who else is in one. Event time only, no clock.
"""

import numpy as np
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES, FEATURES
from models.features.behaviour import behaviour_features, remember_behaviour
from models.features.common import find
from models.features.device import device_features, remember_device
from models.features.location import location_features, remember_location
from models.features.transaction import remember_transaction, transaction_features
from models.jit import compiled
from schemas.types import AHEAD_MS as AHEAD_MS

RISK = np.dtype(
    [
        (name, "f4")
        for name in (
            "payee_payers",
            "payee_inflow_day_rupees",
            "payee_passthrough",
            "payee_first_time_share",
            "payee_frauds",
            "payee_fraud_share",
            "payee_fraud_days",
            "payee_silence_days",
            "payee_layered_share",
            "payee_risk",
            "device_payers",
            "device_frauds",
            "sim_payers",
            "payer_received_day_rupees",
            "payer_losses",
            "payer_risk",
        )
    ]
)
"""Entity risk as one payment sees it; NaN for an entity that is not known. See `models.entity_state`."""

# Bits of a payment's status
DUPLICATE = 1
"""Id and content are among the payer's last: counted and alerted once."""
ID_CONFLICT = 2
"""The id is among the payer's last, with other content."""
LATE = 4
"""Before the payer's last payment in event time."""
CLAMPED = 8
"""Event time lay more than five minutes ahead of publication and was set to it."""
FIRST_PAYEE = 16
NEW_DEVICE = 32
NEW_SIM = 64
REDO = 128
"""Set by the caller: the payer's record holds this payment already. It is scored, the record stays. Its features are
those of one who paid it before, and whether it is a duplicate cannot be told: its own trace is in the record."""

TTL_MS = 400 * 86_400_000
"""A payer unseen for longer is unknown again."""


def compute(
    payments: NDArray[np.void],
    states: NDArray[np.void],
    rows: NDArray[np.int64],
    risk: NDArray[np.void],
    status: NDArray[np.uint8],
) -> NDArray[np.float32]:
    """Features of `payments` (n,) of PAYMENT as an (n, 85) matrix; `states[rows]` are the payers' records.

    Moves the records on and adds to `status` (n,), in place.
    """
    features = np.empty(payments.size, dtype=FEATURES)
    judge(payments, states, rows, risk, status, features)
    return features.view(np.float32).reshape(payments.size, len(FEATURE_NAMES))


@compiled
def judge(payments, states, rows, risk, status, features):
    """`compute` for compiled callers; writes to `features` (n,) of FEATURES."""
    for i in range(payments.size):
        p, s, r, f = payments[i], states[rows[i]], risk[i], features[i]
        time_ms = p.event_time
        bits = status[i]
        if time_ms > p.published + AHEAD_MS:
            time_ms = p.published
            bits |= CLAMPED
        if s.payments > 0 and time_ms - s.last_seen_ms > TTL_MS:
            _forget(s)
        digest = content_digest(p)
        if bits & REDO == 0:
            bits |= _recognise(s, p.id, digest)
        if time_ms < s.last_seen_ms:
            bits |= LATE
        if find(s.payee_token, s.payees, p.payee) < 0:
            bits |= FIRST_PAYEE
        if p.device != 0 and find(s.device_token, s.devices, p.device) < 0:
            bits |= NEW_DEVICE
        if p.sim != 0 and p.sim != s.sim:
            bits |= NEW_SIM
        status[i] = bits
        device_features(f, p, s, r, time_ms)
        location_features(f, p, s, time_ms)
        transaction_features(f, p, s, r, time_ms)
        behaviour_features(f, p, s)
        if bits & (DUPLICATE | REDO) == 0:
            _remember(s, p, time_ms, digest)


@compiled
def _remember(s, p, time_ms, digest):
    remember_device(s, p, time_ms)
    remember_location(s, p, time_ms)
    remember_transaction(s, p, time_ms)
    remember_behaviour(s, p)
    if s.payments == 0:
        s.first_seen = np.uint32(time_ms // 1000)
    s.payments = min(s.payments + 1, 4_294_967_295)
    s.last_seen_ms = max(s.last_seen_ms, int(time_ms))
    k = np.int64(s.recent_next)
    s.recent_id[k] = p.id
    s.recent_digest[k] = digest
    s.recent_next = (k + 1) % s.recent_id.size
    s.recents = max(s.recents, k + 1)


@compiled
def _recognise(s, identity, digest):
    """DUPLICATE or ID_CONFLICT if the payment's id is among the payer's last, else 0."""
    found = 0
    for k in range(np.int64(s.recents)):
        if s.recent_id[k] == identity:
            if s.recent_digest[k] == digest:
                return DUPLICATE
            found = ID_CONFLICT
    return found


@compiled
def content_digest(p):
    """64 bits over what makes a payment this one: payee, amount, time, device and kind (splitmix64's finaliser)."""
    digest = np.uint64(0x9E3779B97F4A7C15)
    for part in (
        p.payee,
        p.payee_low,
        p.device,
        np.uint64(p.amount),
        np.uint64(p.event_time),
        np.uint64(1 if p.collect == 1 else 0),
    ):
        digest = (digest ^ part) * np.uint64(0xBF58476D1CE4E5B9)
        digest ^= digest >> np.uint64(31)
        digest *= np.uint64(0x94D049BB133111EB)
        digest ^= digest >> np.uint64(29)
    return digest


@compiled
def _forget(s):
    """Make a record one of a payer never seen. What the counters leave unused is never read, nor kept."""
    s.last_seen_ms = 0
    s.fix_ms = 0
    s.sim = 0
    s.ip = 0
    s.last_device = 0
    s.first_seen = 0
    s.sim_since = 0
    s.newest_device = 0
    s.payments = 0
    s.fix_latitude = 0
    s.fix_longitude = 0
    s.home_latitude = 0
    s.home_longitude = 0
    s.home_variance_km2 = 0
    s.amount_highest = 0
    s.amount_log_mean = 0
    s.amount_log_variance = 0
    s.typing_mean_ms = 0
    s.typing_variance = 0
    s.tap_mean_ms = 0
    s.tap_variance = 0
    s.session_log_mean = 0
    s.session_log_variance = 0
    s.fixes = 0
    s.amounts = 0
    s.typings = 0
    s.taps = 0
    s.sessions = 0
    s.hours_of_day[:] = 0
    s.recent_next = 0
    s.recents = 0
    s.devices = 0
    s.payees = 0
    s.five_minutes = 0
    s.hours = 0
    s.days = 0
