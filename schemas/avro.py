"""Avro schema of a record: the shape a schema registry would hold. Limits stay in the code, Avro has none."""

from typing import Any

import msgspec
from msgspec import inspect as types

from schemas.describe import Field, alternatives, fields_of, summary_of

NAMESPACE = "fraudstream"


def avro_schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    """A record schema. Optional fields are unions with null and default to it, so that fields may be added."""
    return {
        "type": "record",
        "name": record.__name__,
        "namespace": NAMESPACE,
        "doc": summary_of(record),
        "fields": [_field(record, field) for field in fields_of(record)],
    }


def _field(record: type[msgspec.Struct], field: Field) -> dict[str, Any]:
    (kind,), nullable = alternatives(field.type)
    avro = _type(kind, f"{record.__name__}{field.name.title().replace('_', '')}")
    found: dict[str, Any] = {"name": field.name, "type": ["null", avro] if nullable else avro}
    if field.description:
        found["doc"] = field.description
    if not field.required:
        found["default"] = field.default
    return found


def _type(kind: types.Type, name: str) -> Any:
    if isinstance(kind, types.StrType):
        return "string"
    if isinstance(kind, types.BoolType):
        return "boolean"
    if isinstance(kind, types.FloatType):
        return "double"
    if isinstance(kind, types.IntType):
        return "long"
    if isinstance(kind, types.LiteralType):
        return {"type": "enum", "name": name, "symbols": list(kind.values)}
    if isinstance(kind, types.ListType):
        return {"type": "array", "items": _type(kind.item_type, name)}
    if isinstance(kind, types.StructType):
        return avro_schema(kind.cls)
    raise TypeError(f"no Avro type for {kind}")
