"""A small world with two models, a source of several partitions that lies in memory, and a finished backtest."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtest.compare import CompareSettings, Comparison, compare
from backtest.result import Result
from backtest.slab import Slab
from backtest.source import BEGINNING, Position, passing_times
from kit.backtested import simulated
from kit.bank import Bank
from kit.world import World, make_world
from models.batch import from_frame
from models.tokens import Tokeniser
from stream.local_broker import LocalBroker


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def candidate(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another bundle, of the same history."""
    bundle = tmp_path_factory.mktemp("bundles") / "candidate"
    train = ("train", "--data", world.history, "--out", bundle, "--trees", "30", "--depth", "4", "--no-report")
    subprocess.run([sys.executable, "-m", "fraudstream", *map(str, train)], check=True, capture_output=True)
    return bundle


@pytest.fixture(scope="session")
def tokeniser(world: World) -> Tokeniser:
    return Tokeniser.load(world.key)


@dataclass
class Scripted:
    """Payments on partitions by their payer, in slabs of any size."""

    payments: pl.DataFrame
    tokeniser: Tokeniser
    count: int = 3
    sizes: Callable[[], int] = lambda: 1_000
    description: str = "payments in memory"
    notes: tuple[str, ...] = ()
    unreadable: int = 0
    partitions: tuple[int, ...] = field(init=False)
    total: int = field(init=False)

    def __post_init__(self) -> None:
        placed = self.payments.with_columns(partition=pl.col("payer").hash(0) % self.count)
        self.parts = {k: placed.filter(pl.col("partition") == k).drop("partition") for k in range(self.count)}
        self.partitions, self.total = tuple(range(self.count)), self.payments.height

    def whole(self, partition: int) -> bool:
        return True

    def read(self, partition: int, position: Position | None, advance: Callable[[int], None]) -> Iterator[Slab]:
        at, time = (position.offset, position.time) if position else (0, BEGINNING)
        part = self.parts[partition]
        while at < part.height:
            frame = part[at : at + self.sizes()]
            batch = from_frame(frame, self.tokeniser)
            times = passing_times(batch.rows, time)
            advance(len(batch))
            offsets = np.arange(at, at + len(batch))
            yield Slab(batch, times, np.full(len(batch), partition, dtype=np.int32), offsets)
            at, time = at + len(batch), int(times[-1])


@pytest.fixture
def scripted(tokeniser: Tokeniser) -> Callable[..., Scripted]:
    def make(payments: pl.DataFrame, **options: object) -> Scripted:
        return Scripted(payments, tokeniser, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def bank(broker: LocalBroker, world: World, tmp_path: Path, topic_name: str) -> Iterator[Bank]:
    """Topics of the test's own, and workers on them."""
    with Bank(broker.bootstrap_servers, tmp_path / "bank", world, name=topic_name) as opened:
        yield opened


@pytest.fixture
def command() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`command("backtest", "--out", path)`: a command of the product, run as a user does."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FRAUDSTREAM_")}
        given = [sys.executable, "-m", "fraudstream", *map(str, arguments)]
        return subprocess.run(given, capture_output=True, text=True, env=clean | {"COLUMNS": "200"}, check=False)

    return run


@pytest.fixture(scope="session")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A backtest of simulated payments, for all tests; they must not change it."""
    return simulated(tmp_path_factory.mktemp("replayed"))


@pytest.fixture(scope="session")
def compared(replayed: Result) -> Comparison:
    return compare(replayed, CompareSettings(draws=200))
