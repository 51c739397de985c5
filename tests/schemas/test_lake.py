"""Names of blocks, and the reader's rule over whatever crashes and rewrites leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.lake import Block, Take, cover, gaps

HOUR = 472_224  # 2023-11-15, midnight UTC


def block(first, end, partition=0, hour=HOUR):
    return Block("transactions", hour, partition, first, end)


def taken(blocks, from_offset=0, partition=0):
    return [(take.block.first, take.first, take.end) for take in cover(blocks, from_offset).get(partition, [])]


def test_a_block_is_named_by_its_topic_hour_partition_and_offsets():
    path = "transactions/date=2023-11-15/hour=00/00003-00000000000000120000-00000000000000180500.parquet"
    assert block(120_000, 180_500, partition=3).path == path
    assert Block.of_path(path) == block(120_000, 180_500, partition=3)


@pytest.mark.parametrize(
    "path",
    [
        "transactions/date=2023-11-15/part-0.parquet",
        "alerts/date=2023-11-15/hour=00/00003-00000000000000000000-00000000000000000001.parquet",
        "transactions/date=2023-11-31/hour=00/00003-00000000000000000000-00000000000000000001.parquet",
        "transactions/date=2023-11-15/hour=00/00003-00000000000000000001-00000000000000000001.parquet",
        "transactions/date=2023-11-15/hour=00/00003-00000000000000000000-00000000000000000001.parquet.0f.unfinished",
    ],
)
def test_other_files_are_no_blocks(path):
    assert Block.of_path(path) is None


@given(st.sampled_from(["transactions", "decisions", "labels"]), st.integers(263_000, 1_139_000), st.integers(0, 9999))
def test_a_name_tells_the_block(topic, hour, partition):
    here = Block(topic, hour, partition, 7, 2**62)
    assert Block.of_path(here.path) == here


def test_an_offset_is_taken_from_the_first_block_that_has_it():
    assert taken([block(0, 100), block(100, 200)]) == [(0, 0, 100), (100, 100, 200)]
    assert taken([block(0, 100), block(0, 150), block(100, 200)]) == [(0, 0, 150), (100, 150, 200)]
    assert taken([block(100, 200), block(0, 100)], from_offset=150) == [(100, 150, 200)]
    assert taken([block(0, 100, partition=1)]) == []


def test_gaps_lie_between_blocks_only():
    takes = cover([block(10, 20), block(20, 30), block(45, 50)])[0]
    assert list(gaps(takes)) == [(30, 45)]
    assert takes[0] == Take(block(10, 20), 10)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25)), max_size=15), st.integers(0, 60))
def test_every_offset_held_is_taken_once_and_in_order(ranges, from_offset):
    blocks = [block(first, first + count) for first, count in ranges]
    offsets = [offset for _, first, end in taken(blocks, from_offset) for offset in range(first, end)]
    held = {offset for each in blocks for offset in range(each.first, each.end) if offset >= from_offset}
    assert offsets == sorted(held)
