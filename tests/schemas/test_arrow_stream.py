"""Streams written straight from arrays are what Polars reads as the same table."""

import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.arrow_stream import Column, Strings, write_stream

NAMES = ("low", None, "hoch \u00fc")
TYPES = ("i8", "u1", "i2", "i4", "i8", "u8", "f4", "f8", "?")
tables = st.integers(0, 70).flatmap(
    lambda rows: st.tuples(
        st.lists(st.text(max_size=9), min_size=rows, max_size=rows),
        st.lists(st.integers(0, len(NAMES) - 1), min_size=rows, max_size=rows),
        st.binary(min_size=8 * rows, max_size=8 * rows),
    )
)


def read(stream: bytes) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(stream))


@given(tables, st.data())
def test_any_rows_of_any_columns_come_back(table, data):
    texts, codes, noise = table
    begin = data.draw(st.integers(0, len(texts)))
    end = data.draw(st.integers(begin, len(texts)))
    numbers = {
        f"{number}": (np.frombuffer(noise, dtype="u1")[: len(texts)] % 2).astype(bool)
        if kind == "?"
        else np.frombuffer(noise, dtype=kind)[: len(texts)]
        for number, kind in enumerate(TYPES)
    }
    coded = Strings.coded(NAMES, np.array(codes, dtype=np.uint8))
    tokens = np.frombuffer(noise, dtype="u1").reshape(-1, 8)
    columns: dict[str, Column] = {"text": Strings.of(texts), "name": coded, "token": Strings.hex(tokens), **numbers}
    expected = pl.DataFrame(
        {
            "text": pl.Series(texts, dtype=pl.String),
            "name": pl.Series([NAMES[code] for code in codes], dtype=pl.String),
            "token": pl.Series([token.tobytes().hex() for token in tokens], dtype=pl.String),
            **numbers,
        }
    )
    assert_frame_equal(read(write_stream(columns, begin, end)), expected[begin:end])


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 5_000])
def test_it_says_what_polars_says_of_the_same_table(rows):
    columns: dict[str, Column] = {
        "offset": np.arange(rows),
        "text": Strings.of([f"T{n}" for n in range(rows)]),
        "odd": np.arange(rows) % 2 == 1,
    }
    stream = io.BytesIO()
    same = pl.DataFrame({"offset": np.arange(rows), "text": [f"T{n}" for n in range(rows)], "odd": columns["odd"]})
    same = same.with_columns(pl.col("text").cast(pl.String))
    same.write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    assert_frame_equal(read(write_stream(columns, 0, rows)), read(stream.getvalue()))


def test_nothing_is_null_where_every_name_is_one():
    assert Strings.coded(("a", "b"), np.array([1, 0], dtype=np.uint8)).valid is None
