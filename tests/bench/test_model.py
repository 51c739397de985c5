"""The models' table on a tiny world, and the parts of it that can be counted by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from bench.errors import BenchError
from bench.model import pictures
from bench.model import protocol as protocols
from bench.model import settings as model_settings
from bench.model.__main__ import chosen, measure, refuse_tries
from bench.model.contestants import CONTESTANTS, compressed
from bench.model.judging import PROBABILITY_EDGES, caught_by_kind, reliability
from bench.model.protocol import FinalRun, Protocol
from bench.model.sources import digest, reached
from bench.model.summary import summary
from bench.model.tables import GOALS, Goal, percent, ratio
from bench.model.tables import reached as goal_reached
from bench.results import read, write
from bench.tables import tables
from models.calibration import Calibration
from models.catalogue import CATALOGUE, FEATURE_NAMES
from models.scoring import scores_of

TINY: dict[str, Any] = {"payments": 6_000, "payers": 300, "days": 60.0, "fraud_rate": 0.1}
QUICK: dict[str, dict[str, Any]] = {
    "champion": {"trees": 10, "threads": 1},
    "logistic_regression": {"max_iter": 300},
    "random_forest": {"n_estimators": 10},
    "lightgbm": {"num_boost_round": 10, "early_stopping": 5},
}


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return replace(protocols.load(), **TINY)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def result(protocol: Protocol, cache: Path) -> dict[str, Any]:
    return measure(protocol, tuple(CONTESTANTS), QUICK, cache, 2, final=False)


def test_every_contestant_is_judged_on_the_same_payments(result: dict[str, Any]) -> None:
    assert [seed["seed"] for seed in result["seeds"]] == list(protocols.load().development_seeds[:2])
    for seed in result["seeds"]:
        test = seed["test"]
        assert 0 < test["never_known"] < test["frauds"] < test["payments"] == TINY["payments"] / 4
        assert seed["train"]["known"] < seed["train"]["frauds"]
        assert list(seed["models"]) == list(CONTESTANTS)
        for model in seed["models"].values():
            assert model["metrics"]["payments"] == test["payments"]
            assert model["metrics"]["frauds"] == test["frauds"]
            assert sum(total for _, total in model["kinds"].values()) == test["frauds"]


def test_the_parts_of_the_split_and_the_day_left_out_make_up_the_world(result: dict[str, Any]) -> None:
    for seed in result["seeds"]:
        known = sum(seed[part]["payments"] for part in ("train", "validation", "test"))
        assert 0.01 < 1 - known / TINY["payments"] < 0.1  # a day of 60, and what was sent twice
        assert seed["validation"]["payments"] / (seed["validation"]["payments"] + seed["train"]["payments"]) == (
            pytest.approx(0.2, abs=0.001)
        )


def test_a_mean_lies_within_its_interval_and_is_that_of_the_seeds(result: dict[str, Any]) -> None:
    for name, model in result["models"].items():
        auc = model["metrics"]["auc"]
        assert auc["mean"] == pytest.approx(sum(auc["values"]) / 2, abs=1e-5)
        assert auc["low"] <= auc["mean"] <= auc["high"]
        assert auc["values"] == [
            pytest.approx(seed["models"][name]["metrics"]["auc"], abs=1e-5) for seed in result["seeds"]
        ]
    assert result["models"]["champion"]["metrics"]["auc"]["mean"] > 0.75


def test_curves_rise_and_the_frauds_of_all_steps_are_the_frauds(result: dict[str, Any]) -> None:
    frauds = sum(seed["test"]["frauds"] for seed in result["seeds"])
    for model in result["models"].values():
        assert np.all(np.diff(model["recall"]["mean"]) >= 0)
        assert len(model["recall"]["mean"]) == len(result["grids"]["false_positive_rate"])
        assert len(model["precision"]["mean"]) == len(result["grids"]["recall"])
        assert sum(model["reliability"]["frauds"]) == frauds


def test_the_strongest_features_are_features_in_order(result: dict[str, Any]) -> None:
    strongest = result["strongest_features"]
    assert {each["feature"] for each in strongest} <= set(FEATURE_NAMES)
    means = [each["mean"] for each in strongest]
    assert means == sorted(means, reverse=True)
    assert 0.5 <= means[-1] <= means[0] <= 1


def test_the_same_seeds_give_the_same_figures(protocol: Protocol, cache: Path, result: dict[str, Any]) -> None:
    again = measure(protocol, ("champion",), QUICK, cache, 1, final=False)
    found, expected = (each["seeds"][0]["models"]["champion"]["metrics"] for each in (again, result))
    assert found == pytest.approx(expected, rel=0, abs=0, nan_ok=True)


def test_a_result_makes_tables_and_pictures(result: dict[str, Any], tmp_path: Path) -> None:
    write(result, tmp_path / "model.json")
    kept = read(tmp_path / "model.json")
    text = "\n\n".join(table.markdown() for table in tables(kept))
    for title, _ in CONTESTANTS.values():
        assert f"| {title} | " in text
    assert "| the paper, before (published) | 0.91 |" in text
    assert "strongest single feature" in text
    for draw in pictures.PICTURES.values():
        assert draw(kept).startswith("<?xml")
        assert draw(kept) == draw(kept)


def test_a_single_seed_has_no_interval_and_still_a_table(protocol: Protocol, cache: Path) -> None:
    alone = measure(protocol, ("champion",), QUICK, cache, 1, final=False)
    assert alone["models"]["champion"]["metrics"]["auc"]["low"] is None
    assert tables(alone)


def test_recall_by_kind_is_counted_at_the_false_positive_rate_by_hand() -> None:
    # honest margins 0 to 9; at most one in five may be flagged: those above 7, so 8 and 9
    frame = pl.DataFrame(
        {"is_fraud": [False] * 10 + [True] * 5, "kind": [""] * 10 + ["app_scam", "app_scam", "bot", "bot", ""]}
    )
    margin = np.array([*range(10), 7.5, 7, 6, 20, 8.5])
    assert caught_by_kind(margin, frame, 0.2) == {"app_scam": [1, 2], "bot": [1, 2], "unnamed": [1, 1]}


def test_reliability_by_hand() -> None:
    probability = np.array([0.5, 0.5, 0.05, 0.00001])
    margin = (np.log(probability) - np.log1p(-probability)).astype(np.float32)
    scores = scores_of(margin, Calibration(), np.empty(0, dtype=np.int16))
    found = reliability(scores, np.array([True, False, False, False]))
    steps = len(PROBABILITY_EDGES) - 1
    half, twentieth = PROBABILITY_EDGES.index(0.4), PROBABILITY_EDGES.index(0.03)
    assert found["payments"] == [{0: 1, half: 2, twentieth: 1}.get(step, 0) for step in range(steps)]
    assert found["expected"][half] == pytest.approx(1)
    assert found["frauds"] == [1 if step == half else 0 for step in range(steps)]


def test_kinds_are_added_up_over_seeds_even_when_one_lacks_a_kind() -> None:
    curves = {"recall": [0.0], "precision": [0.0], "seconds": 1.0, "metrics": {"auc": 0.9}}
    steps = {"reliability": {"payments": [1], "expected": [0.1], "frauds": [0]}}
    runs = [{**curves, **steps, "kinds": kinds} for kinds in ({"bot": [1, 2]}, {"bot": [2, 2], "app_scam": [0, 4]})]
    seeds = [{"models": {"champion": run}, "features": {"speed_kmh": 0.6}} for run in runs]
    kinds = summary(seeds)["models"]["champion"]["kinds"]
    assert (kinds["bot"]["caught"], kinds["bot"]["frauds"], kinds["bot"]["recall"]) == (3, 4, 0.75)
    assert (kinds["app_scam"]["frauds"], kinds["app_scam"]["recall"]) == (4, 0)


def test_compressed_features_keep_flags_signs_and_gaps() -> None:
    flag = next(i for i, feature in enumerate(CATALOGUE) if feature.unit == "flag")
    wide = next(i for i, feature in enumerate(CATALOGUE) if feature.unit == "rupees")
    features = np.zeros((3, len(FEATURE_NAMES)), dtype=np.float32)
    features[:, flag], features[:, wide] = 1, (np.e - 1, -(np.e - 1), np.nan)
    found = compressed(features)
    assert found.dtype == np.float32
    assert found[:, flag].tolist() == [1, 1, 1]
    assert found[:2, wide] == pytest.approx([1, -1])
    assert np.isnan(found[2, wide])


def test_figures_are_written_with_their_interval() -> None:
    assert ratio({"mean": 0.98, "low": 0.97, "high": 0.99}) == "0.980 ± 0.010"
    assert percent({"mean": 0.931, "low": 0.92, "high": 0.942}) == "93.1 ± 1.1 %"
    assert percent({"mean": 0.931, "low": None, "high": None}) == "93.1 %"
    assert ratio({"mean": None, "low": None, "high": None}) == "–"
    assert ratio(None) == "–"


@pytest.mark.parametrize(("mean", "reaches"), [(0.89, False), (0.9, True), (1.1, True), (1.11, False), (None, False)])
def test_a_goal_is_reached_within_its_span(mean: float | None, reaches: bool) -> None:
    assert goal_reached(Goal("slope", "champion", "calibration_slope", 0.9, 1.1, ratio), mean) is reaches


def test_goals_name_contestants() -> None:
    assert {goal.model for goal in GOALS} <= set(CONTESTANTS)


def test_contestants_are_chosen_by_name_in_the_tables_order() -> None:
    assert chosen(["paper_rules", "champion"]) == ("champion", "paper_rules")
    assert chosen(None) == tuple(CONTESTANTS)
    with pytest.raises(BenchError, match="there is no oracle"):
        chosen(["oracle"])


def test_the_final_seeds_are_not_run_in_part_or_for_nothing() -> None:
    kept = Path("model.json")
    refuse_tries({}, None, None, kept)
    for arguments in (({"payments": 1000}, None, None), ({}, 3, None), ({}, None, ["champion"])):
        with pytest.raises(BenchError, match="or not at all"):
            refuse_tries(*arguments, kept)
    with pytest.raises(BenchError, match="is to be kept"):
        refuse_tries({}, None, None, None)


def test_development_and_final_seeds_share_none() -> None:
    protocol = protocols.load()
    assert len(set(protocol.development_seeds)) == len(set(protocol.final_seeds)) == 5
    assert not set(protocol.development_seeds) & set(protocol.final_seeds)


def test_the_committed_protocol_and_its_page_say_the_same() -> None:
    protocol = protocols.load()
    if protocol.simulator_sha256 is not None:
        assert protocols.described(protocol) in protocols.PAGE.read_text()


def test_what_is_frozen_is_checked_against_simulator_and_page(tmp_path: Path) -> None:
    file, page = tmp_path / "frozen.json", tmp_path / "MODEL.md"
    page.write_text(f"# Protocol\n\n{protocols.BEGIN}\n{protocols.END}\n\nEnd.\n")
    open_protocol = replace(protocols.load(), final_runs=(), frozen_at=None, simulator_sha256=None)
    with pytest.raises(BenchError, match="not frozen yet"):
        protocols.check(open_protocol, page)
    frozen = protocols.freeze(open_protocol, "2026-01-01T00:00:00+00:00", file, page)
    assert protocols.load(file) == frozen
    protocols.check(frozen, page)
    assert page.read_text().startswith("# Protocol\n")
    assert page.read_text().endswith("End.\n")
    with pytest.raises(BenchError, match="the simulator is not the frozen one"):
        protocols.check(replace(frozen, simulator_sha256="0" * 64), page)
    page.write_text(page.read_text().replace(str(frozen.final_seeds[0]), "999"))
    with pytest.raises(BenchError, match="says something else"):
        protocols.check(frozen, page)


def test_a_protocol_whose_final_seeds_were_used_is_not_frozen_again(tmp_path: Path) -> None:
    used = replace(protocols.load(), final_runs=(FinalRun("2026-01-01T00:00:00+00:00", "abc"),))
    with pytest.raises(BenchError, match="have been used"):
        protocols.freeze(used, "2026-01-02T00:00:00+00:00", tmp_path / "frozen.json", tmp_path / "MODEL.md")


def test_settings_of_the_champion_leave_the_split_to_the_protocol(protocol: Protocol) -> None:
    settings = protocol.settings(3, depth=4)
    assert (settings.seed, settings.depth, settings.before_cutoff) == (3, 4, 0.75)
    with pytest.raises(BenchError, match="label_delay_ms"):
        protocol.settings(3, label_delay_ms=0)
    with pytest.raises(BenchError, match="not those of training"):
        protocol.settings(3, dept=4)


def test_the_settings_file_is_whole_and_read_strictly(tmp_path: Path) -> None:
    assert set(model_settings.load()) == set(model_settings.TABLES)
    protocols.load().settings(1, **model_settings.load()["champion"])
    file = tmp_path / "settings.toml"
    file.write_text("[champion]\ndepth = 4\n")
    with pytest.raises(BenchError, match="lightgbm"):
        model_settings.load(file)
    with pytest.raises(BenchError, match="cannot be read"):
        model_settings.load(tmp_path / "absent.toml")


def test_code_is_named_by_what_a_module_imports_even_within_a_function(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    files = {
        "__init__": "",
        "till": "import os\nfrom shop import goods\n\ndef sell():\n    from shop.tax import rate\n",
        "goods": "",
        "tax": "rate = 1\n",
        "poster": "",
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    found = reached("shop.till", tmp_path)
    assert {file.stem for file in found} == {"__init__", "till", "goods", "tax"}
    before = digest(*found, root=tmp_path)
    (package / "poster.py").write_text("# other\n")
    assert digest(*reached("shop.till", tmp_path), root=tmp_path) == before
    (package / "tax.py").write_text("rate = 2\n")
    assert digest(*reached("shop.till", tmp_path), root=tmp_path) != before
