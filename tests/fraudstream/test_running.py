"""How a worker's parts end together."""

from typing import Any

import pytest
from mode import Service

from fraudstream.running import Running
from stream.errors import Stop


class App(Service):
    """Stands for Faust's app."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self._problem = problem

    async def on_start(self) -> None:
        raise self._problem


@pytest.fixture
def ended() -> list[str]:
    return []


def running(app: Any, ended: list[str]) -> Running:
    parts = Running(app)
    parts.on_end(lambda: ended.append("first"))
    parts.on_end(lambda: ended.append("second"))
    return parts


def test_an_error_that_nobody_expected_ends_the_worker_as_one(ended: list[str]) -> None:
    with pytest.raises(Stop, match="does not know"):
        running(App(RuntimeError("no such place")), ended).run()
    assert ended == ["second", "first"]
