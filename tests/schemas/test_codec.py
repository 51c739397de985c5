"""The wire: what is accepted, what is rejected, and what an error may say."""

import json
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.alert import Alert
from schemas.dead_letter import REJECT_CODES
from schemas.entity_list import ListEntry
from schemas.entity_risk import EntityRisk
from schemas.errors import DecodeError
from schemas.label import Label
from schemas.transaction import Transaction
from simulator.damage import DAMAGES, damage

DECODERS = {
    Transaction: codec.decode_transaction,
    Alert: codec.decode_alert,
    Label: codec.decode_label,
    EntityRisk: codec.decode_entity_risk,
    ListEntry: codec.decode_list_entry,
}

SECRET = "asha.rao@okbank"


@pytest.mark.parametrize("record", DECODERS, ids=lambda record: record.__name__)
@given(st.data())
def test_every_record_within_its_limits_survives_the_wire(strategy, record, data):
    written = data.draw(strategy(record))
    assert DECODERS[record](codec.encode(written)) == written


@pytest.mark.parametrize("record", DECODERS, ids=lambda record: record.__name__)
@given(value=st.binary(max_size=200))
def test_arbitrary_bytes_raise_a_typed_error_and_no_other(record, value):
    with pytest.raises(DecodeError) as caught:
        DECODERS[record](value)
    assert caught.value.code in REJECT_CODES


@pytest.mark.parametrize("kind", DAMAGES)
@settings(max_examples=10)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_every_kind_of_damage_is_rejected_whatever_the_payment(strategy, kind, data, seed):
    payment = data.draw(strategy(Transaction))
    value, key = codec.encode(payment), codec.record_key(payment)
    damaged_key, damaged_value = damage(value, key, kind, random.Random(seed))
    good, rejected = codec.decode_transactions([damaged_value], [damaged_key])
    assert good == []
    assert [reject.index for reject in rejected] == [0]
    assert rejected[0].code in REJECT_CODES


def test_a_mixed_batch_gives_the_good_ones_in_order_and_names_the_bad_ones(payment):
    rng = random.Random(3)
    good_value, key = codec.encode(payment), codec.record_key(payment)
    records, bad = [], {}
    for kind in DAMAGES:
        records += [(key, good_value), damage(good_value, key, kind, rng)]
        bad[len(records) - 1] = kind
    good, rejected = codec.decode_transactions([v for _, v in records], [k for k, _ in records])
    assert good == [payment] * len(DAMAGES)
    assert [reject.index for reject in rejected] == list(bad)


def test_a_good_batch_and_its_records_one_by_one_are_the_same(payment):
    values = [codec.encode(msgspec.structs.replace(payment, amount=n)) for n in range(1, 20)]
    assert codec.decode_transactions(values) == ([codec.decode_transaction(value) for value in values], [])
    assert codec.decode_transactions([]) == ([], [])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("tombstone", "empty"),
        ("empty", "empty"),
        ("truncated", "malformed_json"),
        ("deep", "malformed_json"),
        ("nan", "malformed_json"),
        ("invalid_utf8", "invalid_utf8"),
        ("fraction", "invalid_field"),
        ("huge_number", "invalid_field"),
        ("missing_required", "invalid_field"),
        ("too_large", "too_large"),
        ("wrong_key", "wrong_key"),
        ("null_key", "wrong_key"),
    ],
)
def test_a_reject_says_which_kind_it_is(payment, kind, code):
    key, value = damage(codec.encode(payment), codec.record_key(payment), kind, random.Random(1))
    _, (reject,) = codec.decode_transactions([value], [key])
    assert reject.code == code


def _body(payment: Transaction, **changes: object) -> bytes:
    return json.dumps(msgspec.to_builtins(payment) | changes).encode()


def test_unknown_fields_are_ignored_whatever_they_hold(payment):
    value = _body(payment, loyalty={"points": [1, {"deep": None}]}, weight=10**40)
    assert codec.decode_transaction(value) == payment


def test_optional_fields_may_be_null_and_absent_alike(payment):
    assert codec.decode_transaction(_body(payment, latitude=None, rooted=None)) == payment


def test_of_a_field_given_twice_the_last_one_counts(payment):
    value = codec.encode(payment)[:-1] + b',"amount":77}'
    assert codec.decode_transaction(value).amount == 77


def test_white_space_around_a_record_is_fine(payment):
    assert codec.decode_transaction(b" \r\n\t" + codec.encode(payment) + b"\n") == payment


def test_a_whole_number_may_stand_where_a_fraction_could(payment):
    assert codec.decode_transaction(_body(payment, os_version=14)).os_version == 14.0


@pytest.mark.parametrize("code", ["1234\n", "12345", "१२३४", "12 4"])
def test_a_code_is_its_digits_and_nothing_else(payment, code):
    with pytest.raises(DecodeError, match="payer_code"):
        codec.decode_transaction(_body(payment, payer_code=code))


@pytest.mark.parametrize("field", Transaction.__struct_fields__)
@pytest.mark.parametrize("poison", [[SECRET], {SECRET: SECRET}, SECRET * 40])
def test_an_error_never_repeats_what_the_record_said(payment, field, poison):
    with pytest.raises(DecodeError, match=field) as caught:
        codec.decode_transaction(_body(payment, **{field: poison}))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_error_names_the_field_and_the_rule(payment):
    with pytest.raises(DecodeError, match=r"`int` >= 1 - at `\$.amount`"):
        codec.decode_transaction(_body(payment, amount=0))
    with pytest.raises(DecodeError, match=r"not one of those allowed - at `\$.currency`"):
        codec.decode_transaction(_body(payment, currency="my secret"))


@given(st.data())
def test_an_alert_of_a_build_without_summaries_is_read(strategy, data):
    alert = data.draw(strategy(Alert))
    older = msgspec.to_builtins(alert)
    del older["summary"]
    assert codec.decode_alert(json.dumps(older).encode()) == msgspec.structs.replace(alert, summary=None)


@given(st.data())
def test_a_build_that_knows_no_summaries_reads_past_them(strategy, data):
    known = [field for field in msgspec.structs.fields(Alert) if field.name != "summary"]
    older = msgspec.defstruct(
        "Alert", [(f.name, f.type, *([] if f.required else [f.default])) for f in known], kw_only=True
    )
    alert = data.draw(strategy(Alert))
    read = msgspec.json.decode(codec.encode(alert), type=older)
    assert msgspec.to_builtins(read) | {"summary": alert.summary} == msgspec.to_builtins(alert)
