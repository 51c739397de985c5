"""The compiled hashes are those of the library, for every length that they take."""

import numpy as np
import polars as pl
import polars_hash as plh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hashing import BLOCK, CHUNK, MAX_XXH3, after_first_block, blake3, xxh3
from models.payment_reader import PADDING

KEY = "0123456789abcdef" * 4
TEXT = "".join(chr(33 + k * 7 % 90) for k in range(CHUNK))


def placed(text: str) -> np.ndarray:
    """A text in memory, with room on both sides."""
    return np.frombuffer(bytes(8) + text.encode() + bytes(BLOCK + PADDING), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 2, 31, 63, 64, 65, 127, 128, 129, 300, 640, CHUNK - BLOCK])
def test_blake3_behind_a_common_first_block(length):
    start, message = after_first_block(KEY.encode()), placed(TEXT[:length])
    halves = np.array(blake3(start.ctypes.data, message.ctypes.data + 8, length), dtype="<u8")
    whole = pl.DataFrame({"text": [KEY + TEXT[:length]]}).select(plh.col("text").chash.blake3()).item()
    assert halves.tobytes().hex() == whole[:32]


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=MAX_XXH3))
def test_xxh3_of_any_short_text(text):
    assert xxh3(placed(text).ctypes.data + 8, len(text)) == theirs([text])[0]


def test_xxh3_of_every_length():
    texts = [TEXT[:length] for length in range(1, MAX_XXH3 + 1)]
    assert [xxh3(placed(text).ctypes.data + 8, len(text)) for text in texts] == theirs(texts)


def theirs(texts: list[str]) -> list[int]:
    return pl.DataFrame({"text": texts}).select(plh.col("text").nchash.xxh3_64(seed=0)).to_series().to_list()
