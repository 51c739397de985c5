"""Columns to JSON."""

import msgspec
import polars as pl

from schemas.codec import decode_transaction
from schemas.handbook import KINDS, convert
from simulator import encode as encoding
from simulator.encode import encode


def test_rows_come_out_in_order_without_their_nulls():
    payments = pl.DataFrame(
        {"a": [1, 2, None, 4], "b": ["x", None, None, 'ü"\n'], "c": [None, 2.5, None, 1.0], "d": [None] * 4}
    )
    assert [msgspec.json.decode(record) for record in encode(payments)] == [
        {"a": 1, "b": "x"},
        {"a": 2, "c": 2.5},
        {},
        {"a": 4, "b": 'ü"\n', "c": 1.0},
    ]


def test_with_too_many_patterns_of_nulls_some_are_kept(monkeypatch):
    monkeypatch.setattr(encoding, "MAX_PATTERNS", 1)
    payments = pl.DataFrame({"a": [1, None, 3], "b": [None, 2, 3]})
    assert [{k: v for k, v in msgspec.json.decode(r).items() if v is not None} for r in encode(payments)] == [
        {"a": 1},
        {"b": 2},
        {"a": 3, "b": 3},
    ]


def test_what_was_encoded_decodes_to_the_same_values(history):
    rows = history.payments[:500]
    for record, row in zip(encode(rows), rows.iter_rows(named=True), strict=True):
        payment = decode_transaction(record)
        assert {name: getattr(payment, name) for name in row} == row


def test_an_imported_payment_is_a_valid_transaction():
    table = pl.DataFrame(
        {
            "transaction_id": [7],
            "event_time": [1_530_000_000_000],
            "customer_id": [3],
            "terminal_id": [4],
            "amount": [12.34],
            "fraud": [1],
            "scenario": [2],
        }
    ).with_columns(pl.from_epoch("event_time", time_unit="ms"))
    payments, labels = convert(table, 1000)
    payment = decode_transaction(encode(payments)[0])
    assert (payment.payer, payment.payee, payment.amount) == ("C3", "T4", 1234)
    assert labels.row(0, named=True)["kind"] == KINDS[2]
    assert labels["known_at"][0] == 1_530_000_001_000
