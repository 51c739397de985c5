"""What an archiver of a real topic does when the lake fails it."""

import asyncio
import threading
import time

import polars as pl
import pytest

from agents.archive import Cutter
from agents.archiving import Archiver
from kit.lake import START_MS
from kit.world import frames_of
from simulator.publish import PublishSettings, publish
from stream.batch_topic import BatchTopic
from stream.committed import CommittedOffsets
from stream.faust_app import make_app
from stream.lake import Lake
from stream.settings import BlockSettings, ConsumerSettings, KafkaSettings

pytestmark = pytest.mark.broker
WAIT_S = 30.0


async def until(holds) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.01)


def test_what_is_read_again_is_not_taken_for_archived(broker, make_topic, tmp_path):
    """The end was reached, the last block could not be written, and the partition has not begun again yet."""
    topic, place = make_topic(), tmp_path / "lake"
    place.write_text("a file, not a directory")
    payments = pl.concat(frames_of(20, seed=1)).with_columns(event_time=START_MS + pl.int_range(pl.len()))
    publish([payments], PublishSettings(broker.bootstrap_servers, topic))
    kafka = KafkaSettings(broker.bootstrap_servers, app=topic)
    ends = {0: CommittedOffsets(kafka, "archive-transactions", topic).wait_for(0)}
    archiver = Archiver(Cutter("transactions", BlockSettings()), Lake(str(place)), "")
    lives, may_begin = [], threading.Event()

    def prepare(partition, committed, still_ours):
        lives.append(partition)
        assert len(lives) == 1 or may_begin.wait(WAIT_S)
        return archiver.prepare(partition, committed, still_ours)

    async def archive() -> None:
        app = make_app(kafka.app, tmp_path)
        app.flow_control.resume()
        source = BatchTopic(
            app,
            topic,
            "archive-transactions",
            kafka,
            ConsumerSettings(tell_ends=True),
            prepare=prepare,
            release=lambda partition: None,
        )
        archiver.attach(source)

        async def take() -> None:
            async for event in source.channel:
                await archiver.run(event.value)

        taking = asyncio.create_task(take())
        await source.start()
        try:
            await until(lambda: archiver.has_reached(ends))
            assert not await archiver.flush()
            await until(lambda: len(lives) == 2)
            assert not archiver.has_reached(ends)
            place.unlink()
            may_begin.set()
            await until(lambda: archiver.has_reached(ends))
            assert await archiver.flush()
        finally:
            taking.cancel()
            await source.stop()
            archiver.close()

    asyncio.run(archive())
    assert sum(map(len, Lake(str(place)).read("transactions", 0))) == ends[0].end
