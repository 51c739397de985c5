"""Checkpoints and positions survive their bytes, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.changelog import POSITION_KEY, Checkpoint, decode_position, encode_position

offsets = st.integers(-1, 2**63 - 1)
checkpoints = st.builds(Checkpoint, offsets, offsets, st.binary(min_size=16, max_size=16))


@given(checkpoints)
def test_a_checkpoint_comes_back_as_it_was(checkpoint):
    assert Checkpoint.decode(checkpoint.encode()) == checkpoint


@given(offsets)
def test_a_position_comes_back_as_it_was(offset):
    assert decode_position(encode_position(offset)) == offset


@given(st.binary(max_size=64))
def test_other_bytes_are_no_checkpoint_and_no_position(value):
    for decode, encoded in ((Checkpoint.decode, lambda found: found.encode()), (decode_position, encode_position)):
        try:
            found = decode(value)
        except ValueError:
            continue
        assert encoded(found) == value


@given(checkpoints, st.integers(0, 32))
def test_a_checkpoint_that_was_cut_off_is_refused(checkpoint, length):
    with pytest.raises(ValueError, match="not a checkpoint"):
        Checkpoint.decode(checkpoint.encode()[:length])


@pytest.mark.parametrize(
    ("decode", "value"),
    [(Checkpoint.decode, Checkpoint(1, 2, bytes(16)).encode()), (decode_position, encode_position(1))],
)
def test_a_newer_version_is_refused(decode, value):
    with pytest.raises(ValueError, match="not a"):
        decode(b"\x02" + value[1:])


def test_the_reserved_key_cannot_be_a_token():
    assert len(POSITION_KEY) < 16
