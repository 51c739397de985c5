"""A call that never returns costs its thread, and nothing else."""

import threading

import pytest

from stream.left_behind import Caller


def test_what_a_call_raises_is_raised():
    caller, done = Caller("test"), []
    caller.call(lambda: done.append(1), 5)
    with pytest.raises(ZeroDivisionError):
        caller.call(lambda: 1 / 0, 5)
    caller.call(lambda: done.append(2), 5)
    assert done == [1, 2]
    assert caller.left_behind == 0
    caller.close()


def test_calls_share_a_thread():
    caller, threads = Caller("test"), set()
    for _ in range(3):
        caller.call(lambda: threads.add(threading.get_ident()), 5)
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    caller.close()


def test_a_call_that_hangs_is_left_behind_and_the_next_one_is_made():
    caller, hanging, done = Caller("test"), threading.Event(), []
    with pytest.raises(TimeoutError):
        caller.call(hanging.wait, 0.05)
    assert caller.left_behind == 1
    caller.call(lambda: done.append(1), 5)
    assert done == [1]
    hanging.set()
    caller.close()


def test_closing_ends_the_thread():
    caller, threads = Caller("test"), []
    caller.call(lambda: threads.append(threading.current_thread()), 5)
    caller.close()
    threads[0].join(5)
    assert not threads[0].is_alive()
