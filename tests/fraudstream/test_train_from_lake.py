"""A lake of what was published teaches the same as the history that it was published from."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from agents.archive import Cutter
from models.featurising import featurise_to_disk
from models.history import featurise
from schemas.codec import encode as encode_record
from schemas.history import LABEL_COLUMNS, HistoryWriter
from schemas.label import Label
from simulator.config import SimulationConfig
from simulator.encode import encode
from simulator.simulation import Simulation
from stream.batch import Batch
from stream.history import read_transactions, scan_labels, scan_transactions
from stream.lake import Lake
from stream.settings import BlockSettings

PARTITIONS = 3
FASTER = 40
"""The world's two months in a day and a half: fewer hours, fewer files."""


@pytest.fixture(scope="module")
def past() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Payments, and the verdicts that became known of them."""
    slots = list(Simulation(SimulationConfig(12_000, 900, fraud_rate=0.04, seed=11)).history())
    payments = pl.concat(slot.payments for slot in slots).sort("event_time", maintain_order=True)
    labels = pl.concat(slot.labels for slot in slots).filter(pl.col("known_at").is_not_null())
    start = payments["event_time"].min()

    def faster(name: str) -> pl.Expr:
        return start + (pl.col(name) - start) // FASTER

    return (
        payments.with_columns(event_time=faster("event_time")),
        labels.with_columns(event_time=faster("event_time"), known_at=faster("known_at")).select(list(LABEL_COLUMNS)),
    )


@pytest.fixture(scope="module")
def directory(past, tmp_path_factory) -> Path:
    payments, labels = past
    home = tmp_path_factory.mktemp("past") / "history"
    with HistoryWriter(home) as history:
        history.write(payments, labels)
    return home


@pytest.fixture(scope="module")
def lake(past, tmp_path_factory) -> str:
    """What the archiver makes of the same, published by payer over several partitions."""
    payments, labels = past
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    records = [Label(**row) for row in labels.iter_rows(named=True)]
    archive(lake, "transactions", encode(payments), payments["payer"], payments["event_time"])
    archive(lake, "labels", [encode_record(record) for record in records], labels["payer"], labels["known_at"])
    return lake.url


def archive(lake, topic, values, payers, published):
    cutter = Cutter(topic, BlockSettings(block_rows=150, open_rows=1_000))
    partitions = (payers.hash() % PARTITIONS).to_numpy().astype(np.int32)
    for partition in range(PARTITIONS):
        cutter.begin(partition, 0)
        mine = np.flatnonzero(partitions == partition)
        batch = Batch(
            [values[i] for i in mine],
            [payers[int(i)].encode() for i in mine],
            partitions[mine],
            np.arange(mine.size),
            published.to_numpy()[mine],
        )
        for block, rows in cutter.add(batch, 0):
            lake.write(block, rows)
    for block, rows in cutter.close():
        lake.write(block, rows)


def test_features_are_the_same_bit_for_bit(directory, lake, tmp_path):
    there, here = (
        featurise(scan_transactions(data).collect(), scan_labels(data).collect()) for data in (directory, lake)
    )
    assert here.payments.equals(there.payments)
    assert here.features.tobytes() == there.features.tobytes()
    parts = list(read_transactions(lake))
    assert len(parts) > 10
    by_disk = featurise_to_disk(iter(parts), scan_labels(lake), tmp_path / "features")
    assert np.asarray(by_disk.features).tobytes() == there.features.tobytes()


def test_the_model_is_the_same(directory, lake, tmp_path, run_cli):
    options = ("--trees", "20", "--no-report", "--no-second-opinion", "--threads", "1", "--label-delay", "1h")
    for name, data in (("there", directory), ("here", lake)):
        outcome = run_cli("train", "--data", str(data), "--out", str(tmp_path / name), "--name", "model", *options)
        assert outcome.code == 0, outcome.err
    there, here = ((tmp_path / name / "model.ubj").read_bytes() for name in ("there", "here"))
    assert here == there
