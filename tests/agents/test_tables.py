"""The tables that every worker holds: what was read last counts, on disk and in memory."""

import numpy as np
import pytest

from agents.tables import VALUES_CODEC, ListTable, RiskTable
from models.entity_state import ENTITY_KEY_BYTES, VALUES, entity_keys
from models.keys import as_bytes, as_keys
from models.policy import ALLOW, BLOCK
from models.record_codec import RecordCodec
from schemas.codec import encode
from schemas.entity_list import ListEntry
from schemas.entity_risk import EntityRisk
from stream.settings import StateSettings

NOON = 1_760_077_800_000
ONE, OTHER = bytes(15) + b"\x01", bytes(15) + b"\x02"


def risk(token: bytes, kind: str = "account", **values):
    record = EntityRisk(kind=kind, token=token.hex(), updated_at=NOON, first_seen=NOON, **values)
    return f"{kind}:{token.hex()}".encode(), encode(record)


def key(token: bytes, kind: int = 1) -> bytes:
    return as_bytes(entity_keys(kind, np.frombuffer(token, dtype="V16")))[0]


@pytest.fixture
def make_table(tmp_path):
    tables = []

    def make(topic_id: bytes = bytes(16), arena_rows: int = 100) -> RiskTable:
        settings = StateSettings(tmp_path, arena_rows=arena_rows, write_buffer_bytes=1 << 20)
        tables.append(RiskTable(tmp_path / "risk", topic_id, settings))
        return tables[-1]

    yield make
    for table in tables:
        table.close()


def payers(table, *keys: bytes) -> list[float]:
    return table.lookup(np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 17))["payers"].tolist()


def test_the_latest_record_of_an_entity_counts(make_table):
    table = make_table()
    table.apply(0, [risk(ONE, payers=3), risk(OTHER, payers=5), risk(ONE, payers=4)], 3)
    assert payers(table, key(ONE), key(OTHER), key(ONE)) == [4, 5, 4]


def test_records_in_memory_follow_those_that_arrive(make_table):
    table = make_table()
    table.apply(0, [risk(ONE, payers=3)], 1)
    assert payers(table, key(ONE), key(OTHER)) == [3, 0]
    table.apply(0, [risk(ONE, payers=8), risk(OTHER, payers=2)], 3)
    assert payers(table, key(ONE), key(OTHER)) == [8, 2]
    table.apply(0, [(risk(ONE)[0], None)], 4)
    assert payers(table, key(ONE), key(OTHER)) == [0, 2]


def test_kinds_are_kept_apart(make_table):
    table = make_table()
    table.apply(0, [risk(ONE, payers=3), risk(ONE, "device", users=9)], 2)
    assert payers(table, key(ONE), key(ONE, 2), key(ONE, 3)) == [3, 9, 0]


def test_more_entities_than_fit_in_memory_are_all_known(make_table):
    table = make_table(arena_rows=8)
    tokens = [bytes(15) + bytes([i]) for i in range(50)]
    table.apply(0, [risk(token, payers=i + 1) for i, token in enumerate(tokens)], 50)
    assert [payers(table, key(token))[0] for token in tokens] == list(range(1, 51))


def test_it_goes_on_from_where_it_was_closed(make_table):
    table = make_table()
    table.apply(0, [risk(ONE, payers=3)], 7)
    table.apply(2, [risk(OTHER, payers=4)], 9)
    table.close()
    table = make_table()
    assert [table.next_offset(partition) for partition in range(3)] == [7, 0, 9]
    assert payers(table, key(ONE), key(OTHER)) == [3, 4]


def test_a_topic_made_again_is_read_from_its_start(make_table):
    table = make_table()
    table.apply(0, [risk(ONE, payers=3)], 7)
    table.close()
    table = make_table(topic_id=b"another topic id")
    assert table.next_offset(0) == 0
    assert payers(table, key(ONE)) == [0]


def test_values_that_another_build_kept_are_read_from_the_topic_again(make_table, monkeypatch):
    newer = RecordCodec(VALUES, version=VALUES_CODEC.version + 1, histories=())
    with monkeypatch.context() as build:
        build.setattr("agents.tables.VALUES_CODEC", newer)
        table = make_table()
        table.apply(0, [risk(ONE, payers=3)], 7)
        table.close()
    table = make_table()
    assert table.next_offset(0) == 0
    table.apply(0, [risk(ONE, payers=3)], 7)
    assert payers(table, key(ONE)) == [3]
    table.close()
    assert make_table().next_offset(0) == 7


def test_what_cannot_be_read_is_left_out(make_table):
    table = make_table()
    bad = [(b"rubbish", b"{}"), (b"\xff:\xff", b"{}"), (risk(OTHER)[0], b"{"), (b"account:zz", None)]
    table.apply(0, [*bad, risk(ONE, payers=3)], 5)
    assert payers(table, key(ONE), key(OTHER)) == [3, 0]
    assert table.next_offset(0) == 5


def entry(name: str, token: bytes = ONE, kind: str = "account", **fields):
    made = ListEntry(list=name, kind=kind, token=token.hex(), reason="test", added_at=NOON, added_by="me", **fields)
    return f"{kind}:{token.hex()}".encode(), encode(made)


def hits(lists: ListTable, *keys: bytes, at: float = NOON) -> list[int]:
    return lists.hits(as_keys(keys, ENTITY_KEY_BYTES), np.full(len(keys), at)).tolist()


def test_an_entity_is_on_the_list_that_it_was_put_on_last():
    lists = ListTable()
    lists.apply(0, [entry("block"), entry("block", OTHER), entry("allow")], 3)
    assert hits(lists, key(ONE), key(OTHER), key(ONE, 2)) == [ALLOW, BLOCK, 0]
    lists.apply(0, [(entry("allow")[0], None)], 4)
    assert hits(lists, key(ONE)) == [0]
    assert len(lists) == 1


def test_the_version_changes_with_each_record_and_not_otherwise():
    lists = ListTable()
    versions = [lists.version]
    for offset in (1, 2, 5):
        lists.apply(0, [entry("block")], offset)
        versions.append(lists.version)
    assert versions == ["lists-0", "lists-1", "lists-2", "lists-5"]


def test_an_entry_counts_until_it_expires():
    lists = ListTable()
    lists.apply(0, [entry("block", expires_at=NOON)], 1)
    assert hits(lists, key(ONE), at=NOON - 1) == [BLOCK]
    assert hits(lists, key(ONE), at=NOON) == [0]


def test_an_entry_that_cannot_be_read_leaves_the_others():
    lists = ListTable()
    lists.apply(0, [entry("block"), (b"nonsense", b"{}"), (entry("block", OTHER)[0], b"{")], 3)
    assert hits(lists, key(ONE), key(OTHER)) == [BLOCK, 0]
