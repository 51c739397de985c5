"""The whole report: it can be made whatever the window holds, of the same bytes, and says what the manifest says."""

import base64
import re
import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest

from models.bundle import Bundle, write_bundle
from models.model_card import model_card
from models.report import drawing, words
from models.report.measured import Measured, ReportError, measure
from models.report.page import Picture, Table
from models.report.report import PAGE, files_of, report_files
from models.report.sections import overview, training
from models.training import Settings, train

MOST_BYTES = 6_000_000


@pytest.fixture(scope="session")
def files(history, trained) -> dict[str, bytes]:
    return report_files(history, trained)


@pytest.fixture
def measured(history, trained) -> Measured:
    return measure(history, trained)


def text_of(files: dict[str, bytes]) -> str:
    return files[PAGE].decode().replace(words.SPACE, " ")


def with_payments(measured: Measured, **columns: pl.Expr) -> Measured:
    return replace(measured, payments=measured.payments.with_columns(**columns))


def test_a_bundle_with_its_report_can_be_loaded_and_its_card_points_to_it(trained, files, tmp_path):
    bundle = write_bundle(tmp_path / "model", trained.manifest, trained.model, files)
    assert Bundle.load(bundle.path).manifest.files.keys() >= files.keys()
    card = (bundle.path / "README.md").read_text()
    assert "[report.html](report.html)" in card
    assert "[beeswarm.png](beeswarm.png)" in card


def test_the_page_is_small_enough_to_send_and_needs_no_network(files):
    assert len(files[PAGE]) < MOST_BYTES
    html = files[PAGE].decode()
    outside = re.sub(r'src="data:image/[^"]+"', "", html)
    assert "http" not in outside
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/[^,]+,([^"]+)"', html)]
    assert sorted(pictures) == sorted(content for name, content in files.items() if name != PAGE)
    for name, content in files.items():
        if name.endswith(".svg"):
            assert not re.search(rb'(href|src)="(?!#)', content)
            assert b"url(h" not in content


def test_every_picture_says_what_it_shows(files):
    images = re.findall(r"<img [^>]*>", files[PAGE].decode())
    assert len(images) == len(files) - 1
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_the_same_payments_give_the_same_bytes(history, trained, files):
    assert report_files(history, trained) == files


def test_large_figures_are_those_of_the_manifest(measured):
    metrics = measured.manifest.metrics
    for tile in overview.tiles(measured):
        value = metrics[tile.source.removeprefix("metrics.")]
        digits = 2 if tile.source.endswith("positive_rate") else 1
        written = words.number(value, 4) if tile.source == "metrics.auc" else words.percent(value, digits)
        assert tile.value == written


def test_sections_tell_windows_thresholds_kinds_and_errors(files, trained):
    text = text_of(files)
    for expected in (
        f"{trained.manifest.test.payments:,}",
        "Alerts begin at score",
        "app scam",
        "Honest payments with the highest scores",
        "average precision",
        "Brier skill",
        "0.5 % false positives",
    ):
        assert expected in text.replace("Average", "average")


def test_a_kind_that_looks_like_markup_is_text(measured):
    evil = pl.when("is_fraud").then(pl.lit('<b onclick="x">')).otherwise(pl.lit(""))
    html = files_of(with_payments(measured, kind=evil))[PAGE].decode()
    assert "<b onclick" not in html
    assert "&lt;b onclick" in html


def test_a_window_without_fraud_is_reported_with_what_cannot_be_told(measured):
    files = files_of(with_payments(measured, is_fraud=pl.lit(False), kind=pl.lit("")))
    text = text_of(files)
    assert "No fraud is known in the measured window" in text
    assert "roc.svg" not in files
    assert {"scores.svg", "beeswarm.png", "alerts.svg"} <= files.keys()
    assert not re.search(r"\bnan\b", re.sub(r'src="[^"]+"', "", text), re.I)


def test_a_window_of_nothing_but_fraud_is_reported_too(measured):
    assert "roc.svg" not in files_of(with_payments(measured, is_fraud=pl.lit(True)))


def test_one_fraud_of_one_kind_is_enough(measured):
    first = measured.payments["transaction_id"][int(np.flatnonzero(measured.is_fraud)[0])]
    files = files_of(with_payments(measured, is_fraud=pl.col("transaction_id") == first))
    assert {"roc.svg", "calibration.svg", "kinds.svg"} <= files.keys()


def test_without_a_test_window_the_page_says_that_validation_was_measured(history):
    end = int(history.payments["event_time"][-1]) + 1
    trained = train(history, Settings(trees=5, cutoff_ms=end), created_at=end)
    assert "There was no payment after the cutoff" in text_of(report_files(history, trained))


def test_missing_telemetry_is_no_obstacle(measured):
    nothing = np.full_like(measured.features, np.nan)
    text = text_of(files_of(replace(measured, features=nothing)))
    assert "no typing rhythm" in text
    assert "not known since when" in text


def test_figures_of_training_are_shown_where_a_manifest_holds_them(trained):
    spread = {"mean": 0.97, "sd": 0.01, "low": 0.96, "high": 0.98, "values": [0.96, 0.98]}
    held = {
        "parameters": {"max_depth": 5},
        "out_of_fold": {"auc": spread},
        "imbalance_compared": {"none": {"auc": spread}, "smote": {"auc": {**spread, "mean": None}}},
        "imbalance": "none",
        "search": {"trials": 40},
        "second_opinion": {"alert_score": 700, "false_positive_rate": 0.002, "added_recall": 0.1},
    }
    later = msgspec.defstruct("Later", list(held))(**held)
    first, second = training.sections(later, [Table(("fold", "AUC"), [("1", "0.9")], "Folds, one by one")])
    html = first.markup() + second.markup()
    for expected in ("0.970", "0.960", "smote", "trials", "Folds, one by one", "Second opinion", "700"):
        assert expected in html
    assert [section.key for section in training.sections(trained.manifest)] == ["training"]


def test_the_card_tells_use_limits_fairness_and_how_to_verify(trained):
    parameters = trained.manifest.parameters | {"risk_rises_with": "payee_frauds, rooted"}
    card = model_card(msgspec.structs.replace(trained.manifest, parameters=parameters), ["drift.json"])
    for heading in ("Intended use", "Data and verdicts", "Features", "Limits", "Fairness", "Files, and how to verify"):
        assert f"\n## {heading}" in card
    assert "never falls as one of these rises: payee_frauds, rooted." in card
    assert "`app_scam`" in card
    assert "[drift.json](drift.json)" in card
    assert "report.html" not in card


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ReportError, match="matplotlib") as raised:
        drawing.picture("x.svg", "nothing", lambda axes: None)
    assert "fraudstream[train]" in raised.value.hint


def test_pictures_turn_with_a_dark_page():
    drawn = drawing.picture("x.svg", "a line", lambda axes: axes.plot([0, 1], color=drawing.MODEL))
    assert isinstance(drawn, Picture)
    assert f"stroke: {drawing.MODEL}".encode() in drawn.content
    assert f'[style*="stroke: {drawing.MODEL}"]{{stroke:{drawing.ON_DARK[drawing.MODEL]}'.encode() in drawn.content


def test_nothing_heavy_is_imported_before_something_is_drawn():
    code = (
        "import sys; import models.report.report;"
        "sys.exit(', '.join({'matplotlib', 'shap', 'sklearn', 'pandas', 'optuna'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
