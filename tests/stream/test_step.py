"""A step that fails is done again from what was committed; one that cannot succeed stops the worker."""

import asyncio
import collections
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import structlog

from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.changelog import POSITION_KEY, decode_position
from stream.errors import Fenced, Retry, Stop, StreamError
from stream.faust_app import make_app
from stream.keyed_state import KeyedState
from stream.logs import configure
from stream.restore import Restorer
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings, RestoreSettings, StateSettings
from stream.step import LONGEST_GATHER_S, Outputs, Patience, StepRunner
from stream.transactions import make_producer

pytestmark = pytest.mark.broker
KEYS, RECORDS, PARTITIONS = 50, 1_000, 2
WAIT_S = 60.0
IMPATIENT = Patience(retries=3, first_pause_s=0.01, longest_pause_s=0.02)


class Stage:
    """The counting job inside the test's process, so that a test can make any part of it fail."""

    def __init__(
        self, counting, kafka: KafkaSettings, source: str, directory: Path, guarantee: str, **consumer: int
    ) -> None:
        self.source, self.results, self.changelog = source, f"{source}-results", f"{source}-changelog"
        directory.mkdir(exist_ok=True)
        self.app = make_app(kafka.app, directory / "faust")
        settings = StateSettings(directory, arena_rows=200, write_buffer_bytes=1 << 20)
        self.state = KeyedState(counting.CountCodec(), directory / "state", settings)
        exact = guarantee == "exactly_once"
        self.restorer = Restorer(kafka, self.changelog, self.state, RestoreSettings(), exact=exact)
        self.producer = make_producer(kafka, ProducerSettings(guarantee=guarantee), "agent", self.changelog)
        self.topic = BatchTopic(
            self.app,
            source,
            "agent",
            kafka,
            ConsumerSettings(**{"max_batch": 100, **consumer}),
            prepare=self._prepare,
            release=self.state.close,
        )
        self._count = counting.count(self.state, self.results, lambda batch: self.runner.redo(batch))
        self.before: Callable[[Batch], None] = lambda batch: None
        """Called at the start of each step's computing."""
        self.after: Callable[[Outputs], None] = lambda outputs: None
        """Called when state and outputs are made."""
        self.runner = StepRunner(
            self.topic, self.producer, self._compute, state=self.state, changelog=self.changelog, patience=IMPATIENT
        )
        self.steps = 0

    def _prepare(self, partition: int, committed: int, still_ours: Callable[[], bool]) -> int:
        restored = self.restorer.restore(partition, committed, still_ours)
        self.runner.prepared(partition, restored.checkpoint)
        return restored.source_offset

    def _compute(self, batch: Batch) -> Outputs:
        self.steps += 1
        self.before(batch)
        outputs: Outputs = self._count(batch)
        self.after(outputs)
        return outputs

    async def run(self, enough: Callable[[], bool]) -> StreamError | None:
        """Until there is enough; returns the error that ended it before."""
        ended: asyncio.Future[StreamError | None] = asyncio.get_running_loop().create_future()

        async def steps(stream) -> None:
            async for batch in stream:
                await self.runner.run(batch)

        async def done() -> None:
            while not (enough() or ended.done()):
                await asyncio.sleep(0.01)

        self.app.agent(self.topic.channel, name="agent")(steps)
        self.topic.on_failure = lambda error: None if ended.done() else ended.set_result(error)
        await self.app.start()
        await self.topic.start()
        self.app.flow_control.resume()
        try:
            await asyncio.wait_for(done(), WAIT_S)
            return ended.result() if ended.done() else None
        finally:
            await self.topic.stop()
            await self.app.stop()
            self.producer.close()

    def applied(self) -> int:
        return sum(max(0, self.runner.applied(p)) for p in range(PARTITIONS))


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """As a worker writes them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("json")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(params=["exactly_once", "at_least_once"])
def guarantee(request) -> str:
    return str(request.param)


@pytest.fixture
def source(make_topic, publish) -> str:
    source: str = make_topic(partitions=PARTITIONS)
    make_topic("-results", partitions=PARTITIONS)
    make_topic("-changelog", partitions=PARTITIONS, **{"cleanup.policy": "compact"})
    for partition in range(PARTITIONS):
        numbers: collections.Counter[int] = collections.Counter()
        records = []
        for n in range(RECORDS):
            key = (n * 7 + partition) % KEYS
            numbers[key] += 1
            records.append((b"%d-%014d" % (partition, key), b"%d" % numbers[key]))
        publish(source, records, partition)
    return source


@pytest.fixture
def make_stage(counting, kafka, source, tmp_path):
    stages = []

    def make(guarantee: str = "exactly_once", directory: str = "worker", slot: int = 0, **consumer: int) -> Stage:
        mine = replace(kafka, slot=slot)
        stages.append(Stage(counting, mine, source, tmp_path / directory, guarantee, **consumer))
        return stages[-1]

    yield make
    for stage in stages:
        stage.state.close_all()


def finish(stage: Stage) -> None:
    """Run to the end of the source; raises what ended it before."""
    error = asyncio.run(stage.run(lambda: stage.applied() == PARTITIONS * RECORDS))
    if error is not None:
        raise error


@pytest.fixture
def assert_exact(counting, source, read_committed):
    """Results, changelog and database hold what folding the source in memory gives."""

    def check(stage: Stage) -> None:
        expected: dict[bytes, int] = collections.Counter(m.key() for m in read_committed(source, PARTITIONS))
        results = read_committed(stage.results, PARTITIONS)
        places = collections.Counter(m.value().split(b":")[0] for m in results)
        assert len(places) == PARTITIONS * RECORDS
        assert set(places.values()) == {1}
        assert {m.value().split(b":")[2] for m in results} == {b"0"}, "out of order"
        for partition in range(PARTITIONS):
            mine = {key: count for key, count in expected.items() if key.startswith(b"%d-" % partition)}
            folded = {
                m.key(): m.value() for m in read_committed(stage.changelog, PARTITIONS) if m.partition() == partition
            }
            assert decode_position(folded.pop(POSITION_KEY)) == RECORDS
            assert counts(counting, folded) == mine
            checkpoint = stage.state.open(partition)
            assert checkpoint is not None
            assert checkpoint.source_offset == RECORDS
            assert counts(counting, {key: stage.state.get(partition, key) for key in mine}) == mine

    return check


def counts(counting, values) -> dict[bytes, int]:
    records = np.zeros(len(values), dtype=counting.COUNT)
    counting.CountCodec().decode(list(values.values()), records, np.arange(len(values)))
    return dict(zip(values, records["count"].tolist(), strict=True))


def test_an_undisturbed_run_is_exact(make_stage, guarantee, assert_exact):
    stage = make_stage(guarantee)
    finish(stage)
    assert_exact(stage)


@pytest.mark.parametrize(
    ("guarantee", "error"), [("exactly_once", ValueError("a mistake")), ("at_least_once", Retry("not now"))]
)
def test_a_step_that_fails_is_done_again_and_its_changes_are_forgotten(make_stage, guarantee, assert_exact, error):
    stage = make_stage(guarantee)

    def fail(_: Outputs) -> None:
        if stage.steps in (2, 3, 7, 11):
            raise error

    stage.after = fail  # the records in memory have been changed by then
    finish(stage)
    assert_exact(stage)


def test_what_was_sent_in_a_step_that_fails_is_not_seen(make_stage, assert_exact):
    stage = make_stage()

    def spoil(outputs: Outputs) -> None:
        if stage.steps == 3:  # the changelog's partition does not exist: found out when all results are sent
            outputs.records.append((stage.changelog, {"key": b"k", "value": b"v", "partition": 99}))

    stage.after = spoil
    with pytest.raises(Stop):
        finish(stage)
    again = make_stage()
    finish(again)
    assert_exact(again)


def test_the_same_records_failing_again_and_again_stop_it_and_stay(make_stage, assert_exact):
    stage = make_stage()

    def fail(batch: Batch) -> None:
        if stage.steps > 4:
            raise ValueError("asha@bank breaks it")

    stage.before = fail
    with pytest.raises(Stop, match="fail again and again: ValueError") as stopped:
        finish(stage)
    assert stage.steps == 4 + IMPATIENT.retries + 1
    assert "asha" not in str(stopped.value)
    again = make_stage()
    finish(again)
    assert_exact(again)


def test_a_success_in_between_gives_new_patience(make_stage, assert_exact):
    stage = make_stage()

    def fail(batch: Batch) -> None:
        if stage.steps in (2, 3, 4, 6, 7, 8):  # twice as often in a row as may pass, then a success
            raise Retry("not now")

    stage.before = fail
    finish(stage)
    assert_exact(stage)


@pytest.mark.parametrize("error", [Stop("no disk", hint="find one"), Fenced("another has it", hint="look for it")])
def test_what_must_stop_it_stops_it_at_once(make_stage, error, assert_exact):
    stage = make_stage()

    def fail(outputs: Outputs) -> None:
        if stage.steps == 3:
            raise error

    stage.after = fail
    with pytest.raises(type(error)):
        finish(stage)
    assert stage.steps == 3
    again = make_stage()
    finish(again)
    assert_exact(again)


def test_state_that_breaks_after_the_commit_is_brought_forward_by_the_changelog(make_stage, guarantee, assert_exact):
    stage = make_stage(guarantee)
    persist, calls = stage.state.persist, iter(range(1_000_000))

    def break_sometimes(partition, *arguments) -> None:
        if next(calls) in (3, 4, 9):
            stage.state.wipe(partition)
        persist(partition, *arguments)

    stage.state.persist = break_sometimes  # type: ignore[method-assign]
    finish(stage)
    assert_exact(stage)


def hold_commits(stage: Stage, hold: Callable[[int], None]) -> None:
    """Call `hold` with the number of each commit before it is made."""
    commit, numbers = stage.producer.commit, itertools.count(1)

    def held(*arguments) -> None:
        hold(next(numbers))
        commit(*arguments)

    stage.producer.commit = held  # type: ignore[method-assign]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def test_the_next_step_computes_while_one_is_committed_and_no_other(make_stage, guarantee, assert_exact):
    stage = make_stage(guarantee)
    ahead = []

    def hold(number: int) -> None:
        if number in (2, 5, 9):
            wait_until(lambda: stage.steps > number)
            time.sleep(0.2)  # enough for a third to begin, if it could
            ahead.append(stage.steps - number)

    hold_commits(stage, hold)
    finish(stage)
    assert ahead == [1, 1, 1]
    assert_exact(stage)


def test_a_commit_that_fails_takes_the_step_with_it_that_was_computed_meanwhile(make_stage, assert_exact):
    stage = make_stage()

    def hold(number: int) -> None:
        if number in (2, 6, 7):
            steps = stage.steps
            wait_until(lambda: stage.steps > steps, 1.0)
            raise Retry("not now")

    hold_commits(stage, hold)
    finish(stage)
    assert_exact(stage)


def test_a_step_whose_publishing_never_ends_is_told_apart_from_a_slow_one(make_stage, monkeypatch):
    stage, seen = make_stage(), []

    def hold(number: int) -> None:
        if number == 2:
            seen.append(stage.runner.stuck)
            monkeypatch.setattr("stream.step.STUCK_S", 0.01)
            time.sleep(0.05)
            seen.append(stage.runner.stuck)

    hold_commits(stage, hold)
    finish(stage)
    assert seen == [False, True]
    assert stage.runner.settle(WAIT_S)
    assert not stage.runner.stuck


def test_nothing_is_published_after_a_step_that_must_stop_it(make_stage, assert_exact):
    stage = make_stage()

    def hold(number: int) -> None:
        if number == 4:
            assert wait_until(lambda: stage.steps == 5)
            raise Stop("no more", hint="none")
        assert number < 4, "the step after was published"

    hold_commits(stage, hold)
    with pytest.raises(Stop, match="no more"):
        finish(stage)
    again = make_stage()
    finish(again)
    assert_exact(again)


def run_both(first: Stage, second: Stage, begin: threading.Event) -> None:
    """Run `first`, and beside it `second` once `begin` is set, until both have applied everything."""

    def done() -> bool:
        applied = (max(first.runner.applied(p), second.runner.applied(p)) for p in range(PARTITIONS))
        return sum(applied) == PARTITIONS * RECORDS

    async def join() -> None:
        while not begin.is_set():
            await asyncio.sleep(0.01)
        assert await second.run(done) is None

    async def both() -> None:
        joining = asyncio.create_task(join())
        assert await first.run(done) is None
        await joining

    asyncio.run(both())


@pytest.mark.parametrize(("revoke_timeout_ms", "settled"), [(10_000, True), (50, False)])
def test_a_partition_that_is_taken_away_during_a_commit_is_exact(make_stage, assert_exact, revoke_timeout_ms, settled):
    """A commit in progress is waited for; after the timeout the step is aborted, and done again by the new owner."""
    first = make_stage(directory="first", revoke_timeout_ms=revoke_timeout_ms)
    second = make_stage(directory="second", slot=1)
    begin, settle, waited = first.producer.begin, first.topic.settle, []
    last, leaving = threading.Event(), threading.Event()
    total, computed = PARTITIONS * RECORDS, itertools.count()

    def count(outputs: Outputs) -> None:
        if [next(computed) for _ in outputs.bulk[first.results]][-1] == total - 1:
            last.set()

    def slow_begin() -> None:
        begin()
        if last.is_set() and not leaving.is_set():  # nothing more to compute: the consumer polls, and hears of it
            assert leaving.wait(WAIT_S)
            time.sleep(0.5)

    def watched(timeout_s: float) -> bool:
        leaving.set()
        waited.append(settle(timeout_s))
        return waited[-1]

    first.after = count
    first.producer.begin = slow_begin  # type: ignore[method-assign]
    first.topic.settle = watched

    run_both(first, second, last)
    assert waited[0] is settled
    third = make_stage(directory="first")
    finish(third)
    assert_exact(third)


def test_a_step_that_computes_for_long_does_not_hold_up_a_rebalance(make_stage, assert_exact):
    first = make_stage(directory="first")
    second = make_stage(directory="second", slot=1)
    slow, left = threading.Event(), []

    def compute_slowly(batch: Batch) -> None:
        if first.steps == 3:
            slow.set()
            left.append(wait_until(lambda: len(first.topic.partitions) == 1, WAIT_S))

    first.before = compute_slowly

    run_both(first, second, slow)
    assert left == [True], "the partition was given up while the step was computing"
    third = make_stage(directory="first")
    finish(third)
    assert_exact(third)


def test_another_worker_goes_on_with_an_empty_directory(make_stage, assert_exact):
    first = make_stage(directory="first")
    assert asyncio.run(first.run(lambda: first.applied() > RECORDS)) is None
    second = make_stage(directory="second")
    finish(second)
    assert_exact(second)


def test_a_next_batch_may_fill_for_as_long_as_publishing_lasts_longer_than_computing(make_stage, assert_exact):
    stage = make_stage("exactly_once")
    gathered: list[float] = []
    done = stage.topic.done

    def noted(gather_s: float) -> None:
        gathered.append(gather_s)
        done(gather_s)

    stage.topic.done = noted
    finish(stage)
    assert gathered[0] == 0  # nothing was published yet
    assert 0 < max(gathered) <= LONGEST_GATHER_S
    assert_exact(stage)


def test_patience_doubles_up_to_its_limit():
    assert [Patience(first_pause_s=1, longest_pause_s=5).pause_s(n) for n in (1, 2, 3, 4, 9)] == [1, 2, 4, 5, 5]
