"""Every way a record can be damaged, for tests of what must end among the dead letters.

    damaged_key, damaged_value = damage(value, key, "truncated", random.Random(7))

Each kind turns a good payment's record, whatever is in it, into one that must be rejected: by the codec, or
(`wrong_key`, `null_key`) by the rule that a payment is keyed by its payer.
"""

import json
import random
from collections.abc import Callable
from typing import Any

Value = bytes | None
Fields = dict[str, Any]

REQUIRED = ("transaction_id", "event_time", "payer", "payee", "amount")


def damage(value: bytes, key: bytes | None, kind: str, rng: random.Random) -> tuple[bytes | None, Value]:
    """Key and value of a good record after damage of one kind (see `DAMAGES`)."""
    if kind in _KEYS:
        return _KEYS[kind](key), value
    if kind in _BYTES:
        return key, _BYTES[kind](value, rng)
    fields = json.loads(value)
    return key, _dump(_FIELDS[kind](fields, rng))


def _dump(fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def _raw(value: bytes, field: str, literal: bytes) -> bytes:
    """The record with a field's value written as given, be it JSON or not."""
    fields = json.loads(value)
    fields.pop(field, None)
    return _dump(fields)[:-1] + b',"' + field.encode() + b'":' + literal + b"}"


def _with(**changes: Any) -> Callable[[Fields, random.Random], Fields]:
    return lambda fields, rng: fields | changes


def _without_required(fields: Fields, rng: random.Random) -> Fields:
    missing = rng.choice(REQUIRED)
    return {name: value for name, value in fields.items() if name != missing}


def _number_as_text(fields: Fields, rng: random.Random) -> Fields:
    name = rng.choice(("event_time", "amount"))
    return fields | {name: str(fields[name])}


def _flip_to_binary(value: bytes, rng: random.Random) -> bytes:
    # No JSON document starts with a control character.
    return bytes((rng.randrange(9),)) + rng.randbytes(rng.randint(1, 2 * len(value)))


_KEYS: dict[str, Callable[[bytes | None], bytes | None]] = {
    "wrong_key": lambda key: (key or b"") + b"x",
    "null_key": lambda key: None,
    "empty_key": lambda key: b"",
}
_BYTES: dict[str, Callable[[bytes, random.Random], Value]] = {
    "tombstone": lambda value, rng: None,
    "empty": lambda value, rng: b"",
    "white_space": lambda value, rng: b" \n",
    "not_json": lambda value, rng: b"<ReqPay>" + value,
    "truncated": lambda value, rng: value.rstrip()[: rng.randrange(1, len(value.rstrip()))],
    "trailing_bytes": lambda value, rng: value + rng.choice((b"x", b"\0", b"{}", b",")),
    "two_documents": lambda value, rng: value + value,
    "byte_order_mark": lambda value, rng: b"\xef\xbb\xbf" + value,
    "utf16": lambda value, rng: value.decode().encode("utf-16"),
    "binary_garbage": _flip_to_binary,
    "registry_framed": lambda value, rng: b"\0" + rng.randbytes(4) + value,
    "invalid_utf8": lambda value, rng: _raw(value, "payee", b'"\xff\xfe"'),
    "lone_surrogate": lambda value, rng: _raw(value, "payee", b'"\\ud800"'),
    "control_character": lambda value, rng: _raw(value, "payee", b'"a\nb"'),
    "single_quotes": lambda value, rng: value.replace(b'"', b"'"),
    "nan": lambda value, rng: _raw(value, "latitude", b"NaN"),
    "infinity": lambda value, rng: _raw(value, "amount", b"Infinity"),
    "leading_zero": lambda value, rng: _raw(value, "amount", b"0100"),
    "huge_number": lambda value, rng: _raw(value, "amount", b"9" * 400),
    "huge_exponent": lambda value, rng: _raw(value, "longitude", b"1e999"),
    "fraction": lambda value, rng: _raw(value, "amount", b"100.0"),
    "deep": lambda value, rng: _raw(value, "deep", b"[" * 20_000 + b"]" * 20_000),
    "too_large": lambda value, rng: _raw(value, "padding", b'"' + b"x" * 100_000 + b'"'),
    "array": lambda value, rng: b"[" + value + b"]",
    "json_text": lambda value, rng: json.dumps(value.decode()).encode(),
    "json_null": lambda value, rng: b"null",
}
_FIELDS: dict[str, Callable[[Fields, random.Random], Fields]] = {
    "missing_required": _without_required,
    "null_required": lambda fields, rng: fields | {rng.choice(REQUIRED): None},
    "wrong_type": lambda fields, rng: fields | {rng.choice(REQUIRED): rng.choice(({}, [], True))},
    "number_as_text": _number_as_text,
    "text_as_number": lambda fields, rng: fields | {"payer": 12},
    "flag_as_text": _with(rooted="yes"),
    "negative_amount": lambda fields, rng: fields | {"amount": -fields["amount"]},
    "zero_amount": _with(amount=0),
    "overflowing_amount": _with(amount=2**63),
    "year_9999": _with(event_time=253_402_300_799_000),
    "negative_time": _with(event_time=-1),
    "seconds_for_milliseconds": lambda fields, rng: fields | {"event_time": fields["event_time"] // 1000},
    "bad_enum": _with(currency="USD"),
    "bad_code": _with(payer_code="12a4"),
    "bad_latitude": _with(latitude=90.5),
    "bad_longitude": _with(longitude=-180.5),
    "negative_interval": _with(typing_interval_ms=-1.0),
    "bad_battery": _with(battery_percent=101.0),
    "empty_identifier": lambda fields, rng: fields | {rng.choice(("transaction_id", "payer", "payee")): ""},
    "too_long": lambda fields, rng: fields | {rng.choice(("transaction_id", "payer", "payee")): "x" * 300},
    "nested_payer": _with(payer={"addr": "a@b"}),
}

DAMAGES: tuple[str, ...] = (*_KEYS, *_BYTES, *_FIELDS)
"""Every kind of damage."""
