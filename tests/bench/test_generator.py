"""What the open-loop generator sends."""

from pathlib import Path

import polars as pl
import pytest

from bench.generator import load
from schemas.history import HistoryWriter, read_transactions
from simulator.config import SimulationConfig
from simulator.simulation import Simulation


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few days, each a frame of its own."""
    place = tmp_path_factory.mktemp("history") / "history"
    with HistoryWriter(place) as writer:
        for slot in Simulation(SimulationConfig(2_000, 200, seed=3, days=4.0)).history():
            writer.write(slot.payments, slot.labels)
    return place


@pytest.mark.parametrize("skip", [0, 7, 700, 1_500])
def test_payments_are_taken_after_those_to_skip_whatever_frame_they_lie_in(history: Path, skip: int) -> None:
    payers = pl.concat(read_transactions(history))["payer"].to_list()
    keys, values = load(history, 300, skip)
    assert [key.decode() for key in keys] == payers[skip : skip + 300]
    assert len(values) == 300
