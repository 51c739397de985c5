"""The archiver: topics into a lake, everything wired in one readable function."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.archive import Cutter
from agents.archiving import Archiver
from fraudstream.progress import progress
from fraudstream.running import Running
from schemas.lake import LakeTopic
from stream.admin import partitions_of, topic_id
from stream.batch_topic import BatchTopic
from stream.committed import CommittedOffsets, Place
from stream.errors import Stop
from stream.faust_app import make_app
from stream.health import HealthServer
from stream.lake import Lake
from stream.logs import logger
from stream.metrics import METRICS
from stream.settings import BlockSettings, ConsumerSettings, KafkaSettings

log = logger("archive")
ALONE_GRACE_S = 60.0
"""Beyond the session timeout of one that died: so long `--until-end` waits until all partitions are its own."""


@dataclass(frozen=True)
class ArchiveSettings:
    """What an archiver is given."""

    kafka: KafkaSettings
    consumer: ConsumerSettings
    blocks: BlockSettings
    lake: str
    topics: Mapping[LakeTopic, str]
    """What is archived, and the topics' names."""
    metrics_port: int = 9108
    until_end: bool = False
    """End when all is archived that is on the topics at the start."""


def run(settings: ArchiveSettings) -> None:
    """Archive until SIGTERM or SIGINT, or to the end. Raises the `FraudStreamError` that ended it, if one did."""
    kafka, lake = settings.kafka, Lake(settings.lake)
    partitions = partitions_of(kafka, *settings.topics.values())
    app = make_app(kafka.app, Path(tempfile.gettempdir()))
    consumer = replace(settings.consumer, tell_ends=settings.until_end)
    archiving = Archiving(app, alone_within_s=consumer.session_timeout_ms / 1000 + ALONE_GRACE_S)
    for topic, name in settings.topics.items():
        agent = f"archive-{topic}"
        offsets = CommittedOffsets(kafka, agent, name)
        ends = {p: offsets.wait_for(p) for p in range(partitions[name])} if settings.until_end else {}
        identity = topic_id(kafka, name).hex()
        lake.check_source(topic, identity)
        archiver = Archiver(Cutter(topic, settings.blocks), lake, identity)
        source = BatchTopic(app, name, agent, kafka, consumer, prepare=archiver.prepare, release=lambda partition: None)
        archiving.archive(archiver, source, ends)

    health = HealthServer(settings.metrics_port, METRICS.registry, archiving.live, archiving.ready)
    health.start()
    log.info("archiver starts", slot=kafka.slot, path=settings.lake, port=health.port, topic=", ".join(settings.topics))
    try:
        with progress("archiving", archiving.left) as advance:
            archiving.advance = advance
            archiving.run()
    finally:
        health.stop()
    log.info("archiver stopped", slot=kafka.slot)


class Archiving(Running):
    """The archiver's agents."""

    def __init__(self, app: Any, alone_within_s: float) -> None:
        super().__init__(app)
        self._alone_within_s = alone_within_s
        self._alone_at = time.monotonic()
        self.advance: Callable[[int], None] = lambda offsets: None
        """Told how many offsets were passed, on the way to the ends."""
        self._archivers: list[tuple[Archiver, Mapping[int, Place]]] = []
        self._told = 0

    def archive(self, archiver: Archiver, source: BatchTopic, ends: Mapping[int, Place]) -> None:
        """One agent; with `ends`, until it has reached them."""
        archiver.attach(source)
        self.take(source, archiver.run)
        self.on_end(archiver.close)
        self._archivers.append((archiver, ends))

    @property
    def left(self) -> int | None:
        """Offsets to pass up to the ends; None where there are none."""
        places = [place for _, ends in self._archivers for place in ends.values()]
        return sum(place.left for place in places) if places else None

    async def turned(self) -> None:
        await asyncio.gather(*(archiver.tick() for archiver, _ in self._archivers))
        if self.left is None:
            return
        passed = sum(archiver.passed(ends) for archiver, ends in self._archivers)
        self.advance(passed - self._told)
        self._told = passed
        if all(archiver.has_all(ends) for archiver, ends in self._archivers):
            self._alone_at = time.monotonic()
        elif time.monotonic() - self._alone_at > self._alone_within_s:
            hint = "stop them, or leave it to them: without --until-end, archivers share the partitions"
            self.fail(Stop("other archivers have some of the partitions", hint=hint))
        if all([archiver.has_reached(ends) and await archiver.flush() for archiver, ends in self._archivers]):
            self.end()
