"""The compiled reader of payments says what `schemas.codec` says, or leaves a record to it."""

import json
import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.records import records_of
from models.batch import _LAYOUT, PAYMENT, from_records, from_transactions
from models.tokens import Tokeniser
from schemas.codec import decode_transactions, encode, record_key
from schemas.transaction import Transaction
from simulator.config import SimulationConfig
from simulator.damage import DAMAGES, damage
from simulator.encode import encode as encode_frame
from simulator.simulation import Simulation

EDIT = st.tuples(st.integers(0, 10_000), st.integers(0, 2), st.integers(0, 255))
TOKENISER = Tokeniser(b"k" * 32, version=3)
Parts = Sequence[bytes | None]
FULL = {
    "transaction_id": "HDF1", "event_time": 1_760_000_000_000, "payer": "asha@okbank", "payee": "tea@upi",
    "amount": 12_000, "type": "COLLECT", "purpose": "07", "payee_code": "5411", "payee_type": "ENTITY",
    "ffri": "VERY_HIGH", "rrn": "012345678901", "os_version": 14.1, "latitude": -12.971598765432101, "longitude": 77.0,
    "rooted": True, "emulator": False, "imei": "964420071918714", "ip": "10.0.0.1", "apps_hash": "a" * 64,
    "processor": "", "session_ms": 21847.0, "failed_pins": 0, "currency": "INR", "network_risk_score": None,
}  # fmt: skip


def assert_same(values: Parts, keys: Parts) -> None:
    """Both ways give the same payments, bit for bit, and the same rejects."""
    published = np.arange(len(values)) + 1_760_000_000_000
    batch, rejected = from_records(values, keys, published, TOKENISER)
    transactions, expected = decode_transactions(values, keys)
    good = np.delete(np.arange(len(values)), [reject.index for reject in expected])
    other = from_transactions(transactions, published[good], TOKENISER)
    assert rejected == expected
    assert batch.ids == other.ids
    assert batch.rows.tobytes() == other.rows.tobytes()


def read(values: Parts, keys: Parts) -> np.ndarray:
    """Which of the records the compiled reader takes."""
    rows = np.empty(len(values), dtype=PAYMENT)
    return _LAYOUT.read(values, keys, rows.view(np.float64).reshape(len(rows), -1))[0]


def dumped(fields: object, **options: object) -> bytes:
    return json.dumps(fields, **options).encode()


def test_what_producers_send_is_read():
    frame = next(iter(Simulation(SimulationConfig(3_000, 300, seed=5, days=30.0)).history())).payments
    values, keys = encode_frame(frame), [payer.encode() for payer in frame["payer"]]
    assert read(values, keys).all()
    assert_same(values, keys)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n\t", "\r :  ")])
@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_white_space_is_read(separators, seed):
    items = list(FULL.items())
    random.Random(seed).shuffle(items)
    values = [b" \n" + dumped(dict(items), separators=separators) + b"\t ", dumped(FULL)]
    assert read(values, [b"asha@okbank"] * 2).all()
    assert_same(values, [b"asha@okbank"] * 2)


@given(st.lists(records_of(Transaction), min_size=1, max_size=8))
def test_payments_within_every_limit_are_the_same(payments):
    assert_same([encode(payment) for payment in payments], [record_key(payment) for payment in payments])


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_records_among_good_ones_are_rejected_alike(kind):
    value, key, rng = dumped(FULL), b"asha@okbank", random.Random(7)
    damaged_key, damaged = damage(value, key, kind, rng)
    assert_same([value, damaged, value, None], [key, damaged_key, key, key])


LITERALS = [
    "null", "true", "false", "0", "-0", "-0.0", "1", "01", "1.", ".5", "1.5", "-1.5", "100.0", "1e2", "1E-2", "+1", "-",
    "9007199254740993", "123456789012345678", "1234567890123456789", "99999999999999999999", "12.97159876543210123",
    "0.1000000000000000055511151231257827", "1.7976931348623157", "86400000.0", "1760000000000", "4102444800000",
    "1000000000000", '""', '"a"', '"07"', '"7"', '"0a"', '"5411"', '"PAY"', '"VERY_HIGX"', '"VERY_HIGH"', '"INR"',
    '"\\u0061"', '"a\\"b"', '"ü"', '"\u0000"', '"\x7f"', '"' + "x" * 300 + '"', '"' + "x" * 130 + '"', "nul", "tru",
    "[]", "{}", '{"a": [1]}', '"unended', "NaN", "Infinity", "nulls", "1 2", "\xa01",
]  # fmt: skip


@pytest.mark.parametrize("field", [*(field.name for field in msgspec.structs.fields(Transaction)), "unknown"])
def test_every_field_with_every_kind_of_value_is_the_same(field):
    values = []
    for literal in LITERALS:
        rest = dumped({name: value for name, value in FULL.items() if name != field})[1:-1]
        written = f'"{field}":{literal}'.encode()
        values += [b"{" + rest + b"," + written + b"}", b"{" + written + b"," + rest + b"}"]
        values.append(b"{" + dumped(FULL)[1:-1] + b"," + written + b"}")  # twice, maybe: the last one counts
    for value in values:
        assert_same([value, dumped(FULL)], [b"asha@okbank"] * 2)


@settings(max_examples=300)
@given(edits=st.lists(EDIT, min_size=1, max_size=4))
@example(edits=[(0, 1, 0)])
def test_bytes_changed_at_random_are_judged_alike(edits):
    good = dumped(FULL)
    value = bytearray(good)
    for at, action, byte in edits:
        at %= max(1, len(value))
        if action == 0:
            value[at : at + 1] = bytes([byte])
        elif action == 1:
            del value[at : at + 1]
        else:
            value[at:at] = bytes([byte])
    assert_same([good, bytes(value), good], [b"asha@okbank"] * 3)


@pytest.mark.parametrize("cut", range(0, len(dumped(FULL)), 7))
def test_a_record_cut_off_does_not_run_into_the_next(cut):
    value = dumped(FULL)
    assert_same([value[:cut], value[cut:], value], [b"asha@okbank"] * 3)


@given(st.floats(-90, 90))
@example(5e-324)
@example(8.98846567431158e-308)
def test_a_number_is_the_nearest_double(number):
    value = dumped(FULL | {"latitude": number})
    assert_same([value], [b"asha@okbank"])


@given(st.integers(-(10**17), 10**17), st.integers(1, 17))
def test_long_decimals_are_rounded_as_they_should_be(digits, places):
    whole, fraction = divmod(abs(digits), 10**places)
    text = f"{'-' if digits < 0 else ''}{whole}.{fraction:0{places}d}"
    value = dumped(FULL)[:-1] + f',"latitude":{text}}}'.encode()
    assert_same([value], [b"asha@okbank"])


def test_no_payments():
    batch, rejected = from_records([], [], np.zeros(0, dtype=np.int64), TOKENISER)
    assert len(batch) == 0
    assert rejected == []
