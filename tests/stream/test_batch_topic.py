"""BatchTopic on a real broker: order, completeness, rewinds, and when it must stop."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.errors import Fenced, Stop, StreamError
from stream.faust_app import make_app
from stream.settings import ConsumerSettings, KafkaSettings

pytestmark = pytest.mark.broker
RECORDS = 6_000
PARTITIONS = 3
WAIT_S = 30.0


class Reader:
    """A BatchTopic without an agent: the test takes the batches."""

    def __init__(self, kafka: KafkaSettings, topic: str, tmp_path: Path, **settings: int) -> None:
        app = make_app(kafka.app, tmp_path)
        app.flow_control.resume()
        self.released: list[int] = []
        self.failed: asyncio.Future[StreamError] = asyncio.get_running_loop().create_future()
        self.prepare: Callable[[int, int], int] = lambda partition, committed: committed
        self.batches = BatchTopic(
            app,
            topic,
            "agent",
            kafka,
            ConsumerSettings(**settings),
            prepare=lambda partition, committed, still_ours: self.prepare(partition, committed),
            release=self.released.append,
        )
        self.batches.on_failure = self.failed.set_result
        self.subscription = aiter(self.batches.channel)

    async def next(self) -> Batch:
        event = await asyncio.wait_for(anext(self.subscription), WAIT_S)
        batch: Batch = event.value
        return batch

    async def failure(self) -> StreamError:
        """What ended the reading; batches are taken and dropped until then."""
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while not self.failed.done():
            assert asyncio.get_running_loop().time() < deadline, "it did not fail"
            self.batches.done()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(anext(self.subscription), 0.1)
        return self.failed.result()

    def commit(self, batch: Batch) -> None:
        self.batches.consumer.commit(offsets=batch.next_offsets(self.batches.topic), asynchronous=False)


def running(reader: Reader, test: Callable[[], Awaitable[None]]) -> Awaitable[None]:
    async def run() -> None:
        await reader.batches.start()
        try:
            await test()
        finally:
            reader.batches.done()
            await reader.batches.stop()

    return run()


@pytest.fixture
def numbered(make_topic, publish) -> Iterator[str]:
    """A topic whose records hold their own offsets."""
    topic = make_topic(partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        publish(topic, [(b"%d" % n, b"%d" % n) for n in range(RECORDS)], partition)
    return topic


def places(batch: Batch) -> list[tuple[int, int]]:
    return list(zip(batch.partitions.tolist(), batch.offsets.tolist(), strict=True))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_record_is_committed_once_and_in_order_through_rewinds(kafka, numbered, tmp_path, seed):
    rng = random.Random(seed)

    async def read() -> None:
        reader = Reader(kafka, numbered, tmp_path, max_batch=400)
        done: dict[int, list[int]] = {p: [] for p in range(PARTITIONS)}

        async def take() -> None:
            while sum(map(len, done.values())) < PARTITIONS * RECORDS:
                batch = await reader.next()
                assert [int(value or b"") for value in batch.values] == batch.offsets.tolist()
                if rng.random() < 0.2:
                    reader.batches.rewind()
                else:
                    reader.commit(batch)
                    for partition, offset in places(batch):
                        done[partition].append(offset)
                reader.batches.done()

        await running(reader, take)
        assert all(offsets == list(range(RECORDS)) for offsets in done.values())

    asyncio.run(read())


def test_a_lone_record_is_a_batch_of_its_own(kafka, make_topic, publish, tmp_path):
    topic = make_topic()

    async def read() -> None:
        reader = Reader(kafka, topic, tmp_path)

        async def take() -> None:
            for n in range(2):
                await asyncio.to_thread(publish, topic, [(b"k", b"%d" % n)], 0)
                batch = await reader.next()
                assert batch.values == [b"%d" % n]
                assert batch.keys == [b"k"]
                assert batch.timestamps[0] > 0
                reader.commit(batch)
                reader.batches.done()

        await running(reader, take)

    asyncio.run(read())


def test_the_end_of_a_partition_is_told_where_that_is_asked_after_all_its_records(kafka, make_topic, publish, tmp_path):
    topic = make_topic(partitions=2)
    publish(topic, [(b"k", b"%d" % n) for n in range(1_000)], 0)

    async def read() -> None:
        reader = Reader(kafka, topic, tmp_path, max_batch=300, tell_ends=True)
        seen: dict[int, int] = {0: 0, 1: 0}
        ends: dict[int, int] = {}

        async def take() -> None:
            while len(ends) < 2:
                batch = await reader.next()
                assert not ends.keys() & set(batch.partitions.tolist())
                for partition, offset in places(batch):
                    seen[partition] = offset + 1
                ends.update(batch.ends)
                assert all(seen[partition] == end for partition, end in ends.items())
                reader.batches.done()

        await running(reader, take)
        assert ends == {0: 1_000, 1: 0}

    asyncio.run(read())


@pytest.mark.parametrize("asked", ["by its settings", "by the step before"])
def test_a_batch_that_is_not_full_waits_for_more_where_that_is_asked(kafka, make_topic, publish, tmp_path, asked):
    topic = make_topic()
    always = asked == "by its settings"

    async def read() -> None:
        reader = Reader(kafka, topic, tmp_path, max_batch=3, gather_ms=60_000 if always else 0)

        async def take() -> None:
            reader.batches.done(gather_s=0.0 if always else 60.0)
            for n in range(3):  # one batch, and the moment it is full
                await asyncio.to_thread(publish, topic, [(b"k", b"%d" % n)], 0)
            assert (await reader.next()).values == [b"0", b"1", b"2"]

        await running(reader, take)

    asyncio.run(read())


def test_nothing_is_read_ahead_of_the_step_in_progress(kafka, numbered, tmp_path):
    async def read() -> None:
        reader = Reader(kafka, numbered, tmp_path, max_batch=100)

        async def take() -> None:
            assert len(await reader.next()) <= 100
            await asyncio.sleep(0.3)
            assert reader.subscription.queue.empty()

        await running(reader, take)

    asyncio.run(read())


def test_a_partition_is_not_read_before_its_state_is_there(kafka, numbered, tmp_path):
    restored = threading.Event()

    async def read() -> None:
        reader = Reader(kafka, numbered, tmp_path, max_batch=1_000)

        def prepare(partition: int, committed: int) -> int:
            if partition == PARTITIONS - 1:  # the last, because one thread prepares them one after another
                restored.wait(WAIT_S)
            return committed

        reader.prepare = prepare

        async def take() -> None:
            early: set[int] = set()
            count = 0
            while count < (PARTITIONS - 1) * RECORDS:
                batch = await reader.next()
                early.update(batch.partitions.tolist())
                count += len(batch)
                reader.batches.done()
            assert early == set(range(PARTITIONS - 1))
            assert not reader.batches.is_ready()
            restored.set()
            late = await reader.next()
            assert set(late.partitions.tolist()) == {PARTITIONS - 1}
            assert reader.batches.is_ready()

        await running(reader, take)
        assert set(reader.released) == set(range(PARTITIONS))

    asyncio.run(read())


def test_a_restore_that_cannot_succeed_stops_it(kafka, numbered, tmp_path):
    async def read() -> None:
        reader = Reader(kafka, numbered, tmp_path)

        def prepare(partition: int, committed: int) -> int:
            raise Stop("no changelog", hint="rebuild it")

        reader.prepare = prepare

        async def take() -> None:
            assert str(await reader.failure()) == "no changelog"
            assert not reader.batches.is_ready()

        await running(reader, take)

    asyncio.run(read())


def test_an_exception_in_a_callback_comes_out_and_takes_nothing_with_it(kafka, numbered, tmp_path):
    async def broken() -> None:
        reader = Reader(kafka, numbered, tmp_path)

        def start_again(partitions: list[int]) -> None:
            raise RuntimeError("in the callback")

        reader.batches._start_again = start_again

        async def take() -> None:
            assert "in the callback" in str(await reader.failure())

        await running(reader, take)

    async def whole() -> None:
        reader = Reader(kafka, numbered, tmp_path)

        async def take() -> None:
            assert {offset for _, offset in places(await reader.next())} >= {0}

        await running(reader, take)

    asyncio.run(broken())
    asyncio.run(whole())


def test_records_deleted_before_they_were_read_stop_it(kafka, numbered, tmp_path):
    async def read() -> None:
        reader = Reader(kafka, numbered, tmp_path, max_batch=100)

        async def take() -> None:
            batch = await reader.next()
            reader.commit(batch)
            client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
            for future in client.delete_records(
                [TopicPartition(numbered, p, RECORDS - 10) for p in range(PARTITIONS)]
            ).values():
                future.result()
            reader.batches.rewind()
            reader.batches.done()
            error = await reader.failure()
            assert isinstance(error, Stop)
            assert "no longer there" in str(error)

        await running(reader, take)

    asyncio.run(read())


def test_the_older_of_two_with_one_slot_is_told_that_it_is_fenced(kafka, numbered, tmp_path):
    async def read() -> None:
        older = Reader(kafka, numbered, tmp_path)
        newer = Reader(kafka, numbered, tmp_path)

        async def both() -> None:
            await older.next()
            older.batches.done()

            async def take_over() -> None:
                error = await older.failure()
                assert isinstance(error, Fenced)
                assert "slot" in error.hint

            await running(newer, take_over)

        await running(older, both)

    asyncio.run(read())
