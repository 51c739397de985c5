"""A long-running process of Faust agents: what starts, what ends, what decides whether it is live and ready."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from mode import Service
from mode.worker import Worker as ModeWorker

from schemas.errors import FraudStreamError
from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.errors import Stop
from stream.logs import logger
from stream.metrics import METRICS

LIVE_WITHIN_S = 30.0
"""The loop counts as moving if it came round within this time."""
log = logger("worker")


class Running:
    """The parts of a process, and its life: agents over their sources, until a signal or an error ends it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._sources: list[BatchTopic] = []
        self._ends: list[Callable[[], None]] = []
        self._failure: FraudStreamError | None = None
        self._turned = time.monotonic()
        self._worker: ModeWorker | None = None

    def on_end(self, end: Callable[[], None]) -> None:
        """Call `end` when everything has stopped."""
        self._ends.append(end)

    def take(self, source: BatchTopic, step: Callable[[Batch], Awaitable[None]]) -> None:
        """One Faust agent over one source: `step` for each batch."""

        async def steps(stream: AsyncIterator[Batch]) -> None:
            async for batch in stream:
                await step(batch)

        self._app.agent(source.channel, name=source.agent)(steps)
        self._sources.append(source)

    def fail(self, error: FraudStreamError) -> None:
        """End the process because of `error`; the first one counts."""
        if self._failure is None:
            self._failure = error
            log.error("worker ends", error=str(error), hint=error.hint)
            self.end()

    def end(self) -> None:
        """Stop everything, as a signal would. On the event loop."""
        if self._worker is not None:
            self._worker.set_shutdown()
            asyncio.get_running_loop().create_task(self._worker.stop())

    def live(self) -> dict[str, bool]:
        return {"loop": time.monotonic() - self._turned < LIVE_WITHIN_S}

    def ready(self) -> dict[str, bool]:
        return {f"partitions of {source.agent}": source.is_ready() for source in self._sources}

    def run(self) -> None:
        """Run until stopped; everything is closed afterwards, the newest first."""
        service = _Main(self)
        self._worker = ModeWorker(service, loglevel="warning", override_logging=False, redirect_stdouts=False)
        code: object = 0
        try:
            self._worker.execute_from_commandline()
        except SystemExit as ended:
            code = ended.code  # how mode ends a worker
        finally:
            for end in reversed(self._ends):
                end()
        if self._failure is not None:
            raise self._failure
        if code or service.crashed:
            raise Stop("the worker ended by an error that it does not know", hint="see the traceback above")

    async def prepare(self, service: Service) -> bool:
        """What must be there before any group is joined; whether to go on."""
        return True

    async def turned(self) -> None:
        """Called once a second while the process runs."""

    def stopping(self) -> None:
        """Called when everything is about to stop."""

    async def start(self, service: Service) -> None:
        """Take part in the groups."""
        if not await self.prepare(service):
            return
        await service.add_runtime_dependency(self._app)
        for source in self._sources:
            source.on_failure = self.fail
            await service.add_runtime_dependency(source)
        self._app.flow_control.resume()

    async def turn(self, service: Service) -> None:
        """Note that the loop moves, and refresh the gauges."""
        while not service.should_stop:
            self.moves()
            METRICS.ready.set(all(self.ready().values()))
            for source in self._sources:
                METRICS.assigned.labels(source.agent).set(len(source.partitions))
                for partition, lag in source.lag().items():
                    METRICS.lag.labels(source.agent, partition).set(lag)
            await self.turned()
            await service.sleep(1.0)

    def moves(self) -> None:
        """The loop came round."""
        self._turned = time.monotonic()


class _Main(Service):
    """The root of the services."""

    def __init__(self, running: Running) -> None:
        super().__init__()
        self._running = running

    @Service.task
    async def _start(self) -> None:
        await self._running.start(self)

    @Service.task
    async def _turn(self) -> None:
        await self._running.turn(self)

    async def on_stop(self) -> None:
        self._running.stopping()
