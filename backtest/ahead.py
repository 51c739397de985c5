"""Work done ahead in a thread, a bounded number of items. What takes long there runs without the GIL."""

import threading
from collections.abc import Callable, Generator, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
LOOK_S = 0.05
"""How soon a thread notices that nobody wants more."""


def ahead(make: Callable[[], Iterator[T]], depth: int, name: str) -> Generator[T]:
    """What `make()` gives, made in a thread at most `depth` items ahead. Closing it ends the thread and the iterator.

    An exception of the iterator is raised here, after what came before it.
    """
    items: Queue[T | BaseException | None] = Queue(depth)
    closed = threading.Event()

    def put(item: T | BaseException | None) -> bool:
        while not closed.is_set():
            try:
                items.put(item, timeout=LOOK_S)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        iterator = make()
        try:
            for item in iterator:
                if not put(item):
                    return
            put(None)
        except BaseException as error:
            put(error)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = items.get(timeout=LOOK_S)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()
