"""Transaction: the amount, the payee, the hour and the haste, against what this payer usually does."""

import math

import numpy as np

from models.features.common import DAY_SECONDS, NAN, deviations, find, hour_in_india, since, window
from models.jit import compiled
from models.payer_state import DAYS, FIVE_MINUTES, HOURS

LIMITS_RUPEES = np.array([2_000.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0, 100_000.0])
AMOUNT_MEMORY = 100
LOG_AMOUNT_FLOOR = 0.25
ROBUST_AFTER, ROBUST_DEVIATIONS = 5, 3.0
"""Once so many amounts are known, one that lies further off moves the mean as if it lay that far: what a thief takes
must not become the customer's usual."""


@compiled
def transaction_features(f, p, s, r, time_ms):
    """Write the transaction group of payment `p` into `f`, from the payer's record `s` and entity risk `r`."""
    rupees = p.amount / 100
    _amount(f, p, s, rupees)
    _time(f, s, time_ms)
    _velocity(f, s, time_ms, rupees)
    _payee(f, p, s, time_ms, rupees)
    f.collect_request = p.collect
    f.initiation_mode = p.initiation_mode
    f.purpose = p.purpose
    f.payee_merchant = p.payee_merchant
    f.payee_code = p.payee_code
    joined = p.payer_registered_at if not np.isnan(p.payer_registered_at) else s.first_seen * 1000.0
    f.payer_age_days = max(0.0, time_ms - joined) / 86_400_000 if joined > 0 else 0.0
    f.payee_payers = r.payee_payers
    f.payee_inflow_day_rupees = r.payee_inflow_day_rupees
    f.payee_passthrough = r.payee_passthrough
    f.payee_first_time_share = r.payee_first_time_share
    f.payee_silence_days = r.payee_silence_days
    f.payee_layered_share = r.payee_layered_share
    f.payee_frauds = r.payee_frauds
    f.payee_fraud_share = r.payee_fraud_share
    f.payee_fraud_days = r.payee_fraud_days
    f.payee_risk = r.payee_risk
    f.payer_received_day_rupees = r.payer_received_day_rupees
    f.payer_losses = r.payer_losses
    f.payer_risk = r.payer_risk
    f.payee_mule_flag = p.payee_mule_flag
    f.payee_ffri = p.ffri
    f.network_risk_score = p.network_risk_score


@compiled
def _amount(f, p, s, rupees):
    f.amount_rupees = rupees
    f.amount_deviations = deviations(
        math.log(rupees), s.amount_log_mean, s.amount_log_variance, s.amounts, LOG_AMOUNT_FLOOR
    )
    f.amount_of_highest = rupees / s.amount_highest if s.amounts > 0 else NAN
    f.amount_usual_rupees = math.exp(s.amount_log_mean) if s.amounts > 0 else NAN
    f.under_limit = 0.0
    for limit in LIMITS_RUPEES:
        if 0.95 * limit <= rupees < limit:
            f.under_limit = 1.0


@compiled
def _time(f, s, time_ms):
    hour = hour_in_india(time_ms)
    f.hour_of_day = hour
    total = 0
    for h in range(24):
        total += s.hours_of_day[h]
    near = int(s.hours_of_day[(hour + 23) % 24]) + int(s.hours_of_day[hour]) + int(s.hours_of_day[(hour + 1) % 24])
    f.hour_share = near / total if total >= 5 else NAN
    f.minutes_since_last = max(0.0, time_ms - s.last_seen_ms) / 60_000 if s.payments > 0 else NAN


@compiled
def _velocity(f, s, time_ms, rupees):
    seconds = int(time_ms // 1000)
    five, hour, day = seconds // 300, seconds // 3600, seconds // DAY_SECONDS
    f.payments_10min = 1 + window(s.five_minute_index, s.five_minute_count, s.five_minutes, five, 2)
    f.payments_hour = 1 + window(s.five_minute_index, s.five_minute_count, s.five_minutes, five, FIVE_MINUTES)
    f.payments_day = 1 + window(s.hour_index, s.hour_count, s.hours, hour, HOURS)
    f.amount_hour_rupees = rupees + window(
        s.five_minute_index, s.five_minute_amount, s.five_minutes, five, FIVE_MINUTES
    )
    f.amount_day_rupees = rupees + window(s.hour_index, s.hour_amount, s.hours, hour, HOURS)
    f.amount_week_rupees = rupees + window(s.day_index, s.day_amount, s.days, day, 7)
    payments_week = 1 + window(s.day_index, s.day_count, s.days, day, 7)
    f.amount_week_ratio = f.amount_week_rupees / payments_week / math.exp(s.amount_log_mean) if s.amounts > 0 else NAN


@compiled
def _payee(f, p, s, time_ms, rupees):
    known = find(s.payee_token, s.payees, p.payee)
    f.payee_first = 1.0 if known < 0 else 0.0
    f.payee_age_days = since(time_ms, s.payee_first[known]) / DAY_SECONDS if known >= 0 else 0.0
    f.payee_payments = s.payee_count[known] if known >= 0 else 0.0
    f.payee_amount_ratio = rupees / (s.payee_amount[known] / s.payee_count[known]) if known >= 0 else NAN
    new = 1.0 if known < 0 else 0.0
    for k in range(np.int64(s.payees)):
        if since(time_ms, s.payee_first[k]) < DAY_SECONDS:
            new += 1.0
    f.new_payees_day = new


@compiled
def remember_transaction(s, p, time_ms):
    """Move amounts, hours, velocity and payees on to this payment; the payee paid longest ago makes room."""
    rupees = p.amount / 100
    seconds = int(time_ms // 1000)
    delta = math.log(rupees) - s.amount_log_mean
    if s.amounts >= ROBUST_AFTER:
        most = ROBUST_DEVIATIONS * math.sqrt(s.amount_log_variance + LOG_AMOUNT_FLOOR * LOG_AMOUNT_FLOOR)
        delta = min(max(delta, -most), most)
    s.amounts = min(s.amounts + 1, AMOUNT_MEMORY)
    weight = 1.0 / s.amounts
    s.amount_log_mean += weight * delta
    s.amount_log_variance = (1 - weight) * (s.amount_log_variance + weight * delta * delta)
    s.amount_highest = max(s.amount_highest, np.float32(rupees))
    _remember_hour(s, hour_in_india(time_ms))
    s.five_minutes = add_to_buckets(
        s.five_minute_index,
        s.five_minute_count,
        s.five_minute_amount,
        s.five_minutes,
        seconds // 300,
        FIVE_MINUTES,
        rupees,
    )
    s.hours = add_to_buckets(s.hour_index, s.hour_count, s.hour_amount, s.hours, seconds // 3600, HOURS, rupees)
    s.days = add_to_buckets(s.day_index, s.day_count, s.day_amount, s.days, seconds // DAY_SECONDS, DAYS, rupees)
    k = find(s.payee_token, s.payees, p.payee)
    if k < 0:
        if s.payees < s.payee_token.size:
            k = np.int64(s.payees)
            s.payees += 1
        else:
            k = int(np.argmin(s.payee_last))
        s.payee_token[k] = p.payee
        s.payee_first[k] = seconds
        s.payee_last[k] = 0
        s.payee_count[k] = 0
        s.payee_amount[k] = 0
    s.payee_last[k] = max(s.payee_last[k], np.uint32(seconds))
    s.payee_count[k] = min(s.payee_count[k] + 1, 65_535)
    s.payee_amount[k] += rupees


@compiled
def _remember_hour(s, hour):
    """Count an hour of the day; at the counter's end all are halved, so that old habits fade."""
    if s.hours_of_day[hour] == 255:
        for h in range(24):
            s.hours_of_day[h] //= 2
    s.hours_of_day[hour] += 1


@compiled
def add_to_buckets(index, count, amount, used, now, span, rupees):
    """Add a payment to bucket number `now`, dropping buckets older than `span`; returns how many are used.

    A payment older than everything kept is not counted: its window has passed.
    """
    newest = now
    for k in range(np.int64(used)):
        newest = max(newest, np.int64(index[k]))
    kept, found = 0, False
    for k in range(np.int64(used)):
        if np.int64(index[k]) > newest - span:
            index[kept], count[kept], amount[kept] = index[k], count[k], amount[k]
            if np.int64(index[kept]) == now:
                count[kept] = min(count[kept] + 1, 65_535)
                amount[kept] += rupees
                found = True
            kept += 1
    if not found and now > newest - span:
        index[kept], count[kept], amount[kept] = now, 1, rupees
        kept += 1
    return kept
