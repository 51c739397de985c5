"""What is made ahead arrives in order, stays bounded, and ends with whoever wanted it."""

import threading
import time

import pytest

from backtest.ahead import ahead


def test_everything_arrives_in_order():
    assert list(ahead(lambda: iter(range(100)), 3, "numbers")) == list(range(100))


def test_no_more_is_made_than_is_wanted():
    made = []

    def numbers():
        for k in range(1_000):
            made.append(k)
            yield k

    stream = ahead(numbers, 3, "numbers")
    assert next(stream) == 0
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # taken, in the queue, in the hand


def test_an_error_arrives_after_what_came_before_it():
    def numbers():
        yield 1
        raise ValueError("broken")

    stream = ahead(numbers, 3, "numbers")
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)


def test_closing_ends_the_thread_and_the_iterator():
    ended = threading.Event()

    def numbers():
        try:
            while True:
                yield 1
        finally:
            ended.set()

    stream = ahead(numbers, 1, "endless")
    assert next(stream) == 1
    stream.close()
    assert ended.is_set()
    assert "endless" not in {thread.name for thread in threading.enumerate()}
