"""The circuit breaker: a few bad records pass, nothing but bad ones stop the worker."""

import numpy as np
import pytest

from agents.breaker import REJECT_LIMIT, CircuitBreaker
from stream.errors import Stop


def see(breaker: CircuitBreaker, records: str, offset: int = 0, partition: int = 0) -> None:
    """A step over records of one partition, `x` for one that cannot be read."""
    rejected = [i for i, record in enumerate(records) if record == "x"]
    offsets = np.arange(offset, offset + len(records), dtype=np.int64)
    breaker.see(np.full(len(records), partition, dtype=np.int32), offsets, rejected)


def test_it_trips_with_the_last_of_the_limit_and_says_what_to_do():
    breaker = CircuitBreaker(limit=3, dead_letters="set-aside")
    see(breaker, "xx")
    with pytest.raises(Stop, match="3 records in a row") as stopped:
        see(breaker, "x", offset=2)
    assert "set-aside" in stopped.value.hint
    assert "nothing was lost" in stopped.value.hint


def test_one_good_record_starts_the_count_anew():
    breaker = CircuitBreaker(limit=3)
    see(breaker, "xx.xx")
    assert breaker.in_a_row == 2
    see(breaker, ".", offset=5)
    assert breaker.in_a_row == 0
    see(breaker, "xx", offset=6)


def test_it_trips_inside_a_step_that_ends_well():
    with pytest.raises(Stop):
        see(CircuitBreaker(limit=3), ".xxx....")


def test_records_of_all_partitions_count_together():
    breaker = CircuitBreaker(limit=3)
    see(breaker, "x", partition=0)
    see(breaker, "x", partition=1)
    with pytest.raises(Stop):
        see(breaker, "x", partition=2)


def test_a_step_that_is_done_again_counts_once():
    breaker = CircuitBreaker(limit=5)
    for _ in range(9):
        see(breaker, ".xxx")
        see(breaker, "..", offset=0)
        see(breaker, "xx", offset=1)
    assert breaker.in_a_row == 3
    with pytest.raises(Stop):
        see(breaker, "xxxxx", offset=1)


def test_a_limit_of_zero_never_trips():
    see(CircuitBreaker(limit=0), "x" * 5 * REJECT_LIMIT)
