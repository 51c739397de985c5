"""Records of three versions: every older one is read, each can be written, and a newer one is left alone."""

import numpy as np
import pytest

from models.payer_state import PAYER_CODEC
from models.record_codec import FormatError, History, Older, RecordCodec, RecordError
from models.state_format import STATE_FORMAT, StateFormatError, codecs
from schemas.errors import NewerVersion

PLACES = History("places", ("place",))
FIRST = np.dtype([("seen", "u4"), ("amount", "f4"), ("places", "u1"), ("place", "u8", (3,))])
FIRST_CODEC = RecordCodec(FIRST, version=1, histories=(PLACES,))

SECOND = np.dtype([("seen", "u4"), ("amount", "f4"), ("calls", "u2"), ("places", "u1"), ("place", "u8", (3,))])
SECOND_CODEC = RecordCodec(SECOND, version=2, histories=(PLACES,), older=Older(FIRST_CODEC))
"""One field more."""

# Milliseconds instead of seconds, and a longer history. Format 3 was another type's.
FOURTH = np.dtype([("seen_ms", "i8"), ("amount", "f4"), ("calls", "u2"), ("places", "u1"), ("place", "u8", (5,))])


def upgrade(given, made):
    made["seen_ms"] = given["seen"].astype(np.int64) * 1000
    made["place"][:, :3] = given["place"]


def downgrade(given, made):
    made["seen"] = given["seen_ms"] // 1000
    made["places"] = np.minimum(given["places"], 3)
    made["place"] = given["place"][:, :3]


FOURTH_CODEC = RecordCodec(
    FOURTH, version=4, histories=(PLACES,), older=Older(SECOND_CODEC, upgrade=upgrade, downgrade=downgrade)
)


def firsts(n: int) -> np.ndarray:
    records = np.zeros(n, dtype=FIRST)
    records["seen"], records["amount"] = np.arange(n) + 1_760_000_000, np.arange(n) / 8
    records["places"] = np.arange(n) % 4
    records["place"] = np.where(np.arange(3) < records["places"][:, None], 7 + np.arange(3), 0)
    return records


def everything(n: int) -> np.ndarray:
    return np.arange(n)


def read(codec: RecordCodec, values: list[bytes]) -> np.ndarray:
    records = np.zeros(len(values), dtype=codec.dtype)
    codec.decode(values, records, everything(len(values)))
    return records


def test_a_record_of_each_older_version_is_read_and_keeps_what_it_held():
    values = FIRST_CODEC.encode(firsts(9), everything(9))
    second = read(SECOND_CODEC, values)
    for name in FIRST.names:
        np.testing.assert_array_equal(second[name], firsts(9)[name])
    assert not second["calls"].any()
    second["calls"] = 5
    fourth = read(FOURTH_CODEC, SECOND_CODEC.encode(second, everything(9)))
    assert fourth["seen_ms"].tolist() == [1000 * seen for seen in firsts(9)["seen"].tolist()]
    assert fourth["calls"].tolist() == [5] * 9
    assert fourth["place"][3].tolist() == [7, 8, 9, 0, 0]


def test_an_upgrade_goes_through_the_versions_between():
    values = FIRST_CODEC.encode(firsts(9), everything(9))
    by_steps = read(FOURTH_CODEC, SECOND_CODEC.encode(read(SECOND_CODEC, values), everything(9)))
    np.testing.assert_array_equal(read(FOURTH_CODEC, values), by_steps)


def test_records_of_all_versions_lie_side_by_side():
    first = FIRST_CODEC.encode(firsts(9), everything(9))
    second = SECOND_CODEC.encode(read(SECOND_CODEC, first), everything(9))
    fourth = FOURTH_CODEC.encode(read(FOURTH_CODEC, first), everything(9))
    mixed = [(first, second, fourth)[i % 3][i] for i in range(9)]
    records = np.ones(20, dtype=FOURTH)
    rows = np.arange(18, 0, -2)
    FOURTH_CODEC.decode(mixed, records, rows)
    np.testing.assert_array_equal(records[rows], read(FOURTH_CODEC, fourth))
    assert (records[1::2] == np.ones(1, dtype=FOURTH)).all()


@pytest.mark.parametrize("state_format", [1, 2, 3, 4])
def test_it_writes_the_newest_version_up_to_the_format(state_format):
    fourth = read(FOURTH_CODEC, FIRST_CODEC.encode(firsts(9), everything(9)))
    writer = FOURTH_CODEC.writing(state_format)
    values = writer.encode(fourth, everything(9))
    version = {1: 1, 2: 2, 3: 2, 4: 4}[state_format]
    assert {value[0] for value in values} == {version}
    older = {1: FIRST_CODEC, 2: SECOND_CODEC, 4: FOURTH_CODEC}[version]
    assert older.encode(read(older, values), everything(9)) == values, "as the older build would have written it"
    np.testing.assert_array_equal(read(writer, values), fourth)


def test_what_only_the_newer_version_holds_is_lost_when_the_older_one_is_written():
    records = np.zeros(1, dtype=FOURTH)
    records["places"], records["place"], records["calls"] = 5, [[1, 2, 3, 4, 5]], 9
    values = FOURTH_CODEC.writing(1).encode(records, everything(1))
    (again,) = read(FOURTH_CODEC, values)
    assert (again["places"], again["place"].tolist(), again["calls"]) == (3, [1, 2, 3, 0, 0], 0)


@pytest.mark.parametrize("codec", [FIRST_CODEC, SECOND_CODEC])
def test_a_newer_record_is_no_damage_and_the_error_says_what_to_do(codec):
    values = FOURTH_CODEC.encode(read(FOURTH_CODEC, FIRST_CODEC.encode(firsts(3), everything(3))), everything(3))
    own = codec.encode(np.zeros(1, dtype=codec.dtype), everything(1))
    with pytest.raises(NewerVersion, match=f"version 4, this build reads up to {codec.version}") as refused:
        read(codec, [*own, *values])
    assert "--state-format" in refused.value.hint
    assert not isinstance(refused.value, ValueError)


@pytest.mark.parametrize("value", [b"", b"\0", b"\1\0", b"\3" + bytes(30), b"\2" + bytes(13), b"\4" + bytes(200)])
def test_what_is_no_record_of_any_version_is_damage(value):
    good = FIRST_CODEC.encode(firsts(1), everything(1))
    with pytest.raises(RecordError):
        read(FOURTH_CODEC, [*good, value])


def test_a_format_from_before_the_oldest_known_version_cannot_be_written():
    with pytest.raises(FormatError, match="no state format before 2"):
        RecordCodec(FIRST, version=2, histories=(PLACES,)).writing(1)


def test_the_build_writes_its_own_formats_only():
    payers, entities = codecs()
    assert payers.encode(np.zeros(1, dtype=payers.dtype), everything(1))[0][0] == PAYER_CODEC.version
    assert max(payers.version, entities.version) == STATE_FORMAT
    assert codecs(STATE_FORMAT)[0].version == PAYER_CODEC.version
    for wrong in (0, STATE_FORMAT + 1):
        with pytest.raises(StateFormatError) as refused:
            codecs(wrong)
        assert refused.value.hint
