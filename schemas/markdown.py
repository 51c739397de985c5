"""The page about the records, docs/schemas.md, made from the code."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from schemas.alert import Alert, ModelRef, Reason, Source
from schemas.asyncapi import CHANNELS
from schemas.dead_letter import DeadLetter
from schemas.decision import COLUMNS, DecisionMeta
from schemas.describe import Field, alternatives, fields_of, limits_of, summary_of
from schemas.entity_activity import ACTIVITY
from schemas.entity_list import ListEntry
from schemas.entity_risk import EntityRisk
from schemas.label import Label
from schemas.transaction import Transaction

INTRODUCTION = """\
# The records

This page is made from the code by `python -m schemas.generate`, as are the JSON Schemas, Avro schemas and the
AsyncAPI document in `schemas/generated/`.

Amounts are paise (integers), times epoch milliseconds UTC, coordinates degrees (WGS 84), distances metres. Fields a
reader does not know are ignored. A number in quotes, a fraction where an integer belongs (`100.0` too), NaN and
Infinity are rejected; of a key given twice the last counts. A payment's value may have 65,536 bytes.

## Versions

The records that are JSON carry no version: they grow. Publishers of two versions may write to `transactions` side by
side, and a worker may be older or newer than either.

| a publisher | the payment |
| --- | --- |
| adds a field | is judged as without it, by a build that does not know it |
| leaves out an optional field, or sends null | is judged; absence is information |
| renames or leaves out a required field | is a dead letter, `invalid_field` |
| sends a known field, even an optional one, of another type or beyond its limits | is a dead letter, `invalid_field` |
| sends a choice that is not listed | is a dead letter, `invalid_field` |

So a field's meaning never changes; a new meaning is a new field. A unit that changed within the limits, as whole rupees
sent for paise, cannot be told apart. Decisions, entity activity and the state's records carry a version: see
[Upgrades](operations.md#upgrades).
"""


def markdown() -> str:
    """The whole page."""
    parts = [INTRODUCTION, _topics(), _transaction(), _upi()]
    parts += [_record(record) for record in (Alert, Reason, ModelRef, Source, Label, EntityRisk, ListEntry, DeadLetter)]
    parts += [_decisions(), _activity()]
    return "\n".join(parts)


def _topics() -> str:
    rows = [(f"`{c.topic}`", c.message, c.key, c.summary) for c in CHANNELS]
    return "## Topics\n\n" + _table(("topic", "record", "key", "what"), rows)


def _transaction() -> str:
    page = [f"## Transaction\n\n{summary_of(Transaction)}\n"]
    sections: dict[str, list[Field]] = {}
    for field in fields_of(Transaction):
        sections.setdefault(field.section, []).append(field)
    for section, fields in sections.items():
        page.append(f"### {section}\n\n" + _fields(fields))
    return "\n".join(page)


def _upi() -> str:
    rows = []
    for field in fields_of(Transaction):
        element = re.search(r"\[([^]]+)]", field.description)
        if element:
            rows.append((element[1], f"`{field.name}`"))
    return "## From a UPI message\n\n" + _table(("ReqPay", "field"), sorted(rows))


def _record(record: type[msgspec.Struct]) -> str:
    return f"## {record.__name__}\n\n{summary_of(record)}\n\n" + _fields(fields_of(record))


def _decisions() -> str:
    rows = [(f"`{name}`", str(dtype)) for name, dtype in COLUMNS.items()]
    return _record(DecisionMeta) + "\nEach payment is a row of an Arrow stream:\n\n" + _table(("column", "type"), rows)


def _activity() -> str:
    assert ACTIVITY.fields is not None
    rows = [(f"`{name}`", str(dtype), str(offset)) for name, (dtype, offset, *_) in ACTIVITY.fields.items()]
    words = f"A version byte, then rows of {ACTIVITY.itemsize} bytes, little-endian."
    return f"## Entity activity\n\n{words}\n\n" + _table(("column", "type", "offset"), rows)


def _fields(fields: Iterable[Field]) -> str:
    return _table(("field", "", "type and limits", "meaning"), _rows(fields))


def _rows(fields: Iterable[Field]) -> Iterator[tuple[str, ...]]:
    for field in fields:
        nullable = alternatives(field.type)[1]
        need = "required" if field.required else "optional" if nullable else f"default `{field.default}`"
        yield f"`{field.name}`", need, limits_of(field.type), field.description


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
