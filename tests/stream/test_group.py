"""Workers that share a topic: every partition has one owner, and what one commits the next goes on from."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.batch_topic import BatchTopic
from stream.faust_app import make_app
from stream.settings import ConsumerSettings, KafkaSettings

pytestmark = [pytest.mark.broker, pytest.mark.slow]
PARTITIONS, RECORDS = 4, 300
WAIT_S = 60.0
SHORTEST_SESSION_MS = 6_000


class Member:
    """A BatchTopic whose batches are committed as they come."""

    def __init__(self, kafka: KafkaSettings, topic: str, slot: int, directory: Path, seen: "Counter[tuple]") -> None:
        app = make_app(kafka.app, directory)
        app.flow_control.resume()
        self.prepared: list[tuple[int, int]] = []
        self.released: list[int] = []
        self.failures: list[Exception] = []
        self._seen = seen
        self.batches = BatchTopic(
            app,
            topic,
            "agent",
            KafkaSettings(kafka.bootstrap_servers, app=kafka.app, slot=slot),
            ConsumerSettings(max_batch=50, session_timeout_ms=SHORTEST_SESSION_MS),
            prepare=self._prepare,
            release=self.released.append,
        )
        self.batches.on_failure = self.failures.append
        self._subscription = aiter(self.batches.channel)

    def _prepare(self, partition: int, committed: int, still_ours: Callable[[], bool]) -> int:
        self.prepared.append((partition, committed))
        return committed

    async def __aenter__(self) -> "Member":
        await self.batches.start()
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(self, *_) -> None:
        await self.batches.stop()
        self._reading.cancel()
        assert not self.failures

    async def _read(self) -> None:
        async for batch in self._subscription:
            value = batch.value
            self.batches.consumer.commit(offsets=value.next_offsets(self.batches.topic), asynchronous=False)
            self._seen.update(zip(value.partitions.tolist(), value.offsets.tolist(), strict=True))
            self.batches.done()


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.05)

    await asyncio.wait_for(wait(), WAIT_S)


def test_two_share_the_partitions_and_one_takes_over_what_the_other_leaves(kafka, make_topic, publish, tmp_path):
    topic = make_topic(partitions=PARTITIONS)
    seen: Counter[tuple] = Counter()

    def more() -> None:
        for partition in range(PARTITIONS):
            publish(topic, [(b"k", b"v")] * RECORDS, partition)

    async def share() -> None:
        first, second = (Member(kafka, topic, slot, tmp_path, seen) for slot in (0, 1))
        async with first:
            await asyncio.to_thread(more)
            await until(lambda: len(seen) == PARTITIONS * RECORDS)
            assert first.batches.partitions == list(range(PARTITIONS))
            async with second:
                await until(lambda: len(first.batches.partitions) == len(second.batches.partitions) == 2)
                await asyncio.to_thread(more)
                await until(lambda: len(seen) == 2 * PARTITIONS * RECORDS)
                assert sorted(first.batches.partitions + second.batches.partitions) == list(range(PARTITIONS))
                given_up = list(second.batches.partitions)
                assert sorted(first.released) == given_up, "only what moved was closed"
                assert sorted(second.prepared) == [(p, RECORDS) for p in given_up], "from what the first had committed"
            assert sorted(second.released) == given_up
            await until(lambda: first.batches.partitions == list(range(PARTITIONS)))
            await asyncio.to_thread(more)
            await until(lambda: len(seen) == 3 * PARTITIONS * RECORDS)
            assert sorted(first.prepared[PARTITIONS:]) == [(p, 2 * RECORDS) for p in given_up]
        assert sorted(first.released[2:]) == list(range(PARTITIONS))
        assert set(seen.values()) == {1}

    asyncio.run(share())
