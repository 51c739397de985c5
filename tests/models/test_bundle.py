"""Bundles: what is written is what is read, and nothing else is."""

import subprocess
import sys

import msgspec
import pytest
import xgboost

from models.bundle import FORMAT_VERSION, Bundle, BundleError, write_bundle
from models.catalogue import FEATURE_NAMES


@pytest.fixture
def edit(bundle_path):
    """Change the manifest's JSON in place, as someone might by hand."""

    def apply(**changes):
        path = bundle_path / "manifest.json"
        manifest = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode({**manifest, **changes}))

    return apply


@pytest.fixture
def never_reaches_xgboost(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("XGBoost was given something that had not been verified")

    monkeypatch.setattr(xgboost, "Booster", refuse)


def test_a_written_bundle_reads_back_as_it_was(trained, kept_bundle):
    again = Bundle.load(kept_bundle.path)
    assert again.model == trained.model
    assert msgspec.structs.replace(again.manifest, files={}) == trained.manifest
    assert again.sha256 == kept_bundle.sha256
    assert again.ref.sha256 == again.sha256
    assert set(again.manifest.files) == {"model.ubj", "README.md", "drift.json"}


def test_the_model_card_states_windows_bands_and_metrics(kept_bundle):
    card = (kept_bundle.path / "README.md").read_text()
    for text in (
        "# test",
        "| critical |",
        "| average precision |",
        "the 1 day before",
        "| app_scam |",
        "`max_depth` | 6",
    ):
        assert text in card


@pytest.mark.parametrize("name", ["model.ubj", "README.md"])
@pytest.mark.usefixtures("never_reaches_xgboost")
def test_a_single_flipped_bit_is_noticed(bundle_path, name):
    content = bytearray((bundle_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_path / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is not the file") as raised:
        Bundle.load(bundle_path)
    assert raised.value.hint


@pytest.mark.parametrize("name", ["model.ubj", "manifest.json", "README.md"])
@pytest.mark.parametrize("change", ["truncated", "empty", "missing", "a directory"])
@pytest.mark.usefixtures("never_reaches_xgboost")
def test_damaged_and_missing_files_are_refused(bundle_path, name, change):
    file = bundle_path / name
    content = file.read_bytes()
    file.unlink()
    if change == "a directory":
        file.mkdir()
    elif change != "missing":
        file.write_bytes(content[: len(content) // 2] if change == "truncated" else b"")
    with pytest.raises(BundleError, match="cannot be used"):
        Bundle.load(bundle_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_names": list(FEATURE_NAMES[1:])}, "not one value a feature"),
        ({"feature_names": [*FEATURE_NAMES[:-1], "mood"]}, "other features .*mood"),
        ({"feature_names": [*FEATURE_NAMES[1:], FEATURE_NAMES[0]]}, "another order or meaning"),
        ({"catalogue_hash": "0" * 64}, "another order or meaning"),
        ({"format_version": FORMAT_VERSION + 1}, "format 3, this build reads up to 2"),
        ({"surprise": 1}, "surprise"),
        ({"alert_score": 1001}, "alert_score"),
        ({"calibration": {"a": -1.0, "b": 1.0, "c": 0.0}}, "calibration.a"),
        ({"bands": []}, "bands"),
        ({"files": {}}, "does not list model.ubj"),
        ({"files": {"model.ubj": "0" * 64}}, "damaged or exchanged"),
    ],
)
@pytest.mark.usefixtures("never_reaches_xgboost")
def test_a_manifest_that_does_not_fit_this_build_is_refused(bundle_path, edit, changes, message):
    edit(**changes)
    with pytest.raises(BundleError, match=message):
        Bundle.load(bundle_path)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "manifest.json", ".."])
def test_a_manifest_cannot_point_out_of_its_directory(bundle_path, kept_bundle, edit, name):
    edit(files={**kept_bundle.manifest.files, name: "0" * 64})
    with pytest.raises(BundleError, match="no file of its own directory"):
        Bundle.load(bundle_path)


def test_bands_out_of_order_are_refused(bundle_path, edit, kept_bundle):
    bands = msgspec.to_builtins(kept_bundle.manifest.bands)
    bands[1]["from_score"], bands[3]["from_score"] = bands[3]["from_score"], bands[1]["from_score"]
    edit(bands=bands)
    with pytest.raises(BundleError, match="bands are not in order"):
        Bundle.load(bundle_path)


def test_any_change_of_the_manifest_makes_another_bundle(bundle_path, edit, kept_bundle):
    edit(alert_score=kept_bundle.manifest.alert_score + 1)
    assert Bundle.load(bundle_path).sha256 != kept_bundle.sha256


def test_where_there_is_no_bundle_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(BundleError, match="no model bundle") as raised:
        Bundle.load(tmp_path / "nothing")
    assert "fraudstream train" in raised.value.hint


@pytest.mark.parametrize("model", [b"", b"{}", b"no trees", bytes(range(256)) * 10])
def test_what_is_no_model_cannot_be_written(trained, tmp_path, model):
    with pytest.raises(BundleError, match=r"XGBoost cannot read|holds no trees"):
        write_bundle(tmp_path / "bundle", trained.manifest, model)
    assert list(tmp_path.iterdir()) == []


def test_trees_of_other_features_cannot_be_written(trained, history, tmp_path):
    data = xgboost.DMatrix(history.features[:500, :3], history.payments["is_fraud"].to_numpy()[:500])
    model = bytes(xgboost.train({"objective": "binary:logistic"}, data, num_boost_round=2).save_raw("ubj"))
    with pytest.raises(BundleError, match="other features"):
        write_bundle(tmp_path / "bundle", trained.manifest, model)


def test_trees_that_are_not_all_there_cannot_be_written(trained, tmp_path):
    manifest = msgspec.structs.replace(trained.manifest, trees=trained.manifest.trees + 1)
    with pytest.raises(BundleError, match="not as many"):
        write_bundle(tmp_path / "bundle", manifest, trained.model)


def test_a_bundle_is_replaced_only_when_asked_and_other_things_never(trained, bundle_path, tmp_path):
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(bundle_path, trained.manifest, trained.model)
    renamed = msgspec.structs.replace(trained.manifest, name="another")
    assert write_bundle(bundle_path, renamed, trained.model, overwrite=True).manifest.name == "another"
    (tmp_path / "letters").mkdir()
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(tmp_path / "letters", trained.manifest, trained.model, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "letters"]


def test_a_failed_replacement_leaves_the_old_bundle(bundle_path, trained, kept_bundle):
    with pytest.raises(BundleError):
        write_bundle(bundle_path, trained.manifest, b"no trees", overwrite=True)
    assert Bundle.load(bundle_path).sha256 == kept_bundle.sha256


def test_further_files_are_listed_and_verified(trained, tmp_path):
    bundle = write_bundle(tmp_path / "bundle", trained.manifest, trained.model, {"report.html": b"<p>fine</p>"})
    (bundle.path / "report.html").write_bytes(b"<p>forged</p>")
    with pytest.raises(BundleError, match=r"report\.html is not the file"):
        Bundle.load(bundle.path)


def test_the_models_package_imports_no_training_library():
    modules = "bundle calibration scoring second_opinion second_fit explaining policy evaluation training model_card"
    code = (
        f"import importlib, sys; [importlib.import_module('models.' + name) for name in '{modules}'.split()];"
        "sys.exit(', '.join({'xgboost', 'sklearn', 'shap', 'matplotlib', 'pandas'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
