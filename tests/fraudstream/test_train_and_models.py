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


def test_a_bundles_report_can_be_made_again_from_its_history(bundle, run_cli, data, tmp_path):
    path, _ = bundle
    out = tmp_path / "report"
    done = run_cli("models", "report", "--model", str(path), "--data", str(data), "--out", str(out))
    assert done.code == 0, done.err
    assert str(out / "report.html") in done.out
    assert {"report.html", "beeswarm.png", "roc.svg"} <= {file.name for file in out.iterdir()}

    sealed = run_cli("models", "report", "--model", str(path), "--data", str(data), "--out", str(path))
    assert (sealed.code, "sealed" in sealed.err) == (1, True)


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


def test_a_budget_by_cost_is_recorded_with_what_it_means(run_cli, data, tmp_path):
    arguments = ("--trees", "20", "--missed-cost", "1", "--review-cost", "150", "--threads", "1")
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), *arguments)
    assert done.code == 0, done.err
    manifest = Bundle.load(tmp_path / "model").manifest
    assert manifest.budget == {"missed_cost": 1.0, "review_cost": 150.0}
    means = manifest.budget_implies
    assert means["cost_rupees_per_day"] < means["cost_rupees_per_day_without_alerts"]
    assert "a day, ₹" in done.out


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        (("--alert-fpr", "0.01", "--alerts-per-day", "10"), "exactly one of"),
        (("--missed-cost", "1"), "needs both prices"),
        (("--alerts-per-day", "0"), "above 0"),
    ],
)
def test_several_budgets_or_half_a_one_are_refused_before_the_work(run_cli, data, tmp_path, budgets, message):
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), *budgets)
    assert (done.code, message in done.err, "--review-cost" in done.err) == (1, True, True)


def test_parameters_of_xgboost_are_given_by_name(run_cli, data, tmp_path):
    arguments = ("--trees", "5", "--param", "min_child_weight=3", "--param", "colsample_bytree=0.5", "--threads", "1")
    assert run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), *arguments).code == 0
    parameters = Bundle.load(tmp_path / "model").manifest.parameters
    assert (parameters["min_child_weight"], parameters["colsample_bytree"], parameters["gamma"]) == (3, 0.5, 0)


@pytest.mark.parametrize(
    ("param", "hint"),
    [("eta=3", "choose of min_child_weight"), ("gamma=much", "gamma=0.5"), ("colsample_bytree=7", "--help")],
)
def test_a_parameter_that_cannot_be_is_refused(run_cli, data, tmp_path, param, hint):
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), "--param", param)
    assert (done.code, hint in done.err) == (1, True)


def test_training_by_way_of_the_disk_leaves_nothing_but_the_bundle(run_cli, data, tmp_path):
    arguments = ("--trees", "20", "--external-memory", "--threads", "1")
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "out" / "model"), *arguments)
    assert done.code == 0, done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]
    assert Bundle.load(tmp_path / "out" / "model").manifest.metrics["auc"] > 0.9


def test_an_interrupted_search_exits_with_130_says_how_to_go_on_and_does(run_cli, data, tmp_path, monkeypatch):
    from models.training.folds import Fold

    figures, calls = Fold.figures, []

    def interrupted(self, settings):
        calls.append(settings)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return figures(self, settings)

    command = ("train", "--data", str(data), "--out", str(tmp_path / "model"), "--trees", "5", "--threads", "1")
    command += ("--trials", "2", "--folds", "2")
    monkeypatch.setattr(Fold, "figures", interrupted)
    stopped = run_cli(*command)
    assert stopped.code == 130
    assert "no bundle was written" in stopped.err
    assert [path.name for path in tmp_path.iterdir()] == ["model.study"]
    done = run_cli(*command)
    assert done.code == 0, done.err
    assert Bundle.load(tmp_path / "model").manifest.search["trials"] == 2
    assert "best value" in done.out
    assert "out of fold" in done.out


def test_a_gpu_that_is_not_there_is_told_before_the_work(run_cli, data, tmp_path, monkeypatch):
    monkeypatch.setattr("models.training.device.gpus", lambda: 0)
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), "--device", "cuda")
    assert (done.code, "no NVIDIA GPU" in done.err or "without CUDA" in done.err) == (1, True)
    assert "--device cpu" in done.err


def test_several_seeds_are_shown_with_their_interval(run_cli, data, tmp_path):
    arguments = ("--trees", "10", "--seeds", "2", "--threads", "1")
    done = run_cli("train", "--data", str(data), "--out", str(tmp_path / "model"), *arguments)
    assert done.code == 0, done.err
    assert "95 % interval" in done.out
    assert len(Bundle.load(tmp_path / "model").manifest.over_seeds["auc"].values) == 2
