"""Payments from JSON straight into columns, compiled: no object is made of a payment, no interpreter lock held.

Reads what payments look like in practice, and leaves everything else to `schemas.codec`, which alone decides what a
payment is: whatever is not certain here (an escape, a text that is not ASCII, an exponent, nested values in unknown
fields, anything wrong) is not read, rather than read differently. Fields and limits follow from
`schemas.transaction.Transaction` itself; property tests hold both readers equal.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from models.hashing import MAX_XXH3
from models.jit import byte_at, compiled, eight_at, trailing_zeros
from schemas.codec import MAX_VALUE_BYTES
from schemas.transaction import Transaction

STRINGS = ("transaction_id", "payer", "payee", "device_id", "sim_id", "imei", "mac", "processor", "ip", "apps_hash",
           "fonts_hash")  # fmt: skip
"""Texts whose place in the buffer is noted."""
DIGESTED = ("transaction_id", "apps_hash", "fonts_hash")
PADDING = 32
"""Bytes behind the last record, so that looking ahead stays inside."""
_TEXT, _DIGITS, _CHOICE, _BOOL, _INT, _FLOAT = range(6)

NAME_WORDS = 3
"""A name of up to 23 letters is compared with the quote behind it, 8 bytes at a time."""
FIELD = np.dtype(
    [
        ("name", "u8", (NAME_WORDS,)),
        ("mask", "u8", (NAME_WORDS,)),
        ("name_size", "i4"),  # with the quote
        ("kind", "i4"),
        ("column", "i4"),  # of the row, or -1
        ("string", "i4"),  # number in STRINGS, or -1
        ("nullable", "u1"),
        ("required", "u8"),  # a bit of its own, or 0
        ("lowest", "f8"),  # of the number, or of the text's length
        ("highest", "f8"),
        ("first_choice", "i4"),
        ("last_choice", "i4"),
    ]
)
CHOICE = np.dtype([("name", "u8", (NAME_WORDS,)), ("mask", "u8", (NAME_WORDS,)), ("value", "f8")])
SLOTS = 256
"""Of the hash table of names, a power of two."""

SPACE = np.isin(np.arange(256), list(b" \t\n\r"))
OPENED, CLOSED, QUOTE, COLON, COMMA, MINUS, POINT, ZERO, NULLS, TRUES, FALSES = b'{}":,-.0ntf'
NULL, TRUE, FALSE = (np.uint64(int.from_bytes(word, "little")) for word in (b"null", b"true", b"false"))
ONES, HIGHS, SPACES, QUOTES, SLASHES, MANY = (
    np.uint64(byte * 0x0101010101010101) for byte in (0x01, 0x80, ord(" "), ord('"'), ord("\\"), 0xFF)
)
"""A byte, eight times."""
TENS = 10.0 ** np.arange(19)
MAX_DIGITS = 18
SPLITTER = 134_217_729.0  # 2^27 + 1
SURE = 2.0**-40


class Layout:
    """How a `Transaction` is read: its fields, and the column of a row that each number goes to.

    `columns` has the column of each field that is taken as a number, `numbering` what a field's texts are as numbers.
    """

    def __init__(self, columns: dict[str, int], numbering: dict[str, dict[Any, float]]) -> None:
        info = inspect.type_info(Transaction)
        assert isinstance(info, inspect.StructType)
        self.fields = np.zeros(len(info.fields), dtype=FIELD)
        choices: list[Any] = []
        for i, field in enumerate(info.fields):
            given = _described(field)
            row = self.fields[i]
            row["name"], row["mask"], row["name_size"] = _named(field.encode_name)
            row["kind"], row["lowest"], row["highest"] = given["kind"], given["lowest"], given["highest"]
            row["column"] = columns.get(field.encode_name, -1)
            row["string"] = STRINGS.index(field.encode_name) if field.encode_name in STRINGS else -1
            if field.encode_name in DIGESTED:
                row["highest"] = min(row["highest"], MAX_XXH3)
            row["nullable"] = given["nullable"]
            row["required"] = 1 << i if field.required else 0
            row["first_choice"] = len(choices)
            for text in given["choices"]:
                name, mask, _ = _named(text)
                choices.append((name, mask, numbering.get(field.encode_name, {}).get(text, np.nan)))
            row["last_choice"] = len(choices)
        self.choices = np.array(choices, dtype=CHOICE)
        self.slots = np.full(SLOTS, -1, dtype=np.int64)
        for i, field in enumerate(info.fields):
            name = np.frombuffer(field.encode_name.encode(), dtype=np.uint8)
            slot = int(_hash(name.ctypes.data, name.ctypes.data + name.size))
            while self.slots[slot] >= 0:
                slot = (slot + 1) % SLOTS
            self.slots[slot] = i

    def read(
        self, values: Sequence[bytes | None], keys: Sequence[bytes | None], rows: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], bytes, NDArray[np.int64]]:
        """Read records' values, which have to be keyed by their payers, into `rows` (n, columns).

        Which were read (n,); and, for those, a buffer and where in it the `STRINGS` lie (n, strings, 2): begin and
        end, -1 for none. The other rows hold anything.
        """
        text, ends = _joined(values)
        key_text, key_ends = _joined(keys)
        data, key_data = (np.frombuffer(joined, dtype=np.uint8) for joined in (text, key_text))
        spans = np.empty((len(values), len(STRINGS), 2), dtype=np.int64)
        read = np.zeros(len(values), dtype=np.bool_)
        _read(data, ends, key_data, key_ends, self.fields, self.slots, self.choices, rows, spans, read)
        return read, text, spans


def _joined(parts: Sequence[bytes | None]) -> tuple[bytes, NDArray[np.int64]]:
    """One buffer, and where each part ends in it; nothing for None."""
    known = [part or b"" for part in parts]
    ends = np.cumsum(np.fromiter(map(len, known), dtype=np.int64, count=len(known)))
    return b"".join([*known, bytes(PADDING)]), ends


def _named(text: str) -> tuple[NDArray[np.uint64], NDArray[np.uint64], int]:
    """A text with the quote behind it as words, which of their bits count, and its length."""
    ended = text.encode() + b'"'
    assert len(ended) <= 8 * NAME_WORDS
    word, mask = (part.ljust(8 * NAME_WORDS, b"\0") for part in (ended, b"\xff" * len(ended)))
    return np.frombuffer(word, dtype="<u8"), np.frombuffer(mask, dtype="<u8"), len(ended)


def _described(field: inspect.Field) -> dict[str, Any]:
    """What a field allows."""
    kind: Any = field.type
    nullable = isinstance(kind, inspect.UnionType)
    if nullable:
        (kind,) = (part for part in kind.types if not isinstance(part, inspect.NoneType))
    given = {"nullable": nullable, "choices": (), "lowest": 0, "highest": 0}
    match kind:
        case inspect.LiteralType():
            return given | {"kind": _CHOICE, "choices": kind.values}
        case inspect.BoolType():
            return given | {"kind": _BOOL}
        case inspect.IntType(gt=None, lt=None) | inspect.IntType(ge=None, lt=None) | inspect.IntType(gt=None, le=None):
            lowest: int = kind.ge if kind.gt is None else kind.gt + 1  # type: ignore[assignment]
            highest: int = kind.le if kind.lt is None else kind.lt - 1  # type: ignore[assignment]
            assert 0 <= lowest <= highest < 2**53
            return given | {"kind": _INT, "lowest": lowest, "highest": highest}
        case inspect.FloatType(gt=None, lt=None, multiple_of=None):
            return given | {"kind": _FLOAT, "lowest": kind.ge, "highest": kind.le}
        case inspect.StrType(pattern=None):
            return given | {"kind": _TEXT, "lowest": kind.min_length or 0, "highest": kind.max_length}
        case inspect.StrType() if kind.pattern == f"^[0-9]{{{kind.max_length}}}$":
            return given | {"kind": _DIGITS, "lowest": kind.max_length, "highest": kind.max_length}
    raise TypeError(f"the reader of payments has no rule for {field.name}: {kind}")


# From here on a place `p` is an address in memory; the padding ends every look ahead.


@compiled
def _read(data, ends, key_data, key_ends, fields, slots, choices, rows, spans, read):
    # Which field came after which in the record before: producers keep an order. The last is for the first.
    after = np.full(fields.size + 1, -1, dtype=np.int64)
    required = np.uint64(0)
    for f in range(fields.size):
        required |= fields[f].required
    base, key_base = np.int64(data.ctypes.data), np.int64(key_data.ctypes.data)
    start, key_start = 0, 0
    for i in range(ends.size):
        rows[i, :] = np.nan
        spans[i, :, :] = -1
        size = ends[i] - start
        if 0 < size <= MAX_VALUE_BYTES:
            good = _object(base, start, ends[i], fields, slots, choices, rows[i], spans[i], after, required)
            begin, payer_size = base + spans[i, 1, 0], spans[i, 1, 1] - spans[i, 1, 0]
            read[i] = good and payer_size == key_ends[i] - key_start and _same(begin, key_base + key_start, payer_size)
        start, key_start = ends[i], key_ends[i]


@compiled
def _object(base, start, end, fields, slots, choices, row, spans, after, required):
    """Whether the record was read."""
    missing = required
    p = _space(base + start)
    if byte_at(p) != OPENED:
        return False
    p = _space(p + 1)
    before = fields.size
    while True:
        if byte_at(p) != QUOTE:
            return False
        p += 1
        f = after[before]
        if f < 0 or not _is_named(p, fields[f]):
            f = -1
            slot = _hash(p, _plain(p))
            while slots[slot] >= 0 and f < 0:
                if _is_named(p, fields[slots[slot]]):
                    f = slots[slot]
                    after[before] = f
                slot = (slot + 1) % SLOTS
        if f >= 0:
            p += fields[f].name_size
        else:
            p = _plain(p) + 1
            if byte_at(p - 1) != QUOTE:
                return False
        p = _space(p)
        if byte_at(p) != COLON:
            return False
        p = _space(p + 1)
        if f < 0:
            p = _unknown(p)
        else:
            field = fields[f]
            missing &= ~field.required
            before = f
            number, begin, stop = np.nan, base - 1, base - 1
            if byte_at(p) == NULLS and field.nullable:
                p = _word(p, NULL, 4)
            elif field.kind == _BOOL:
                number = 1.0 if byte_at(p) == TRUES else 0.0
                p = _word(p, TRUE, 4) if byte_at(p) == TRUES else _word(p, FALSE, 5)
            elif field.kind == _INT or field.kind == _FLOAT:
                p, number = _number(p, field.kind == _INT)
                if not field.lowest <= number <= field.highest:
                    return False
            else:
                begin, stop = p + 1, _plain(p + 1)
                if byte_at(p) != QUOTE or byte_at(stop) != QUOTE:
                    return False
                p = stop + 1
                if field.kind == _CHOICE:
                    c = field.first_choice
                    while c < field.last_choice and not _is_named(begin, choices[c]):
                        c += 1
                    if c == field.last_choice:
                        return False
                    number = choices[c].value
                elif not field.lowest <= stop - begin <= field.highest:
                    return False
                elif field.kind == _DIGITS:
                    number = _digits(begin, stop)
                    if number < 0:
                        return False
            if field.column >= 0:
                row[field.column] = number
            if field.string >= 0:
                spans[field.string, 0], spans[field.string, 1] = begin - base, stop - base
        if p < 0:
            return False
        p = _space(p)
        if byte_at(p) == CLOSED:
            break
        if byte_at(p) != COMMA:
            return False
        p = _space(p + 1)
    p += 1
    while p < base + end and SPACE[byte_at(p)]:
        p += 1
    return p == base + end and missing == 0


@compiled
def _is_named(p, field):
    return (
        eight_at(p) & field.mask[0] == field.name[0]
        and eight_at(p + 8) & field.mask[1] == field.name[1]
        and eight_at(p + 16) & field.mask[2] == field.name[2]
    )


@compiled
def _word(p, word, size):
    """Behind a word of up to 8 letters, or -1."""
    return p + size if eight_at(p) & (MANY >> np.uint64(64 - 8 * size)) == word else -1


@compiled
def _digits(p, end):
    """The number that a text of digits is, or -1."""
    number = 0.0
    while p < end:
        digit = byte_at(p) - ZERO
        if not 0 <= digit <= 9:
            return -1.0
        number = number * 10 + digit
        p += 1
    return number


@compiled
def _number(p, whole):
    """Behind a number, or -1, and its value: the nearest double, as every correct reader has it."""
    negative = byte_at(p) == MINUS
    if negative:
        p += 1
    begin, digits, fraction = p, np.int64(0), 0
    while 0 <= byte_at(p) - ZERO <= 9 and p - begin <= MAX_DIGITS:
        digits = digits * 10 + (byte_at(p) - ZERO)
        p += 1
    if p == begin or (byte_at(begin) == ZERO and p - begin > 1):
        return -1, np.nan
    if byte_at(p) == POINT:
        p += 1
        point = p
        while 0 <= byte_at(p) - ZERO <= 9 and p - begin <= MAX_DIGITS:
            digits = digits * 10 + (byte_at(p) - ZERO)
            p += 1
        fraction = p - point
        if fraction == 0 or whole:
            return -1, np.nan
    # An exponent is no end of a field, and so declined by whoever looks for that.
    if p - begin > MAX_DIGITS or (negative and (whole or digits == 0)):
        return -1, np.nan
    value = _divided(digits, TENS[fraction]) if fraction else np.float64(digits)
    return p, -value if negative else value


@compiled
def _divided(digits, ten):
    """`digits`, at most 18 of them, by a power of ten, correctly rounded; NaN where that is not certain.

    Up to 2^53 both are exact, and so is the rounding of their quotient (W. D. Clinger, "How to read floating point
    numbers accurately", 1990). Beyond, the remainder is found in two doubles (T. J. Dekker, 1971).
    """
    high = np.float64(digits)
    quotient = high / ten
    if digits <= 9_007_199_254_740_992:
        return quotient
    low = np.float64(digits - np.int64(high))
    a, b = quotient * SPLITTER, ten * SPLITTER
    a, b = a - (a - quotient), b - (b - ten)
    c, d = quotient - a, ten - b
    product = quotient * ten
    error = ((a * b - product) + a * d + c * b) + c * d
    rest = ((high - product) - error + low) / ten
    least, most = quotient + rest * (1 - SURE), quotient + rest * (1 + SURE)
    return least if least == most else np.nan


@compiled
def _unknown(p):
    """Behind the value of a field that nobody knows, or -1 for one that is no plain text, number or word."""
    first = byte_at(p)
    if first == QUOTE:
        p = _plain(p + 1)
        return p + 1 if byte_at(p) == QUOTE else -1
    if first == NULLS:
        return _word(p, NULL, 4)
    if first == TRUES:
        return _word(p, TRUE, 4)
    if first == FALSES:
        return _word(p, FALSE, 5)
    return _number(p, False)[0]


@compiled
def _hash(p, end):
    """Slot of a name: FNV-1a, folded."""
    h = np.uint64(0xCBF29CE484222325)
    while p < end:
        h = (h ^ np.uint64(byte_at(p))) * np.uint64(0x100000001B3)
        p += 1
    return np.int64((h ^ (h >> np.uint64(32))) % np.uint64(SLOTS))


@compiled
def _same(p, q, size):
    at = 0
    while at < size and byte_at(p + at) == byte_at(q + at):
        at += 1
    return at >= size


@compiled
def _plain(p):
    """The next byte that does not stand for itself in a text: below a space, a quote, a backslash, or beyond ASCII.

    Eight at a time, by their high bits (H. S. Warren, "Hacker's Delight", 2012, section 6-1).
    """
    while True:
        word = eight_at(p)
        quote, slash = word ^ QUOTES, word ^ SLASHES
        stop = (word | (word - SPACES) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash)) & HIGHS
        if stop != 0:
            return p + (trailing_zeros(stop) >> 3)
        p += 8


@compiled
def _space(p):
    while SPACE[byte_at(p)]:
        p += 1
    return p
