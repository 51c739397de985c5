"""JSON Schema (Draft 2020-12) of a record: types and limits by msgspec, the words from the code."""

from typing import Any

import msgspec
from msgspec import inspect as types

from schemas.describe import alternatives, fields_of, summary_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(record: type[msgspec.Struct], name: str) -> dict[str, Any]:
    """One self-contained document. Unknown properties are allowed: a reader ignores them.

    A JSON Schema cannot tell 100 from 100.0; the codec takes only the first for an integer.
    """
    schema = msgspec.json.schema(record)
    for struct in structs_of(record):
        described = schema["$defs"][struct.__name__]
        described["description"] = summary_of(struct)
        for field in fields_of(struct):
            if field.description:
                described["properties"][field.name]["description"] = field.description
    own = schema["$defs"].pop(record.__name__)
    document = {"$schema": DIALECT, "$id": f"urn:fraudstream:{name}:1", **own}
    return document | {"$defs": schema["$defs"]} if schema["$defs"] else document


def structs_of(record: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """The record and the records within it."""
    found = [record]
    for field in fields_of(record):
        for kind in alternatives(field.type)[0]:
            inner = kind.item_type if isinstance(kind, types.ListType) else kind
            if isinstance(inner, types.StructType):
                found += structs_of(inner.cls)
    return found
