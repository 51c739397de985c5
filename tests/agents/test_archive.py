"""Records become blocks: the same ones however they arrive, with every record in one, and rows that hold all of it."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.archive import Cutter
from kit.decisions import decisions
from kit.records import records_of
from schemas.codec import encode
from schemas.label import Label
from schemas.lake import HOUR_MS, LAYOUTS, Block
from schemas.transaction import Transaction
from stream.batch import Batch
from stream.settings import BlockSettings, SettingsError

START_MS = 1_700_006_400_000  # a midnight, UTC
MINUTE = 60_000
ROOMY = BlockSettings(block_rows=1_000_000, open_rows=1_000_000, max_open_s=600)


def payment(offset, time, partition=0):
    return Transaction(transaction_id=f"t{partition}-{offset}", event_time=time, payer="a", payee="b", amount=100)


def batch_of(records, published=None):
    """Records of partition, offset, value and key, in order."""
    partitions, offsets, values, keys = zip(*records, strict=True) if records else ((), (), (), ())
    times = [START_MS + 100 * HOUR_MS] * len(records) if published is None else published
    columns = (np.array(partitions, np.int32), np.array(offsets, np.int64), np.array(times, np.int64))
    return Batch(list(values), list(keys), *columns, dict.fromkeys(partitions, 1))


def payments(times, partition=0, first=0):
    """Records of consecutive offsets; a time of None is a record that cannot be read."""
    return [
        (partition, first + i, b"junk" if time is None else encode(payment(first + i, time, partition)), b"a")
        for i, time in enumerate(times)
    ]


def ranges(closed):
    return [(block.partition, block.first, block.end) for block, _ in closed]


def cutter(settings=ROOMY, topic="transactions", partitions=(0,), offset=0):
    made = Cutter(topic, settings)
    for partition in partitions:
        made.begin(partition, offset)
    return made


def test_a_block_ends_before_a_payment_of_a_later_hour_and_takes_what_comes_late():
    cut = cutter()
    times = [START_MS + 50 * MINUTE, START_MS - 5 * MINUTE, START_MS + 59 * MINUTE, START_MS + 60 * MINUTE, START_MS]
    closed = list(cut.add(batch_of(payments(times)), 0))
    assert ranges(closed) == [(0, 0, 3)]
    block, rows = closed[0]
    assert block.hour == START_MS // HOUR_MS
    assert rows["event_time"].to_list() == times[:3]
    assert ranges(cut.close()) == [(0, 3, 5)]


def test_a_block_ends_with_its_rows_and_the_next_begins_there():
    cut = cutter(BlockSettings(3, 1_000, 600))
    assert ranges(cut.add(batch_of(payments([START_MS] * 7)), 0)) == [(0, 0, 3), (0, 3, 6)]
    assert ranges(cut.close()) == [(0, 6, 7)]


def test_a_block_ends_when_it_was_open_for_long():
    cut = cutter(BlockSettings(100, 1_000, 10))
    list(cut.add(batch_of(payments([START_MS])), 50))
    list(cut.add(batch_of(payments([START_MS], first=1)), 59))
    assert ranges(cut.due(59.9)) == []
    assert ranges(cut.due(60)) == [(0, 0, 2)]
    assert cut.open_rows == 0


def test_the_largest_ends_when_memory_is_full():
    cut = cutter(BlockSettings(100, 10, 600), partitions=(0, 1))
    few, many = payments([START_MS] * 4, 0), payments([START_MS] * 7, 1)
    assert ranges(cut.add(batch_of(few + many), 0)) == [(1, 0, 7)]
    assert cut.open_rows == 4


def test_offsets_without_a_record_belong_to_the_block_after_them():
    cut = cutter(BlockSettings(2, 1_000, 600), offset=5)
    scattered = [(0, offset, encode(payment(offset, START_MS)), b"a") for offset in (7, 9, 12, 13)]
    assert ranges(cut.add(batch_of(scattered), 0)) == [(0, 5, 10), (0, 10, 14)]


def test_a_partition_without_a_committed_offset_begins_with_its_first_record():
    cut = cutter(offset=-1)
    list(cut.add(batch_of(payments([START_MS] * 2, first=40)), 0))
    assert ranges(cut.close()) == [(0, 40, 42)]


def test_what_cannot_be_read_or_has_another_key_is_in_the_range_and_not_among_the_rows():
    cut = cutter()
    records = payments([None, START_MS, None, START_MS])
    records[3] = (*records[3][:3], b"somebody else")
    list(cut.add(batch_of(records), 0))
    ((block, rows),) = cut.close()
    assert (block.first, block.end) == (0, 4)
    assert rows["offset"].to_list() == [1]


def test_a_block_of_nothing_readable_is_filed_by_when_it_was_published():
    cut = cutter()
    list(cut.add(batch_of(payments([None, None]), published=[START_MS + HOUR_MS, START_MS + 3 * HOUR_MS]), 0))
    ((block, rows),) = cut.close()
    assert (block.hour, block.end) == (START_MS // HOUR_MS + 1, 2)
    assert rows.is_empty()
    assert rows.schema == LAYOUTS["transactions"].columns


def test_a_payment_that_claims_to_be_of_the_future_ends_no_block():
    cut = cutter()
    times = [START_MS, START_MS + 5 * HOUR_MS, START_MS + 1]
    assert not list(cut.add(batch_of(payments(times), published=[START_MS] * 3), 0))
    ((block, rows),) = cut.close()
    assert rows["event_time"].to_list() == times
    assert block.hour == START_MS // HOUR_MS


def test_a_record_that_cannot_be_read_may_claim_any_time():
    cut = cutter()
    assert not list(cut.add(batch_of(payments([None]), published=[2**62]), 0))
    ((block, rows),) = cut.close()
    assert Block.of_path(block.path) == block
    assert rows.is_empty()


def test_a_partition_that_was_forgotten_is_ignored_until_it_begins_again():
    cut = cutter(partitions=(0, 1))
    list(cut.add(batch_of(payments([START_MS], 0) + payments([START_MS], 1)), 0))
    cut.forget([0])
    list(cut.add(batch_of(payments([START_MS], 0, 1) + payments([START_MS], 1, 1)), 0))
    cut.begin(0, 0)
    list(cut.add(batch_of(payments([START_MS], 0)), 0))
    assert sorted(ranges(cut.close())) == [(0, 0, 1), (1, 0, 2)]
    list(cut.add(batch_of(payments([START_MS], 0, 1) + payments([START_MS], 1, 2)), 0))
    cut.keep([1])
    assert ranges(cut.close()) == [(1, 2, 3)]


TIMES = st.lists(st.one_of(st.none(), st.integers(START_MS, START_MS + 6 * HOUR_MS)), max_size=40)


@given(TIMES, TIMES, st.lists(st.integers(0, 80), max_size=6), st.integers(1, 12))
def test_however_records_arrive_the_blocks_are_the_same_and_hold_each_once(here, there, cuts, block_rows):
    records = [*payments(here, 0), *payments(there, 1)]
    settings = BlockSettings(block_rows, 1_000, 600)

    def blocks(edges):
        cut = cutter(settings, partitions=(0, 1))
        closed = [c for a, b in pairwise(edges) for c in cut.add(batch_of(records[a:b]), 0)]
        return sorted([*closed, *cut.close()], key=lambda each: (each[0].partition, each[0].first))

    whole = blocks([0, len(records)])
    pieces = blocks([0, *sorted(min(cut, len(records)) for cut in cuts), len(records)])
    assert [block for block, _ in whole] == [block for block, _ in pieces]
    assert all(a.equals(b) for (_, a), (_, b) in zip(whole, pieces, strict=True))
    for partition, times in enumerate((here, there)):
        mine = [(block, rows) for block, rows in whole if block.partition == partition]
        assert [b.first for b, _ in mine] == [0, *(b.end for b, _ in mine)][: len(mine)]
        assert (mine[-1][0].end if mine else 0) == len(times)
        held = [offset for _, rows in mine for offset in rows["offset"].to_list()]
        assert held == [offset for offset, time in enumerate(times) if time is not None]


@given(st.lists(records_of(Transaction), min_size=1, max_size=5))
def test_a_row_holds_every_field_of_a_payment(records):
    cut = cutter()
    values = [(0, i, encode(record), record.payer.encode()) for i, record in enumerate(records)]
    closed = list(cut.add(batch_of(values, published=[record.event_time for record in records]), 0))
    rows = pl.concat([rows for _, rows in [*closed, *cut.close()]])
    assert rows.schema == LAYOUTS["transactions"].columns
    for record, row in zip(records, rows.to_dicts(), strict=True):
        assert {name: row[name] for name in record.__struct_fields__} == {
            name: getattr(record, name) for name in record.__struct_fields__
        }


@given(records_of(Label))
def test_a_row_holds_every_field_of_a_label(label):
    cut = cutter(topic="labels")
    list(cut.add(batch_of([(0, 0, encode(label), b"a")], published=[label.known_at]), 0))
    ((block, rows),) = cut.close()
    assert block.hour == label.known_at // HOUR_MS
    (row,) = rows.to_dicts()
    assert {name: row[name] for name in label.__struct_fields__} == {
        name: getattr(label, name) for name in label.__struct_fields__
    }


def test_decisions_become_a_row_a_payment_with_what_the_record_says_of_all():
    cut = cutter(topic="decisions", partitions=(2,))
    records = [
        (2, 10, decisions(2, 100, 3, START_MS, challenger_0=0.5), None),
        (2, 12, decisions(2, 103, 2, START_MS), None),
    ]
    list(cut.add(batch_of([*records, (2, 14, b"junk", None)]), 0))
    ((block, rows),) = cut.close()
    assert (block.partition, block.first, block.end) == (2, 0, 15)
    assert rows.drop("challenger_0").schema == LAYOUTS["decisions"].columns
    assert rows["decision_offset"].to_list() == [10, 10, 10, 12, 12]
    assert rows["offset"].to_list() == [100, 101, 102, 103, 104]
    assert rows["challenger_0"].to_list() == [0.5] * 3 + [None] * 2
    row = rows.row(0, named=True)
    assert (row["topic"], row["partition"], row["model_name"], row["threshold"]) == ("transactions", 2, "champion", 500)
    assert row["challengers"] == [{"name": "other", "sha256": "1" * 64}]


def test_a_record_of_many_rows_counts_by_its_rows():
    cut = cutter(BlockSettings(4, 1_000, 600), topic="decisions")
    records = [
        (0, 0, decisions(0, 0, 3, START_MS), None),
        (0, 1, decisions(0, 3, 3, START_MS), None),
        (0, 2, decisions(0, 6, 3, START_MS), None),
    ]
    assert ranges(cut.add(batch_of(records), 0)) == [(0, 0, 2)]


def test_limits_that_cannot_work_are_refused():
    with pytest.raises(SettingsError):
        BlockSettings(block_rows=0)
