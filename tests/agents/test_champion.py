"""Models are replaced while the worker runs: what is good takes over, what is bad leaves things as they were."""

import os
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from agents.champion import ModelWatch
from models.bundle import Bundle, BundleError, write_bundle
from models.policy import Policy
from stream.metrics import METRICS


@pytest.fixture
def release(bundle, tmp_path):
    """`release("second")`: another bundle, in a directory of its own; its sha256 is its own too."""

    def make(name: str, **changes) -> Bundle:
        manifest = msgspec.structs.replace(bundle.manifest, name=name, files={}, **changes)
        return write_bundle(tmp_path / "releases" / name, manifest, bundle.model)

    return make


@pytest.fixture
def first(release) -> Bundle:
    return release("first")


@pytest.fixture(autouse=True)
def no_model_shown() -> None:
    METRICS.model.clear()


def replace(place: Path, bundle: Path) -> None:
    """As a release does that copies beside and renames."""
    fresh = place.with_name(place.name + ".new")
    shutil.copytree(bundle, fresh)
    if place.exists():
        shutil.rmtree(place)
    fresh.rename(place)


@pytest.fixture
def watch(first, tmp_path) -> ModelWatch:
    replace(tmp_path / "model", first.path)
    return ModelWatch(tmp_path / "model", [], Policy())


def twice(watch: ModelWatch) -> str:
    """Two looks, as it takes for something to have settled; the champion's name then."""
    watch.look()
    watch.look()
    return watch.current.champion.bundle.manifest.name


def rejected() -> float:
    return METRICS.registry.get_sample_value("fraudstream_model_rejected_total")


def shown() -> list[str]:
    """The models that the metric shows."""
    (family,) = [each for each in METRICS.registry.collect() if each.name == "fraudstream_model_info"]
    return [sample.labels["name"] for sample in family.samples]


def damage(bundle: Bundle, how: str) -> Path:
    """The directory of a bundle that cannot be used."""
    model, manifest = bundle.path / "model.ubj", bundle.path / "manifest.json"
    content = model.read_bytes()
    if how == "truncated":
        model.write_bytes(content[: len(content) // 2])
    elif how == "tampered":
        model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        text = msgspec.json.decode(manifest.read_bytes())
        text["feature_names"] = [*text["feature_names"][:-1], "mood"]
        manifest.write_bytes(msgspec.json.encode(text))
    return bundle.path


def test_a_directory_that_was_replaced_gives_the_next_champion(watch, release, tmp_path):
    before = watch.current
    assert shown() == ["first"]
    replace(tmp_path / "model", release("second", alert_score=77).path)
    assert twice(watch) == "second"
    assert watch.current.decider.alert_score == 77
    assert shown() == ["second"]
    assert before.champion.bundle.manifest.name == "first", "a step in progress keeps what it has"


def test_a_symlink_that_was_moved_gives_the_next_champion(release, first, tmp_path):
    link = tmp_path / "champion"
    link.symlink_to(first.path)
    watch = ModelWatch(link, [], Policy())
    other = tmp_path / "moving"
    other.symlink_to(release("second").path)
    other.rename(link)
    assert twice(watch) == "second"


def test_nothing_is_loaded_while_nothing_changes(watch):
    before = watch.current
    for _ in range(3):
        assert twice(watch) == "first"
    assert watch.current is before


def test_a_bundle_that_was_only_touched_stays_the_champion(watch, tmp_path):
    before = watch.current.champion
    os.utime(tmp_path / "model" / "manifest.json", (1, 1))
    assert twice(watch) == "first"
    assert watch.current.champion is before


@pytest.mark.parametrize("how", ["truncated", "tampered", "of other features"])
def test_a_bad_bundle_leaves_the_champion_and_raises_the_metric_once(watch, release, tmp_path, how):
    before, count = watch.current.champion, rejected()
    replace(tmp_path / "model", damage(release("bad"), how))
    for _ in range(3):
        assert twice(watch) == "first"
    assert watch.current.champion is before
    assert rejected() == count + 1
    assert shown() == ["first"]
    replace(tmp_path / "model", release("good").path)
    assert twice(watch) == "good"
    assert rejected() == count + 1


def test_a_champion_that_is_damaged_where_it_lies_stays_in_memory(watch, tmp_path):
    count = rejected()
    (tmp_path / "model" / "model.ubj").write_bytes(b"{")
    assert twice(watch) == "first"
    shutil.rmtree(tmp_path / "model")
    assert twice(watch) == "first"
    assert rejected() == count + 2


def test_a_bundle_that_is_still_being_copied_is_waited_for(watch, release, tmp_path):
    count, second = rejected(), release("second")
    place = tmp_path / "model"
    (place / "manifest.json").write_bytes((second.path / "manifest.json").read_bytes())
    watch.look()
    for name in ("model.ubj", "README.md"):
        (place / name).write_bytes((second.path / name).read_bytes())
        watch.look()
    assert twice(watch) == "second"
    assert rejected() == count


def test_a_bad_champion_ends_the_start(release, tmp_path):
    with pytest.raises(BundleError):
        ModelWatch(damage(release("bad"), "tampered"), [], Policy())
    with pytest.raises(BundleError):
        ModelWatch(tmp_path / "nothing", [], Policy())


def test_challengers_come_and_stay_like_the_champion(watch, release, first, tmp_path):
    count = rejected()
    good, bad = tmp_path / "good", tmp_path / "bad"
    replace(good, release("shadow").path)
    replace(bad, damage(release("broken"), "tampered"))
    watch = ModelWatch(first.path, [bad, good], Policy())
    assert rejected() == count + 1

    def names():
        return [challenger.bundle.manifest.name for challenger in watch.current.challengers]

    assert names() == ["shadow"]
    replace(bad, release("repaired").path)
    shutil.rmtree(good)
    twice(watch)
    assert names() == ["repaired", "shadow"]
    assert rejected() == count + 2, "the one that is gone"
    assert watch.current.champion.bundle.sha256 == first.sha256
    assert shown() == ["first"]


def test_the_thread_looks_by_itself_and_ends(watch, release, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.champion.LOOK_EVERY_S", 0.01)
    replace(tmp_path / "model", release("second").path)
    watch.start()
    until = time.monotonic() + 60
    while watch.current.champion.bundle.manifest.name != "second":
        assert time.monotonic() < until, "waited in vain for the second model"
        time.sleep(0.01)
    watch.stop()
