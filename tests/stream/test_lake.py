"""A lake through crashes, rewrites and compactions that die: each offset is read once, in order, with its row."""

import os
import random
import re
import uuid

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.lake import START_HOUR, START_MS, dies_after, offsets_read, payments, topic_of, write_range
from kit.object_store import BUCKET
from schemas.lake import HOUR_MS, Block
from stream.errors import Retry, Stop
from stream.lake import Lake, Part
from stream.lake_compaction import compact
from stream.lake_files import UNFINISHED
from stream.lake_order import ORDER, in_time_order

MINUTE = 60_000
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["write", "crash", "fenced", "compact", "compaction dies"]),
        st.integers(1, 90),
        st.integers(0, 6),
    ),
    max_size=12,
)


@pytest.fixture(params=["directory", "object store"])
def lake(request, tmp_path) -> Lake:
    if request.param == "directory":
        return Lake(str(tmp_path / "lake"))
    request.getfixturevalue("store")
    return Lake(f"s3://{BUCKET}/{uuid.uuid4().hex}")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_whatever_happens_each_offset_is_read_once(tmp_path_factory, events):
    """`committed` is where the group stands; a crash leaves a block beyond it, a fenced writer one from before."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    committed = written = 0
    for what, count, steps in events:
        if what in ("write", "crash"):
            end = write_range(lake, committed, committed + count).end
            written = max(written, end)
            committed = end if what == "write" else committed
        elif what == "fenced":
            write_range(lake, max(0, committed - count), max(committed, 1))
            written = max(written, 1)
        elif what == "compact":
            compact(lake, "transactions", target_rows=100)
        else:
            with dies_after(lake, steps):
                compact(lake, "transactions", target_rows=count, newest_too=True)
        assert offsets_read(lake) == list(range(written))
    rows = list(lake.read("transactions", 0))
    if rows:
        assert pl.concat(rows).equals(payments([topic_of(offset) for offset in range(written)]))


def test_compaction_merges_neighbours_within_closed_hours_only(lake):
    for first in range(0, 130, 10):  # three hours of a payment a minute
        write_range(lake, first, first + 10)
    done = compact(lake, "transactions")
    assert (done.blocks_before, done.blocks_after) == (13, 3)
    assert [(b.hour - START_HOUR, b.first, b.end) for b in lake.blocks("transactions")] == [
        (0, 0, 60),
        (1, 60, 120),
        (2, 120, 130),
    ]
    assert compact(lake, "transactions").rows_rewritten == 0


def test_compaction_stops_at_the_target_and_at_a_gap(lake):
    for first, end in ((0, 10), (10, 20), (20, 30), (35, 40), (40, 50), (60, 61)):
        write_range(lake, first, end)
    compact(lake, "transactions", target_rows=20)
    assert [(b.first, b.end) for b in lake.blocks("transactions")] == [(0, 20), (20, 30), (35, 50), (60, 61)]


def test_compaction_that_dies_at_any_step_changes_nothing_for_a_reader(lake):
    for step in range(8):
        here = Lake(f"{lake.url}/{step}")
        for first, end in ((0, 10), (0, 25), (10, 20), (20, 30), (30, 40), (40, 50), (60, 70)):
            write_range(here, first, end)
        with dies_after(here, step):
            compact(here, "transactions")
        assert offsets_read(here) == [*range(50), *range(60, 70)]
        compact(here, "transactions")
        assert offsets_read(here) == [*range(50), *range(60, 70)]
        assert [(b.first, b.end) for b in here.blocks("transactions")] == [(0, 50), (60, 70)]


def test_two_compactions_at_once_do_not_each_delete_what_the_other_counts_on(lake):
    """The second one looks while the first has written its block, and deleted nothing yet."""
    for first, end in ((0, 65), (60, 80), (62, 100), (130, 140)):
        write_range(lake, first, end)
    delete = lake.files.delete
    other = Lake(lake.url)

    def meanwhile(names):
        compact(other, "transactions", target_rows=1)  # leftovers only
        delete(names)

    lake.files.delete = meanwhile
    compact(lake, "transactions")
    assert offsets_read(other) == [*range(100), *range(130, 140)]


def test_a_block_that_is_compacted_away_while_it_is_read_is_read_from_the_other(lake):
    for first in (0, 10, 20):
        write_range(lake, first, first + 10)
    listed = lake.takes("transactions")[0]
    compact(lake, "transactions", newest_too=True)
    frames = lake.read_parts(map(Part, listed), ["offset"])
    assert [frame["offset"].to_list() for frame in frames] == [list(range(n, n + 10)) for n in (0, 10, 20)]


def test_blocks_larger_than_what_is_read_ahead_come_in_turn_as_well(lake, monkeypatch):
    monkeypatch.setattr("stream.lake.AHEAD_BYTES", 1)
    for first in range(0, 50, 10):
        write_range(lake, first, first + 10)
    assert offsets_read(lake) == list(range(50))


def test_all_partitions_are_read_one_after_another(lake):
    for first, partition in ((0, 2), (0, 0), (10, 0), (0, 1)):
        write_range(lake, first, first + 10, partition)
    frames = list(lake.read("transactions", columns=["partition", "offset"]))
    places = [place for frame in frames for place in frame.rows()]
    assert places == [(0, n) for n in range(20)] + [(p, n) for p in (1, 2) for n in range(10)]


def test_a_window_of_time_finds_what_came_late(lake):
    late = START_MS - 20 * HOUR_MS
    lake.write(Block("transactions", START_HOUR, 0, 0, 3), payments([START_MS, late, START_MS + MINUTE]))
    write_range(lake, 60, 70)
    read = list(lake.read("transactions", 0, columns=["offset"], start_ms=late, end_ms=late + 1))
    assert [frame["offset"].to_list() for frame in read] == [[1]]
    assert not list(lake.read("transactions", 0, start_ms=late - 5, end_ms=late))


@pytest.mark.parametrize("seed", range(5))
def test_payments_come_in_order_of_event_time_over_partitions_with_the_late_ones_in_their_place(lake, seed):
    rng = random.Random(seed)
    written = []
    for partition in range(3):
        at, first = START_MS, 0
        for _ in range(8):
            times = []
            for _ in range(rng.randrange(1, 40)):
                at += rng.randrange(200_000)
                times.append(at - rng.randrange(30 * HOUR_MS) if rng.random() < 0.1 else at)
            block = Block("transactions", times[0] // HOUR_MS, partition, first, first + len(times))
            written.append(payments(times, partition, first))
            lake.write(block, written[-1])
            first = block.end
    everything = pl.concat(written).sort(ORDER)
    assert pl.concat(in_time_order(lake, everything.columns)).equals(everything)
    for _ in range(10):
        start = START_MS + rng.randrange(-30 * HOUR_MS, 20 * HOUR_MS)
        end = start + rng.randrange(10 * HOUR_MS)
        window = everything.filter(pl.col("event_time").is_between(start, end, closed="left"))
        read = list(in_time_order(lake, everything.columns, start_ms=start, end_ms=end))
        assert (pl.concat(read) if read else window.clear()).equals(window)


def test_columns_that_a_block_lacks_are_null(lake):
    block = Block("transactions", START_HOUR, 0, 0, 2)
    lake.write(block, payments([START_MS, START_MS + 1]).drop("note", "ffri"))
    (rows,) = lake.read("transactions", 0)
    assert rows.columns == payments([]).columns
    assert rows["note"].null_count() == 2
    (few,) = lake.read("transactions", 0, columns=["ffri"])
    assert few.shape == (2, 1)


def test_a_block_may_be_empty(lake):
    lake.write(Block("transactions", START_HOUR, 0, 0, 5), payments([]))
    write_range(lake, 5, 8)
    assert offsets_read(lake) == [5, 6, 7]
    assert [take.end for take in lake.takes("transactions")[0]] == [5, 8]


def test_a_foreign_file_with_a_blocks_name_is_told(lake):
    block = Block("transactions", START_HOUR, 0, 0, 1)
    lake.files.write(block.path, payments([START_MS]), {})
    with pytest.raises(Stop, match="no block"):
        lake.about(block)


def test_a_place_that_nothing_here_can_reach_is_told():
    with pytest.raises(Stop, match="foo"):
        Lake("foo://bucket/lake")


def test_a_store_without_the_bucket_is_told(store):
    with pytest.raises(Retry, match="bucket is not there"):
        write_range(Lake("s3://nowhere/lake"), 0, 1)


def test_an_url_with_a_password_is_refused_and_the_password_not_told():
    with pytest.raises(Stop, match="holds a password") as refused:
        Lake("sftp://asha:secret@host/lake")
    assert "secret" not in f"{refused.value} {refused.value.hint}"


def test_a_listing_that_a_compaction_overtook_is_made_again(lake):
    """It shows the first half as it was before, the other as it is after: the merged block is in neither."""
    for first in range(0, 60, 10):
        write_range(lake, first, first + 10)
    write_range(lake, 60, 70)
    sizes = lake.files.sizes
    before = sizes("transactions")
    compact(Lake(lake.url), "transactions")
    torn = [dict([*before.items()][:3]) | dict([*sizes("transactions").items()][1:])]
    lake.files.sizes = lambda folder: torn.pop() if torn else sizes(folder)
    assert offsets_read(lake) == list(range(70))
    assert not torn


def test_offsets_that_are_missing_stay_missing(lake):
    write_range(lake, 0, 10)
    write_range(lake, 20, 30)
    assert offsets_read(lake) == [*range(10), *range(20, 30)]


def test_an_hour_that_cannot_be_read_is_told(tmp_path):
    lake = Lake(str(tmp_path))
    write_range(lake, 0, 10)
    hour = tmp_path / write_range(lake, 60, 70).directory
    for path in hour.iterdir():
        path.unlink()
    hour.rmdir()
    hour.symlink_to(hour)
    with pytest.raises(Retry, match="listing transactions"):
        lake.blocks("transactions")


def test_what_a_dead_writer_had_not_finished_is_swept_away_when_it_is_old(tmp_path):
    lake = Lake(str(tmp_path))
    block = write_range(lake, 0, 5)
    old, young = (tmp_path / f"{block.path}.{name}{UNFINISHED}" for name in ("old", "young"))
    old.touch()
    young.touch()
    (tmp_path / f"{block.path}.finished-just-now{UNFINISHED}").symlink_to("nowhere")
    os.utime(old, (0, 0))
    compact(lake, "transactions")
    assert (old.exists(), young.exists()) == (False, True)
    assert offsets_read(lake) == list(range(5))


def test_the_pages_ways_to_read_it_give_each_offset_once(tmp_path, monkeypatch, capsys, request):
    monkeypatch.chdir(tmp_path)
    for first, end in ((0, 70), (0, 100), (50, 120), (120, 200)):
        write_range(Lake("lake"), first, end)
    page = (request.config.rootpath / "docs/lake.md").read_text()
    ours, polars = (block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "import" in block)
    names: dict[str, pl.LazyFrame] = {}
    exec(polars, names)
    assert sorted(names["payments"].collect()["offset"]) == list(range(200))
    exec(ours, {})
    assert capsys.readouterr().out.count("shape: ") == 1 + 3, "the sum, and three blocks"
