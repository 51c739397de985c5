"""`fraudstream models drift`: payments like those of training pass, others ask for training again."""

import re
from xml.etree import ElementTree

import msgspec
import polars as pl
import pytest

from models.bundle import Bundle, write_bundle
from schemas.history import HistoryWriter
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

CONFIG = SimulationConfig(payments=30_000, payers=1500, fraud_rate=0.03, seed=4)
CHANGED_FROM = "2025-12-27"


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    """The same payments twice, once with telemetry that stops and amounts that grow on 27 December."""
    home = tmp_path_factory.mktemp("histories")
    since = pl.col("event_time") >= 1_766_793_600_000
    changes = [
        pl.when(since).then(pl.col("amount") * 20).otherwise(pl.col("amount")).alias("amount"),
        *(
            pl.when(since).then(None).otherwise(pl.col(name)).alias(name)
            for name in ("latitude", "longitude", "gps_accuracy_m", "typing_interval_ms", "tap_interval_ms", "ip")
        ),
    ]
    for name, apply in (("same", []), ("changed", changes)):
        with HistoryWriter(home / name) as writer:
            for slot in Simulation(CONFIG).history():
                writer.write(slot.payments.with_columns(apply), slot.labels)
    return home


@pytest.fixture
def model(run_cli, histories, tmp_path):
    done = run_cli("train", "--data", str(histories / "same"), "--out", str(tmp_path / "model"), "--trees", "20")
    assert done.code == 0, done.err
    return tmp_path / "model"


def test_payments_like_those_of_training_ask_for_nothing_and_others_do(run_cli, histories, model, tmp_path):
    command = ("models", "drift", "--model", str(model), "--from", CHANGED_FROM, "--fail")
    same = run_cli(*command, "--data", str(histories / "same"))
    assert same.code == 0, same.out + same.err
    assert "no need to train again" in same.out
    assert re.search(r"^score +0\.\d{3} +0\.\d{3}", same.out, re.M)

    picture = tmp_path / "drift.svg"
    changed = run_cli(*command, "--data", str(histories / "changed"), "--out", str(picture))
    assert changed.code == 1
    assert "train the model again" in changed.out
    assert re.search(r"^gps_missing .* shifted$", changed.out, re.M)
    assert "gps_missing" in "".join(ElementTree.parse(picture).getroot().itertext())
    assert run_cli(*command[:-1], "--data", str(histories / "changed")).code == 0


def test_a_bundle_without_a_reference_and_a_time_without_payments_are_named(run_cli, histories, model, tmp_path):
    loaded = Bundle.load(model)
    write_bundle(tmp_path / "old", msgspec.structs.replace(loaded.manifest, second_opinion=None), loaded.model)
    old = run_cli("models", "drift", "--model", str(tmp_path / "old"), "--data", str(histories / "same"))
    assert (old.code, "does not say what payments were like" in old.err) == (1, True)
    later = run_cli("models", "drift", "--model", str(model), "--data", str(histories / "same"), "--from", "2027-01-01")
    assert (later.code, "no payments of that time" in later.err) == (1, True)
