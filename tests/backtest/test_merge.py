"""Partitions merge into one order, and are cut into the same chunks, however they arrive."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backtest.merge import Progress, steps
from backtest.slab import Slab
from models.batch import PAYMENT, PaymentBatch
from models.passage import CHUNK, CHUNK_MS, chunks

BEGIN = Progress()


def slab_of(partition: int, first: int, times: list[int]) -> Slab:
    offsets = np.arange(first, first + len(times))
    rows = np.zeros(len(times), dtype=PAYMENT)
    rows["event_time"] = offsets  # something by which to know it again
    batch = PaymentBatch([f"{partition}-{offset}" for offset in offsets.tolist()], rows)
    return Slab(batch, np.array(times, dtype=np.int64), np.full(len(times), partition, dtype=np.int32), offsets)


def cut(partition: int, times: list[int], sizes: list[int]) -> list[Slab]:
    slabs, at = [], 0
    while at < len(times):
        size = sizes[len(slabs) % len(sizes)]
        slabs.append(slab_of(partition, at, times[at : at + size]))
        at += size
    return slabs


def passed(streams: dict[int, list[Slab]], progress: Progress = BEGIN) -> tuple[list[str], list[int], list[int]]:
    """Ids, times and where chunks begin, over all steps."""
    ids, times, starts = [], [], []
    for step in steps({key: iter(slabs) for key, slabs in streams.items()}, progress):
        starts += (step.starts + len(ids)).tolist()
        ids += step.slab.batch.ids
        times += step.slab.times.tolist()
        assert step.slab.batch.rows["event_time"].astype(int).tolist() == step.slab.offsets.tolist()
    return ids, times, starts


TIMES = st.lists(st.integers(0, 20 * CHUNK_MS), max_size=60).map(sorted)
SIZES = st.lists(st.integers(1, 20), min_size=1, max_size=5)


@given(parts=st.lists(TIMES, min_size=1, max_size=4), one=SIZES, other=SIZES)
def test_the_order_does_not_depend_on_how_partitions_arrive(parts, one, other):
    expected = sorted(
        (time, partition, offset) for partition, times in enumerate(parts) for offset, time in enumerate(times)
    )
    for sizes in (one, other):
        ids, times, starts = passed({partition: cut(partition, times, sizes) for partition, times in enumerate(parts)})
        assert ids == [f"{partition}-{offset}" for _, partition, offset in expected]
        assert starts == chunks(np.array(times, dtype=np.int64)).tolist()


def test_a_minute_longer_than_any_slab_is_cut_after_two_thousand_payments_each():
    times = np.sort(np.random.default_rng(1).integers(0, CHUNK_MS, 50_000)).tolist()
    halves = {0: cut(0, times[::2], [3_000]), 1: cut(1, times[1::2], [700])}
    ids, _, starts = passed(halves)
    assert len(ids) == 50_000
    assert starts == list(range(0, 50_000, CHUNK))


def test_a_passage_that_goes_on_cuts_as_one_that_never_stopped():
    times = np.sort(np.random.default_rng(2).integers(0, 3 * CHUNK_MS, 70_000)).tolist()
    ids, _, starts = passed({0: cut(0, times, [1_000])})
    stopped, reached = None, 0
    for step in steps({0: iter(cut(0, times, [1_000]))}):
        stopped, reached = step.after, reached + len(step.slab)
        if reached > 30_000:
            break
    assert stopped is not None
    rest = [slab_of(0, reached, times[reached:])]
    later, _, later_starts = passed({0: rest}, stopped)
    assert later == ids[reached:]
    assert [start + reached for start in later_starts] == [start for start in starts if start >= reached]


def test_nothing_gives_nothing():
    assert passed({}) == ([], [], [])
    assert passed({0: [], 1: []}) == ([], [], [])
