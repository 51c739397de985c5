"""Even spacing, by a clock that the test advances."""

from simulator.pacing import LATE_S, Pacer


class ByHand:
    """A clock that goes on only when somebody sleeps or the test says so."""

    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds


def test_payments_become_due_one_by_one_at_the_rate():
    clock = ByHand()
    pacer = Pacer(100.0, clock, clock.now())
    times = []
    for _ in range(50):
        assert pacer.take(1) == 1
        times.append(clock.now() - 100.0)
    assert all(abs(time - number / 100) < 0.0011 for number, time in enumerate(times))
    assert pacer.late == 0


def test_a_rate_above_a_thousand_is_spread_over_the_ticks():
    clock = ByHand()
    pacer = Pacer(10_000.0, clock, clock.now())
    while clock.now() < 101.0:
        assert pacer.take(1_000) <= 11
    assert abs(pacer.sent - 10_000) <= 11
    assert pacer.late == 0


def test_a_stall_is_caught_up_at_once_and_its_payments_count_as_late():
    clock = ByHand()
    pacer = Pacer(1_000.0, clock, clock.now())
    pacer.take(1)
    clock.sleep(0.5)
    assert pacer.take(10_000) == 500
    assert pacer.late == 500 - round(LATE_S * 1000)
    assert 0.49 < pacer.worst_s < 0.5
    assert pacer.take(1) == 1
    assert pacer.sent == 502


def test_no_more_are_taken_than_there_are():
    clock = ByHand()
    pacer = Pacer(1_000.0, clock, clock.now())
    clock.sleep(1.0)
    assert pacer.take(300) == 300
    assert pacer.scheduled(300) == 100.3
