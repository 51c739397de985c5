"""Small blocks of payments, for tests of lakes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import polars as pl

from schemas.history import conform
from schemas.lake import HOUR_MS, LAYOUTS, Block
from stream.errors import Retry
from stream.lake import Lake

START_MS = 1_700_006_400_000  # a midnight, UTC
START_HOUR = START_MS // HOUR_MS


def payments(times: list[int], partition: int = 0, first: int = 0) -> pl.DataFrame:
    """A row a time, in this order of offsets, as a lake has them."""
    count = len(times)
    offsets = range(first, first + count)
    named = {
        "transaction_id": [f"t{partition}-{offset}" for offset in offsets],
        "event_time": times,
        "payer": ["asha@okbank"] * count,
        "payee": ["tea.stall@upi"] * count,
        "amount": [12_000] * count,
    }
    place = {"partition": [partition] * count, "offset": list(offsets), "published": times}
    kinds = {name: LAYOUTS["transactions"].columns[name] for name in place}
    rows = pl.DataFrame(named, schema_overrides={"event_time": pl.Int64, "amount": pl.Int64})
    return conform(rows).collect().hstack(pl.DataFrame(place, schema=kinds))


def topic_of(offset: int) -> int:
    """The event time of the record at an offset, in a topic of a payment a minute."""
    return START_MS + offset * 60_000


def write_range(lake: Lake, first: int, end: int, partition: int = 0) -> Block:
    """The block of a range of offsets: what it holds follows from the range alone."""
    block = Block("transactions", topic_of(first) // HOUR_MS, partition, first, end)
    lake.write(block, payments([topic_of(offset) for offset in range(first, end)], partition, first))
    return block


def offsets_read(lake: Lake, partition: int = 0, from_offset: int = 0) -> list[int]:
    """The offsets that a reader gets, as they come."""
    frames = lake.read("transactions", partition, from_offset, columns=["offset"])
    return [offset for frame in frames for offset in frame["offset"].to_list()]


class Died(Exception):
    """What ends a process that a test kills in memory."""


@contextmanager
def dies_after(lake: Lake, steps: int) -> Iterator[None]:
    """The lake's files are changed `steps` times more; then whoever changes them is dead."""
    files = lake.files
    left = steps

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def once(*arguments: object) -> object:
            nonlocal left
            if left == 0:
                raise Died
            left -= 1
            return change(*arguments)

        return once

    kept = files.write, files.delete
    delete_all = files.delete
    files.write = counted(files.write)  # type: ignore[method-assign,assignment]
    one_by_one = counted(lambda name: delete_all([name]))
    files.delete = lambda names: [one_by_one(name) for name in names]  # type: ignore[method-assign,assignment,return-value]
    try:
        yield
    except (Died, Retry):
        pass
    finally:
        files.write, files.delete = kept  # type: ignore[method-assign]
