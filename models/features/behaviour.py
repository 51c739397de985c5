"""Behaviour: the rhythm of typing and tapping, the session, and signs that someone else is steering."""

import math

import numpy as np

from models.features.common import NAN, deviations
from models.jit import compiled

RHYTHM_MEMORY = 50
TYPING_FLOOR_MS = 5.0
TAP_FLOOR_MS = 20.0
LOG_SESSION_FLOOR = 0.1


@compiled
def behaviour_features(f, p, s):
    """Write the behaviour group of payment `p` into `f`, from the payer's record `s`."""
    f.typing_interval_ms = p.typing_interval_ms
    f.typing_usual_ms = s.typing_mean_ms if s.typings > 0 else NAN
    f.typing_deviations = deviations(
        p.typing_interval_ms, s.typing_mean_ms, s.typing_variance, s.typings, TYPING_FLOOR_MS
    )
    f.typing_deviation_ms = p.typing_deviation_ms
    f.tap_interval_ms = p.tap_interval_ms
    f.tap_deviations = deviations(p.tap_interval_ms, s.tap_mean_ms, s.tap_variance, s.taps, TAP_FLOOR_MS)
    f.session_seconds = p.session_ms / 1000
    f.session_deviations = deviations(
        math.log1p(p.session_ms), s.session_log_mean, s.session_log_variance, s.sessions, LOG_SESSION_FLOOR
    )
    f.pasted = p.pasted
    f.screen_shared = p.screen_shared
    f.on_call = p.on_call
    f.failed_pins = p.failed_pins


@compiled
def remember_behaviour(s, p):
    """Move the payer's rhythms on to this payment: running means that forget after `RHYTHM_MEMORY` sessions."""
    s.typings, s.typing_mean_ms, s.typing_variance = _move(
        s.typings, s.typing_mean_ms, s.typing_variance, p.typing_interval_ms
    )
    s.taps, s.tap_mean_ms, s.tap_variance = _move(s.taps, s.tap_mean_ms, s.tap_variance, p.tap_interval_ms)
    s.sessions, s.session_log_mean, s.session_log_variance = _move(
        s.sessions, s.session_log_mean, s.session_log_variance, math.log1p(p.session_ms)
    )


@compiled
def _move(seen, mean, variance, value):
    """Welford's running mean and variance, exponentially weighted once the memory is full."""
    if np.isnan(value):
        return seen, mean, variance
    seen = min(seen + 1, RHYTHM_MEMORY)
    weight = 1.0 / seen
    delta = value - mean
    return seen, np.float32(mean + weight * delta), np.float32((1 - weight) * (variance + weight * delta * delta))
