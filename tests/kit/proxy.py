"""A TCP proxy on the loopback that lets a network's faults happen to a Kafka client, or between two brokers.

    with Proxy(("127.0.0.1", 9092)) as proxy:
        client(f"127.0.0.1:{proxy.port}")
        proxy.hold()

It passes whole Kafka messages (four bytes of length, then the body), never parts of one, so it can tell requests by
their API key and answers by their correlation id. TLS it does not understand. One event loop, in a thread of its own.
"""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

from kit.ports import HOST, free_port

END_TXN = 26
WAIT_S = 10.0
QUEUED_MESSAGES = 1_000
"""Held back at most in each direction of a connection; the sender waits then."""
LENGTH = struct.Struct(">i")
REQUEST = struct.Struct(">hhi")
"""API key, API version, correlation id: how every request begins."""
Message = bytes


@dataclass
class _Loss:
    """Which answers are lost: of requests with this key, and these bytes in them."""

    api_key: int
    containing: bytes
    left: int

    def hits(self, request: Message) -> bool:
        return REQUEST.unpack_from(request)[0] == self.api_key and self.containing in request


@dataclass(eq=False)
class _Connection:
    """A client's connection and ours to the target."""

    client: asyncio.StreamWriter
    target: asyncio.StreamWriter
    lost: set[int] = field(default_factory=set)
    """Correlation ids of the answers that never arrive."""

    def arrives(self, answer: Message) -> bool:
        """Whether an answer reaches the client."""
        return LENGTH.unpack_from(answer)[0] not in self.lost

    def close(self) -> None:
        for writer in (self.client, self.target):
            writer.transport.abort()


class Proxy:
    """Passes everything between whoever connects to `port` and the target, until told otherwise."""

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.target = target
        self.port = port or free_port()
        self.delay_ms = 0.0
        """How much later a message arrives, in either direction."""
        self._losses: list[_Loss] = []
        self._connections: set[_Connection] = set()
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()
        self.mend()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def hold(self) -> None:
        """From now on nothing passes; connections stay, and new ones are taken."""
        self._do(self._set(passing=False))

    def release(self) -> None:
        """Everything that was held back passes."""
        self._do(self._set(passing=True))

    def cut(self) -> None:
        """Close every connection and refuse new ones, until `mend`."""
        self._do(self._cut())

    def mend(self) -> None:
        """Take connections, again."""
        self._do(self._listen())

    def lose_response(self, api_key: int, times: int = 1, *, containing: bytes = b"") -> None:
        """Pass on the next `times` such requests, but instead of each one's answer, end its connection."""
        self._losses.append(_Loss(api_key, containing, times))

    def lose_no_more(self) -> None:
        """Forget the answers that were still to be lost."""
        self._losses.clear()

    @property
    def losses_left(self) -> int:
        """Answers that are still to be lost."""
        return sum(loss.left for loss in self._losses)

    def close(self) -> None:
        """For good."""
        if self._loop.is_running():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WAIT_S)
            self._loop.close()

    # In the loop

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    async def _set(self, *, passing: bool) -> None:
        if passing:
            self._passing.set()
        else:
            self._passing.clear()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _cut(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.close()

    async def _end(self) -> None:
        await self._cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            task = self._loop.create_task(self._serve(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        try:
            target_reader, target_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, target_writer)
        if self._listener is None:  # cut in between
            connection.close()
            return
        self._connections.add(connection)
        ways = [
            asyncio.ensure_future(self._pass(reader, target_writer, partial(self._note_request, connection))),
            asyncio.ensure_future(self._pass(target_reader, writer, connection.arrives)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            connection.close()
            self._connections.discard(connection)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Callable[[Message], bool]
    ) -> None:
        """One direction: messages are stamped as they come, and go when they are due and may pass. Returns when
        the sender has ended, or a message does not pass at all."""
        queue: asyncio.Queue[tuple[float, Message]] = asyncio.Queue(QUEUED_MESSAGES)

        async def take() -> None:
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                message = await reader.readexactly(length)
                await queue.put((time.monotonic() + self.delay_ms / 1000, message))

        async def give() -> None:
            while True:
                due, message = await queue.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._passing.wait()
                if not passes(message):
                    return
                writer.write(LENGTH.pack(len(message)) + message)
                await writer.drain()

        halves = [asyncio.ensure_future(take()), asyncio.ensure_future(give())]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                for done in (await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED))[0]:
                    done.result()
        finally:
            for half in halves:
                half.cancel()

    def _note_request(self, connection: _Connection, request: Message) -> bool:
        for loss in self._losses:
            if loss.left and loss.hits(request):
                loss.left -= 1
                connection.lost.add(REQUEST.unpack_from(request)[2])
        return True
