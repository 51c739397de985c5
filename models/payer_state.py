"""What is remembered of a payer: one record of at most 2 KiB, every history bounded.

Times named `_ms` are epoch milliseconds, other times epoch seconds; amounts rupees; a token is the first 64
bits of a keyed hash, 0 for none. A record of zeros is a payer never seen.
"""

import numpy as np

from models.record_codec import History, RecordCodec

DEVICES, PAYEES, RECENT = 4, 24, 16
FIVE_MINUTES, HOURS, DAYS = 12, 24, 16
"""Velocity is kept in buckets of five minutes, an hour and a day: the last hour, day and fortnight."""

_BUCKET_ARRAYS = [
    (f"{span}_{part}", kind, (size,))
    for span, size in (("five_minute", FIVE_MINUTES), ("hour", HOURS), ("day", DAYS))
    for part, kind in (("index", "u4"), ("amount", "f4"), ("count", "u2"))
]

PAYER = np.dtype(
    [
        # head
        ("last_seen_ms", "i8"),
        ("fix_ms", "i8"),
        ("sim", "u8"),
        ("ip", "u8"),
        ("last_device", "u8"),
        ("first_seen", "u4"),
        ("sim_since", "u4"),
        ("newest_device", "u4"),
        ("payments", "u4"),
        ("fix_latitude", "f4"),
        ("fix_longitude", "f4"),
        ("home_latitude", "f4"),
        ("home_longitude", "f4"),
        ("home_variance_km2", "f4"),
        ("amount_highest", "f4"),
        ("amount_log_mean", "f4"),
        ("amount_log_variance", "f4"),
        ("typing_mean_ms", "f4"),
        ("typing_variance", "f4"),
        ("tap_mean_ms", "f4"),
        ("tap_variance", "f4"),
        ("session_log_mean", "f4"),
        ("session_log_variance", "f4"),
        ("fixes", "u2"),
        ("amounts", "u2"),
        ("typings", "u2"),
        ("taps", "u2"),
        ("sessions", "u2"),
        ("hours_of_day", "u1", (24,)),
        ("recent_next", "u1"),
        ("recents", "u1"),
        ("devices", "u1"),
        ("payees", "u1"),
        ("five_minutes", "u1"),
        ("hours", "u1"),
        ("days", "u1"),
        # histories, of which the counters above tell the used length
        ("recent_id", "u8", (RECENT,)),
        ("recent_digest", "u8", (RECENT,)),
        ("device_token", "u8", (DEVICES,)),
        ("device_hardware", "u8", (DEVICES,)),
        ("device_apps", "u8", (DEVICES,)),
        ("device_fonts", "u8", (DEVICES,)),
        ("device_first", "u4", (DEVICES,)),
        ("device_last", "u4", (DEVICES,)),
        ("device_os_version", "f4", (DEVICES,)),
        ("payee_token", "u8", (PAYEES,)),
        ("payee_first", "u4", (PAYEES,)),
        ("payee_last", "u4", (PAYEES,)),
        ("payee_amount", "f4", (PAYEES,)),
        ("payee_count", "u2", (PAYEES,)),
        *_BUCKET_ARRAYS,
    ]
)

PAYER_CODEC = RecordCodec(
    PAYER,
    version=1,
    histories=(
        History("recents", ("recent_id", "recent_digest")),
        History("devices", tuple(n for n in PAYER.names or () if n.startswith("device_"))),
        History("payees", tuple(n for n in PAYER.names or () if n.startswith("payee_"))),
        History("five_minutes", tuple(n for n in PAYER.names or () if n.startswith("five_minute_"))),
        History("hours", tuple(n for n in PAYER.names or () if n.startswith("hour_"))),
        History("days", tuple(n for n in PAYER.names or () if n.startswith("day_"))),
    ),
)
