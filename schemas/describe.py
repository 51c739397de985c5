"""What the generated schemas and the docs say about each record, read from the code itself.

A field's description is the string that stands under it in its class; its type and limits are its annotation.
"""

import ast
import inspect
import textwrap
from dataclasses import dataclass
from functools import cache

import msgspec
from msgspec import inspect as types


@dataclass(frozen=True)
class Field:
    """One field of a record, with msgspec's description of its type and limits."""

    name: str
    type: types.Type
    required: bool
    default: object
    description: str
    section: str
    """The comment above its group of fields, "" for none."""


@cache
def fields_of(record: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of a record in order."""
    described = _descriptions(record)
    info = types.type_info(record)
    assert isinstance(info, types.StructType)
    found = []
    for field in info.fields:
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        description, section = described[field.name]
        found.append(Field(field.name, field.type, field.required, default, description, section))
    return tuple(found)


def _descriptions(record: type[msgspec.Struct]) -> dict[str, tuple[str, str]]:
    source = textwrap.dedent(inspect.getsource(record))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    described: dict[str, tuple[str, str]] = {}
    section, name = "", ""
    for statement in body.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            above = lines[statement.lineno - 2].strip()
            section = above.removeprefix("# ") if above.startswith("# ") else section
            name = statement.target.id
            described[name] = ("", section)
        elif name and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            described[name] = (inspect.cleandoc(str(statement.value.value)).replace("\n", " "), section)
    return described


def summary_of(record: type) -> str:
    """A record's docstring on one line."""
    return " ".join(inspect.cleandoc(record.__doc__ or "").split())


def alternatives(kind: types.Type) -> tuple[list[types.Type], bool]:
    """The types a field may have besides null, and whether it may be null."""
    if isinstance(kind, types.UnionType):
        return [t for t in kind.types if not isinstance(t, types.NoneType)], kind.includes_none
    return [kind], False


def limits_of(kind: types.Type) -> str:
    """Type and limits in words: `text, 1 to 255 characters`."""
    (inner,), _ = alternatives(kind)
    if isinstance(inner, types.StrType):
        if inner.pattern:
            return f"text like `{inner.pattern}`"
        return "text" + _range(inner.min_length, inner.max_length, " characters")
    if isinstance(inner, types.IntType | types.FloatType):
        word = "integer" if isinstance(inner, types.IntType) else "number"
        if inner.gt is not None:
            return f"{word} above {inner.gt}" + ("" if inner.le is None else f", up to {inner.le}")
        return word + _range(
            inner.ge, inner.le if inner.lt is None else inner.lt, "" if inner.lt is None else " excluded"
        )
    if isinstance(inner, types.LiteralType):
        return " or ".join(f"`{value}`" for value in inner.values)
    if isinstance(inner, types.BoolType):
        return "true or false"
    if isinstance(inner, types.ListType):
        return f"list of {limits_of(inner.item_type)}"
    if isinstance(inner, types.StructType):
        return inner.cls.__name__
    raise TypeError(f"no words for {inner}")


def _range(low: object, high: object, unit: str) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f", up to {high}{unit}"
    return f", from {low}{unit}" if high is None else f", {low} to {high}{unit}"
