"""What the rows of the fault matrix share: brokers with short waits, a world, banks, payments, and the books."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kit.bank import Bank
from kit.ledger import Ledger
from kit.world import World, frames_of, make_world
from stream.local_broker import BrokerSettings, LocalBroker

LONGEST_ROW_S = 2_400
"""In full form."""
EVERY_DAY = 1
"""The seed of the quick form."""
SHORT_WAITS = {
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.min.session.timeout.ms": "1000",
}
"""Of the brokers: what they wait for before they take a client for dead."""
_LEDGER = Ledger()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    if chosen := config.getoption("fault_rows"):
        wanted = set(map(int, chosen.split(",")))
        dropped = [item for item in here if not wanted & set(_rows(item))]
        here = [item for item in here if item not in dropped]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)
    if config.getoption("faults") == "full":
        for item in here:
            item.add_marker(pytest.mark.timeout(LONGEST_ROW_S))
    _LEDGER.write("collected", tests=len(here))


def _rows(item: pytest.Item) -> list[int]:
    """Rows of the matrix that a test is for."""
    return [number for mark in item.iter_markers("row") for number in mark.args]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        _LEDGER.write(
            "ended",
            name=item.name,
            rows=_rows(item),
            outcome=report.outcome,
            seconds=round(report.duration, 2),
            why=str(call.excinfo.value) if call.excinfo else "",
        )
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _LEDGER.write("started", name=item.name, rows=_rows(item))


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the rows run as the matrix says, and not in the short form of every day."""
    return request.config.getoption("faults") == "full"


@pytest.fixture
def only_full(full: bool) -> None:
    """For a row that has no short form."""
    if not full:
        pytest.skip("full only")


@pytest.fixture
def seed(request: pytest.FixtureRequest, full: bool) -> int:
    """Of everything random in a test; shown when it fails. A new one in each full run, else always the same."""
    given = request.config.getoption("faults_seed")
    if given is None:
        given = random.SystemRandom().randrange(2**31) if full else EVERY_DAY
    print(f"to repeat it: --faults-seed {given}")  # noqa: T201  # pytest shows it with a failure
    return int(given)


@pytest.fixture
def row() -> Callable[..., None]:
    """`row(9, findings, kills=200)`: enter a run of a row of the matrix into the books."""
    return _LEDGER.row


@pytest.fixture(scope="session")
def broker(full: bool) -> Iterator[LocalBroker]:
    """A real Kafka for all rows that need no faulty one."""
    with LocalBroker(BrokerSettings(heap="bench" if full else "test", properties=SHORT_WAITS)) as running:
        yield running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def stream_of(world: World) -> Callable[..., list[pl.DataFrame]]:
    """`stream_of(20_000, seed=…)`: so many payments in order, in frames; simulated once a session."""
    made: dict[tuple[int, int], list[pl.DataFrame]] = {}

    def frames(payments: int, seed: int = 7) -> list[pl.DataFrame]:
        if (payments, seed) not in made:
            made[payments, seed] = list(frames_of(payments, seed))
        return made[payments, seed]

    return frames


@pytest.fixture
def make_bank(
    request: pytest.FixtureRequest, world: World, tmp_path: Path, topic_name: str
) -> Iterator[Callable[..., Bank]]:
    """`make_bank(cluster=None, **of Bank)`: a bank on the shared broker, or on a cluster; ends with the test."""
    with ExitStack() as opened:
        count = 0

        def make(cluster: Any = None, **given: Any) -> Bank:
            nonlocal count
            count += 1
            name = f"{topic_name}-{count}"
            brokers = cluster or request.getfixturevalue("broker")
            given = {"name": name, "replication": getattr(brokers, "replication", 1), **given}
            return opened.enter_context(Bank(brokers.bootstrap_servers, tmp_path / name, world, **given))

        yield make
