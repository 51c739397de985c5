"""A standby copy, against a real changelog: it catches up, is handed over, and is never in anybody's way."""

import time
from collections.abc import Callable, Iterator

import pytest

from kit.changelog import COMPACT, WAIT_S, Bench, key, recreate
from stream import standby as standby_module
from stream.errors import Retry
from stream.settings import KafkaSettings
from stream.standby import Standby, chosen

broker = pytest.mark.broker
PARTITIONS = range(64)


def test_workers_with_different_slots_choose_differently():
    choices = {slot: chosen(slot, PARTITIONS, 8) for slot in range(8)}
    assert all(len(choice) == 8 for choice in choices.values())
    assert len({tuple(choice) for choice in choices.values()}) == 8
    assert len(set().union(*choices.values())) > 32


def test_a_choice_changes_little_when_a_partition_comes_or_goes():
    before = chosen(3, PARTITIONS, 8)
    assert chosen(3, [p for p in PARTITIONS if p != before[0]], 8)[:-1] != before
    assert len(set(before) & set(chosen(3, [p for p in PARTITIONS if p != before[0]], 8))) == 7


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture
def bench(counting, kafka, make_topic, tmp_path) -> Iterator[Bench]:
    bench = Bench(counting, kafka, make_topic(**COMPACT), tmp_path)
    yield bench
    bench.state.close_all()


@pytest.fixture
def start(bench, monkeypatch) -> Iterator[Callable[..., Standby]]:
    """`start(settled=…)`: a standby of the bench's one partition."""
    monkeypatch.setattr(standby_module, "CHOOSE_EVERY_S", 0.1)
    monkeypatch.setattr(standby_module, "AGAIN_AFTER_S", 0.5)
    started = []

    def start(limit: int = 1, settled: Callable[[], bool] = lambda: True) -> Standby:
        standby = Standby(bench.kafka, limit)
        standby.agent("counting", bench.changelog, 1, bench.state, settled)
        standby.start()
        started.append(standby)
        return standby

    yield start
    for standby in started:
        standby.stop()


def copied(bench: Bench, k: int) -> bytes | None:
    """A key's record in the copy, if it is open."""
    try:
        return bench.state.get(0, key(k))
    except Retry:
        return None


@broker
def test_a_copy_follows_and_the_restore_after_it_replays_only_the_tail(bench, start):
    bench.owner.step(dict.fromkeys(range(50), 1), 50)
    standby = start()
    wait_for(lambda: copied(bench, 49), "the copy to catch up")
    bench.owner.step({50: 1}, 60)
    wait_for(lambda: copied(bench, 50), "the copy to follow")
    wait_for(lambda: standby.lag("counting") == 0, "no lag")
    standby.let_go("counting", 0)
    bench.owner.step({7: 2}, 70)
    restored = bench.restorer().restore(0, 70)
    assert (restored.records, restored.checkpoint.source_offset) == (1, 70)
    assert bench.counts(7, 49, 50) == [2, 1, 1]
    assert standby.followed("counting") == []


@broker
def test_what_is_owned_is_left_alone_until_it_is_given_back(bench, start):
    standby = start(settled=lambda: True)
    standby.let_go("counting", 0)
    bench.restorer().restore(0, -1)
    bench.owner.step({1: 1}, 10)
    assert copied(bench, 1) is None
    bench.state.close(0)
    standby.give_back("counting", 0)
    wait_for(lambda: copied(bench, 1), "the copy to be taken up again")


@broker
def test_after_a_partition_was_owned_its_copy_goes_on_from_there(bench, start):
    bench.owner.step({1: 1}, 10)
    standby = start()
    wait_for(lambda: copied(bench, 1), "the copy")
    standby.let_go("counting", 0)
    bench.owner.step({2: 1}, 20)
    checkpoint = bench.restorer().restore(0, 20).checkpoint
    bench.state.close(0)
    standby.give_back("counting", 0)
    bench.owner.step({3: 1}, 30)
    wait_for(lambda: copied(bench, 3), "the copy to follow")
    assert bench.state.open(0).changelog_offset > checkpoint.changelog_offset
    assert bench.counts(1, 2, 3) == [1, 1, 1]


@broker
def test_nothing_is_chosen_before_the_group_has_spoken(bench, start):
    spoken: list[bool] = []
    standby = start(settled=lambda: bool(spoken))
    bench.owner.step({1: 1}, 10)
    assert standby.followed("counting") == []
    spoken.append(True)
    wait_for(lambda: copied(bench, 1), "the copy")


@broker
def test_a_copy_of_a_changelog_made_again_is_begun_again(bench, start):
    bench.owner.step({1: 1, 2: 1}, 10)
    start()
    wait_for(lambda: copied(bench, 2), "the copy")
    recreate(bench)
    bench.owner.step({1: 5}, 10)
    wait_for(lambda: copied(bench, 1) == bench.owner.encode(5), "the new changelog's copy")
    wait_for(lambda: copied(bench, 2) is None, "the old one's to be gone")


@broker
def test_an_aborted_step_is_in_no_copy(bench, start):
    start()
    bench.owner.begin({1: 99}, 99)
    bench.owner.producer.abort_transaction(WAIT_S)
    bench.owner.step({2: 1}, 10)
    wait_for(lambda: copied(bench, 2), "the copy")
    assert copied(bench, 1) is None


def test_without_a_limit_nothing_is_followed(tmp_path):
    standby = Standby(KafkaSettings("127.0.0.1:1"), 0)
    standby.start()
    standby.stop()
