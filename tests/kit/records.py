"""Records made by hypothesis from the schemas' own limits."""

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types


def _values(kind: types.Type) -> st.SearchStrategy[object]:
    if isinstance(kind, types.UnionType):
        return st.one_of([_values(inner) for inner in kind.types])
    if isinstance(kind, types.NoneType):
        return st.none()
    if isinstance(kind, types.BoolType):
        return st.booleans()
    if isinstance(kind, types.LiteralType):
        return st.sampled_from(kind.values)
    if isinstance(kind, types.StrType):
        if kind.pattern:
            return st.from_regex(kind.pattern.removesuffix("$") + r"\Z")
        letters = st.characters(codec="utf-8")
        return st.text(letters, min_size=kind.min_length or 0, max_size=min(kind.max_length or 300, 300))
    if isinstance(kind, types.IntType):
        low = kind.gt + 1 if kind.gt is not None else kind.ge
        return st.integers(low, kind.lt - 1 if kind.lt is not None else kind.le)
    if isinstance(kind, types.FloatType):
        return st.floats(kind.ge, kind.le, allow_nan=False, allow_infinity=False)
    if isinstance(kind, types.ListType):
        return st.lists(_values(kind.item_type), max_size=4)
    assert isinstance(kind, types.StructType)
    return records_of(kind.cls)


def records_of(record: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Valid records of one kind, at and within every limit."""
    fields = types.type_info(record).fields
    required = {field.name: _values(field.type) for field in fields if field.required}
    optional = {field.name: _values(field.type) for field in fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: record(**values))
