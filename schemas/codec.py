"""The wire: the module that says what a record is, in JSON. `models.payment_reader` knows it too, for payments only.

Another encoding (Avro framed for a schema registry) would join here, told apart by its first byte: a JSON
record starts with `{` or white space, a framed one with 0.

What a reader may rely on, each held by a test: fields it does not know are ignored, so that a producer may
add some; a number in quotes, a float where an integer belongs (100.0), NaN and Infinity are rejected; of a
key given twice the last one counts; white space around the object is fine, a byte order mark is not.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec

from schemas.alert import Alert
from schemas.dead_letter import RejectCode
from schemas.entity_list import ListEntry
from schemas.entity_risk import EntityRisk
from schemas.errors import DecodeError
from schemas.label import Label
from schemas.transaction import Transaction

MAX_VALUE_BYTES = 65_536
"""A payment is about 1 KB; anything above this limit is rejected unread."""

T = TypeVar("T")


class Rejected(NamedTuple):
    """A record of a batch that could not be read: its index there, why, and in words without its values."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    code: RejectCode
    message: str


_encode = msgspec.json.Encoder().encode
_transaction = msgspec.json.Decoder(Transaction).decode
_alert = msgspec.json.Decoder(Alert)
_label = msgspec.json.Decoder(Label)
_entity_risk = msgspec.json.Decoder(EntityRisk)
_list_entry = msgspec.json.Decoder(ListEntry)


def encode(record: msgspec.Struct) -> bytes:
    """A record's value."""
    return _encode(record)


def record_key(transaction: Transaction) -> bytes:
    """The key a payment must be published with."""
    return transaction.payer.encode()


def check_key(transaction: Transaction, key: bytes | None) -> None:
    """A payment is keyed by its payer, or its state would be on another partition. Raises DecodeError."""
    if key != record_key(transaction):
        raise DecodeError("wrong_key", "the record's key is not its payer")


def decode_transaction(value: bytes | None) -> Transaction:
    """The payment in a record's value. Raises DecodeError."""
    if not value:
        raise DecodeError("empty", "the record has no value")
    if len(value) > MAX_VALUE_BYTES:
        raise DecodeError("too_large", f"the value has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
    try:
        return _transaction(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _reject(error) from None


def decode_transactions(
    values: Sequence[bytes | None], keys: Sequence[bytes | None] | None = None
) -> tuple[list[Transaction], list[Rejected]]:
    """The payments of a batch in order, and the records that are none (with `keys`: or not their payer's).

    Every index is in exactly one of the two. Fast when all are good; otherwise read one by one.
    """
    try:
        if values and max(map(len, values)) <= MAX_VALUE_BYTES:  # type: ignore[arg-type]  # None: TypeError
            good = [_transaction(value) for value in values]  # type: ignore[arg-type]
            if keys is None or list(keys) == [transaction.payer.encode() for transaction in good]:
                return good, []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
        pass  # one by one, then
    return _decode_one_by_one(values, keys)


def _decode_one_by_one(
    values: Sequence[bytes | None], keys: Sequence[bytes | None] | None
) -> tuple[list[Transaction], list[Rejected]]:
    good, rejected = [], []
    for index, value in enumerate(values):
        try:
            transaction = decode_transaction(value)
            if keys is not None:
                check_key(transaction, keys[index])
            good.append(transaction)
        except DecodeError as error:
            rejected.append(Rejected(index, error.code, str(error)))  # type: ignore[arg-type]
    return good, rejected


def decode_alert(value: bytes) -> Alert:
    """Raises DecodeError."""
    return _decode(_alert, value)


def decode_label(value: bytes) -> Label:
    """Raises DecodeError."""
    return _decode(_label, value)


def decode_entity_risk(value: bytes) -> EntityRisk:
    """Raises DecodeError."""
    return _decode(_entity_risk, value)


def decode_list_entry(value: bytes) -> ListEntry:
    """Raises DecodeError."""
    return _decode(_list_entry, value)


def _decode(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    if not value:
        raise DecodeError("empty", "the record has no value")
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _reject(error) from None


_ENUM_VALUE = re.compile(r"^Invalid enum value .* - at `(\$[^`]*)`$", re.DOTALL)


def _reject(error: Exception) -> DecodeError:
    """The typed error for one of msgspec's. Theirs quote the value of an enum: that one is left out."""
    if isinstance(error, msgspec.ValidationError):
        enum = _ENUM_VALUE.match(str(error))
        message = f"Value is not one of those allowed - at `{enum[1]}`" if enum else str(error)
        return DecodeError("invalid_field", message)
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("invalid_utf8", f"a text is not UTF-8: {error.reason}")
    if isinstance(error, RecursionError):
        return DecodeError("malformed_json", "JSON is nested too deeply")
    return DecodeError("malformed_json", str(error))
