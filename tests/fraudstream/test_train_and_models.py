"""`fraudstream train` and `fraudstream models`, on payments of the simulator."""

import re
import shutil

import pytest

from models.bundle import Bundle


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    from schemas.history import HistoryWriter
    from simulator.config import SimulationConfig
    from simulator.simulation import Simulation

    directory = tmp_path_factory.mktemp("history")
    with HistoryWriter(directory) as writer:
        for slot in Simulation(SimulationConfig(payments=30_000, payers=1500, fraud_rate=0.03, seed=4)).history():
            writer.write(slot.payments, slot.labels)
    return directory


@pytest.fixture
def bundle(run_cli, data, tmp_path):
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "models" / "first"), "--trees", "40")
    assert done.code == 0, done.err
    return tmp_path / "models" / "first", done.out


def test_training_writes_a_bundle_and_prints_what_it_is_worth(bundle):
    path, printed = bundle
    loaded = Bundle.load(path)
    assert loaded.manifest.name == "first"
    assert loaded.manifest.metrics["auc"] > 0.9
    assert loaded.sha256 in printed
    assert loaded.manifest.second_opinion is not None
    for text in ("second opinion: 100 trees", "recall at fpr 0.005", "critical", "alert recall, ", "average precision"):
        assert text in printed


def test_a_bundle_is_verified_and_a_damaged_one_fails_with_exit_code_1(bundle, run_cli):
    path, _ = bundle
    sha256 = Bundle.load(path).sha256
    assert run_cli("models", "verify", str(path), "--sha256", sha256[:20]).code == 0
    other = run_cli("models", "verify", str(path), "--sha256", "0" * 64)
    assert (other.code, "another one" in other.err) == (1, True)

    with (path / "model.ubj").open("r+b") as file:
        file.write(b"x")
    damaged = run_cli("models", "verify", str(path))
    assert damaged.code == 1
    assert "damaged or exchanged" in damaged.err
    assert "what to do: " in damaged.err


def test_bundles_are_listed_with_those_that_cannot_be_used(bundle, run_cli):
    path, _ = bundle
    shutil.copytree(path, path.with_name("broken"))
    (path.with_name("broken") / "model.ubj").unlink()
    listed = run_cli("models", "list", str(path.parent))
    assert listed.code == 0
    assert re.search(r"first +20\d\d-", listed.out)
    assert "broken cannot be used: model.ubj cannot be read" in listed.out


def test_an_existing_bundle_is_kept_unless_said_otherwise(bundle, run_cli, data):
    path, _ = bundle
    refused = run_cli("train", "--data", str(data), "--out", str(path))
    assert (refused.code, "--overwrite" in refused.err) == (1, True)


def test_the_cutoff_can_be_given_and_later_payments_left_unread(run_cli, data, tmp_path):
    arguments = ("--trees", "5", "--train-to", "2025-12-20", "--to", "2025-12-27", "--no-early-stopping")
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), *arguments, "--alert-fpr", "0.02")
    assert done.code == 0, done.err
    manifest = Bundle.load(tmp_path / "model").manifest
    assert manifest.cutoff == 1_766_188_800_000
    assert manifest.test is not None
    assert manifest.cutoff <= manifest.test.start < manifest.test.end <= manifest.cutoff + 7 * 86_400_000
    assert manifest.alert_false_positive_rate <= 0.02
    assert manifest.trees == 5


def test_a_history_too_short_to_learn_from_says_so(run_cli, data, tmp_path):
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "m"), "--to", "2025-11-04")
    assert done.code == 1
    assert "too few" in done.err
    assert not (tmp_path / "m").exists()


def test_a_directory_without_payments_is_named(run_cli, tmp_path):
    done = run_cli("train", "--data", str(tmp_path), "--out", str(tmp_path / "m"))
    assert (done.code, str(tmp_path) in done.err) == (1, True)
