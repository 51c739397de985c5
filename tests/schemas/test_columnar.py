"""Decisions and entity activity: round trips, and errors on damaged bytes."""

import random
import string

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from models import engine
from schemas.alert import ModelRef
from schemas.arrow_stream import Strings
from schemas.decision import (
    COLUMNS,
    COMPRESSED_ROWS,
    MAX_ROWS,
    STATUS_FLAGS,
    DecisionMeta,
    decode_decisions,
    decode_meta,
    encode_columns,
    encode_decisions,
    flags_of,
)
from schemas.entity_activity import ACTIVITY, decode_activity, encode_activity, partition_of, split_activity
from schemas.errors import DecodeError, NewerVersion

META = DecisionMeta(
    topic="transactions",
    partition=2,
    first_offset=10,
    last_offset=12,
    decided_at=1_760_000_000_000,
    model=ModelRef(name="champion", sha256="a" * 64),
    threshold=700,
    policy_version="1",
    list_version="7",
    catalogue_hash="b" * 64,
)


def rows(count: int) -> pl.DataFrame:
    numbers = range(count)
    return pl.DataFrame(
        {
            "offset": [10 + n for n in numbers],
            "transaction_id": [f"T{n}" for n in numbers],
            "payer_token": ["ab" * 16 for _ in numbers],
            "event_time": [1_760_000_000_000 + n for n in numbers],
            "features_hash": [2**64 - 1 - n for n in numbers],
            "probability": [0.25 for _ in numbers],
            "score": [250 for _ in numbers],
            "band": ["low" for _ in numbers],
            "flagged": [False for _ in numbers],
            "decided_by": ["model" for _ in numbers],
            "rule": [None for _ in numbers],
            "status": [n % 256 for n in numbers],
            "second_score": [1000 for _ in numbers],
            "challenger_0": [0.5 for _ in numbers],
            "risk_payee": [float("nan") for _ in numbers],
        },
        schema=COLUMNS | {"challenger_0": pl.Float32(), "risk_payee": pl.Float32()},
    )


@pytest.mark.parametrize("count", [0, 1, 3, 4096])
def test_decisions_survive_the_wire(count):
    meta, found = decode_decisions(encode_decisions(META, rows(count)))
    assert meta == META
    assert_frame_equal(found, rows(count), check_exact=True)


@pytest.mark.parametrize("count", [1, COMPRESSED_ROWS - 1, COMPRESSED_ROWS])
def test_columns_are_written_as_the_frame_of_them(count):
    frame = rows(count)
    columns = {
        each.name: Strings.coded([None, *each.unique()], np.zeros(count, dtype=np.uint8))
        if each.null_count()
        else Strings.of(each.to_list())
        if each.dtype == pl.String
        else each.to_numpy()
        for each in frame
    }
    meta, found = decode_decisions(encode_columns(META, columns, 0, count))
    assert meta == META
    assert_frame_equal(found, decode_decisions(encode_decisions(META, frame))[1])


def test_the_most_rows_fit_a_brokers_default_limit_even_when_nothing_compresses():
    rng = random.Random(1)
    full = rows(MAX_ROWS).with_columns(
        transaction_id=pl.Series(["".join(rng.choices(string.printable, k=64)) for _ in range(MAX_ROWS)]),
        payer_token=pl.Series([rng.randbytes(16).hex() for _ in range(MAX_ROWS)]),
        features_hash=pl.Series([rng.getrandbits(64) for _ in range(MAX_ROWS)], dtype=pl.UInt64),
        **{f"risk_{n}": pl.Series([rng.random() for _ in range(MAX_ROWS)], dtype=pl.Float32) for n in range(16)},
    )
    assert len(encode_decisions(META, full)) < 1_000_000


def test_the_names_of_the_status_bits_are_the_engines():
    assert {getattr(engine, name.upper()): name for name in STATUS_FLAGS.values()} == STATUS_FLAGS
    assert flags_of(engine.LATE | engine.NEW_SIM) == ["late", "new_sim"]


def test_only_the_metadata_can_be_read():
    assert decode_meta(encode_decisions(META, rows(3))) == META


@pytest.mark.parametrize("name", ["rule", "second_score"])
def test_a_column_may_be_left_out_that_need_not_be_there(name):
    assert name not in decode_decisions(encode_decisions(META, rows(3).drop(name)))[1].columns


def test_decisions_of_the_first_version_are_still_read():
    value = encode_decisions(META, rows(3).drop("second_score"))
    start = 4 + int.from_bytes(value[:4], "little")
    old = value[4:start].replace(b'"version":2', b'"version":1').replace(b'"second_threshold":null,', b"")
    meta, found = decode_decisions(len(old).to_bytes(4, "little") + old + value[start:])
    assert (meta.version, meta.second_threshold) == (1, None)
    assert found.height == 3


@pytest.mark.parametrize(
    "wrong",
    [
        rows(2).drop("score"),
        rows(2).with_columns(pl.col("score").cast(pl.Int64)),
        rows(2).with_columns(vpa=pl.lit("a@b")),
        rows(2).with_columns(pl.col("challenger_0").cast(pl.Float64)),
    ],
    ids=["missing", "other type", "one too many", "challenger of other type"],
)
def test_decisions_with_other_columns_are_not_written(wrong):
    with pytest.raises(ValueError, match=r"decisions|column"):
        encode_decisions(META, wrong)


def test_decisions_of_a_later_version_are_refused_with_what_to_do():
    value = encode_decisions(META, rows(1)).replace(b'"version":2', b'"version":3')
    with pytest.raises(DecodeError, match="version 3") as caught:
        decode_decisions(value)
    assert "upgrade" in caught.value.hint


@given(seed=st.integers(0, 2**32))
def test_damaged_decisions_raise_a_typed_error_or_are_still_decisions(seed):
    rng = random.Random(seed)
    value = bytearray(encode_decisions(META, rows(5)))
    if rng.random() < 0.5:
        value = value[: rng.randrange(len(value))]
    else:
        for _ in range(rng.randint(1, 20)):
            value[rng.randrange(len(value))] = rng.randrange(256)
    try:
        _, found = decode_decisions(bytes(value))
    except DecodeError:
        return
    assert set(COLUMNS) <= set(found.columns) | {"rule", "second_score"}


@given(value=st.binary(max_size=300))
def test_arbitrary_bytes_are_no_decisions(value):
    with pytest.raises(DecodeError):
        decode_decisions(value)


def activity(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = np.zeros(count, ACTIVITY)
    found["kind"] = rng.integers(1, 4, count)
    found["token"] = np.frombuffer(rng.bytes(16 * count), "V16")
    found["other"] = rng.integers(0, 2**63, count)
    found["event_time"] = np.arange(count)
    found["amount"] = rng.integers(1, 10**9, count)
    return found


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_activity_survives_the_wire_and_can_be_written_to(count):
    found = decode_activity(encode_activity(activity(count)))
    assert found.tobytes() == activity(count).tobytes()
    found["amount"] = 0


@given(count=st.integers(0, 200), partitions=st.integers(1, 12), seed=st.integers(0, 1000))
def test_splitting_loses_nothing_and_keeps_an_entitys_order(count, partitions, seed):
    whole = activity(count, seed)
    parts = {partition: decode_activity(value) for partition, value in split_activity(whole, partitions)}
    for partition, part in parts.items():
        assert (partition_of(part, partitions) == partition).all()
        assert (np.diff(part["event_time"]) > 0).all()
    together = np.concatenate([np.zeros(0, ACTIVITY), *parts.values()])
    assert np.sort(together, order="event_time").tobytes() == whole.tobytes()


def test_an_entitys_partition_is_its_tokens_first_four_bytes_modulo_the_partitions():
    one = activity(1)
    assert partition_of(one, 7)[0] == int.from_bytes(one["token"].tobytes()[:4], "little") % 7


@pytest.mark.parametrize(
    "value",
    [b"", b"\0" * 43, b"\x01" + b"\0" * 41, b"\x01" + b"\0" * 42, b"\x01\x09" + b"\0" * 41],
    ids=["empty", "version 0", "cut off", "kind 0", "kind 9"],
)
def test_damaged_activity_raises_a_typed_error(value):
    with pytest.raises(DecodeError):
        decode_activity(value)


def test_activity_of_a_later_version_is_a_newer_builds():
    with pytest.raises(NewerVersion, match="version 2, this build reads up to 1"):
        decode_activity(b"\x02" + b"\0" * 42)
