"""From disk or from memory, on a GPU or not: the same payments reach the trees."""

from dataclasses import replace

import numpy as np
import pytest

from models.training import Settings, TrainingError, matrix, train
from models.training.device import chosen_device

SETTINGS = Settings(trees=20, depth=3, threads=1, external_memory=False)


@pytest.fixture(scope="module")
def small(history_of):
    return history_of(6_000, fraud_share=0.04)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(matrix, "BLOCK_ROWS", 700)


def stored(history, path):
    np.save(path, history.features)
    return replace(history, features=np.load(path, mmap_mode="r"))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("imbalance", ["none", "smote"])
def test_training_from_disk_gives_a_model_as_good(small, tmp_path, imbalance):
    settings = replace(SETTINGS, imbalance=imbalance)
    there = replace(settings, external_memory=True, scratch=tmp_path)
    from_memory = train(small, settings, created_at=1_760_000_000_000)
    from_disk = train(stored(small, tmp_path / "features.npy"), there, created_at=1_760_000_000_000)
    assert from_disk.manifest.metrics["auc"] == pytest.approx(from_memory.manifest.metrics["auc"], abs=0.03)
    assert from_disk.manifest.usual == from_memory.manifest.usual
    assert [path.name for path in tmp_path.iterdir()] == ["features.npy"]


@pytest.mark.usefixtures("small_blocks")
def test_rows_of_a_file_are_those_of_the_matrix(small, tmp_path):
    mapped = stored(small, tmp_path / "features.npy").features
    random = np.random.default_rng(3)
    for rows in (
        np.arange(10, 2000),
        np.sort(random.choice(6_000, 300, replace=False)),
        np.array([5999]),
        np.arange(0),
    ):
        assert np.array_equal(matrix.rows_of(mapped, rows), small.features[rows], equal_nan=True)


@pytest.mark.usefixtures("small_blocks")
def test_margins_do_not_depend_on_the_blocks(small):
    booster = train(small, SETTINGS, created_at=0).booster
    rows = np.arange(1, 5_000)
    whole = booster.inplace_predict(small.features[rows], predict_type="margin")
    assert np.array_equal(matrix.margins_of(booster, small.features, rows), whole)


def test_memory_decides_when_payments_are_too_many(monkeypatch):
    monkeypatch.setattr(matrix, "memory_bytes", lambda: 8 << 30)
    assert not matrix.too_large(1_000_000)
    assert matrix.too_large(10_000_000)
    monkeypatch.undo()
    assert matrix.memory_bytes() > 1 << 28


def test_without_a_gpu_training_goes_by_the_processor_and_cuda_says_what_to_do(monkeypatch):
    monkeypatch.setattr("models.training.device.gpus", lambda: 0)
    assert chosen_device("auto") == chosen_device("cpu") == "cpu"
    with pytest.raises(TrainingError, match="--device cuda: ") as raised:
        chosen_device("cuda")
    assert "--device cpu" in raised.value.hint


def test_training_from_disk_goes_by_the_processor(monkeypatch):
    monkeypatch.setattr("models.training.device.gpus", lambda: 1)
    assert chosen_device("auto", external=True) == "cpu"
    with pytest.raises(TrainingError, match="external memory"):
        chosen_device("cuda", external=True)


def test_a_gpu_is_used_when_there_is_one(monkeypatch):
    monkeypatch.setattr("models.training.device.gpus", lambda: 1)
    monkeypatch.setattr("xgboost.build_info", lambda: {"USE_CUDA": True})
    assert chosen_device("auto") == chosen_device("cuda") == "cuda"
    monkeypatch.setattr("xgboost.build_info", lambda: {"USE_CUDA": False})
    assert chosen_device("auto") == "cpu"
