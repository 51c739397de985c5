"""A payer's record as people read it, and as JSON."""

from typing import Any

import numpy as np

from fraudstream.times import show_time
from models.payer_state import PAYER

HISTORIES = {
    "recents": "recent_",
    "devices": "device_",
    "payees": "payee_",
    "five_minutes": "five_minute_",
    "hours": "hour_",
    "days": "day_",
}
"""By counter, how its arrays' names begin."""
SHOWN_PAYEES = 5


def as_dict(record: np.void) -> dict[str, Any]:
    """Every field; a history as a list of as many entries as it has, tokens and digests as 16 hexadecimal digits."""
    arrays = {
        counter: [name for name in PAYER.names or () if name.startswith(prefix) and PAYER[name].shape]
        for counter, prefix in HISTORIES.items()
    }
    kept_apart = {name for names in arrays.values() for name in names} | HISTORIES.keys()
    fields = {name: _plain(record[name]) for name in PAYER.names or () if name not in kept_apart}
    for counter, prefix in HISTORIES.items():
        fields[counter] = [
            {name.removeprefix(prefix): _plain(record[name][i]) for name in arrays[counter]}
            for i in range(int(record[counter]))
        ]
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, np.uint64):
        return f"{int(value):016x}"
    return value.tolist()


def facts(record: np.void) -> list[tuple[str, str]]:
    """What it says, in words."""
    fields = as_dict(record)
    facts = [
        ("payments", f"{fields['payments']:,}"),
        ("first seen", _moment(1000 * fields["first_seen"])),
        ("last seen", _moment(fields["last_seen_ms"])),
        ("amounts", _amounts(fields)),
        ("home", _home(fields)),
        ("last fix", _fix(fields)),
        ("SIM", f"{fields['sim']} since {_moment(1000 * fields['sim_since'])}" if int(fields["sim"], 16) else "none"),
    ]
    facts += [
        (f"device {number}", f"{each['token']}, {_moment(1000 * each['first'])} to {_moment(1000 * each['last'])}")
        for number, each in enumerate(fields["devices"], 1)
    ]
    payees = sorted(fields["payees"], key=lambda payee: -payee["count"])
    facts.append(("payees", f"{len(payees)} remembered" + (", most often:" if payees else "")))
    for payee in payees[:SHOWN_PAYEES]:
        text = f"{payee['count']} payments, ₹{payee['amount']:,.2f}, last {_moment(1000 * payee['last'])}"
        facts.append(("", f"{payee['token']}: {text}"))
    facts.append(("payment ids", f"the last {len(fields['recents'])} are known, to tell duplicates"))
    return facts


def _moment(epoch_ms: int) -> str:
    return show_time(epoch_ms) if epoch_ms else "never"


def _amounts(fields: dict[str, Any]) -> str:
    if not fields["amounts"]:
        return "none"
    return f"typically ₹{float(np.exp(fields['amount_log_mean'])):,.2f}, at most ₹{fields['amount_highest']:,.2f}"


def _home(fields: dict[str, Any]) -> str:
    if not fields["fixes"]:
        return "unknown"
    spread = float(np.sqrt(fields["home_variance_km2"]))
    return f"{fields['home_latitude']:.3f}, {fields['home_longitude']:.3f}, within about {spread:,.1f} km"


def _fix(fields: dict[str, Any]) -> str:
    if not fields["fix_ms"]:
        return "none"
    return f"{fields['fix_latitude']:.3f}, {fields['fix_longitude']:.3f} at {_moment(fields['fix_ms'])}"
