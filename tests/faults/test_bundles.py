"""A model released to a worker that runs: a good one takes over, a bad one leaves the champion in place; row 28."""

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from kit.bank import Bank, Worker
from kit.oracle import audit
from kit.readback import messages
from models.bundle import MODEL, Bundle, write_bundle
from schemas.decision import decode_decisions

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def released(world, tmp_path) -> Path:
    """Where the worker looks for its model: a symlink, at first to the world's bundle."""
    link = tmp_path / "champion"
    link.symlink_to(world.bundle)
    return link


def release(link: Path, directory: Path) -> None:
    """Let the symlink name another directory, at once."""
    moving = link.with_name("moving")
    moving.symlink_to(directory)
    moving.rename(link)


def another(bundle: Path, directory: Path, name: str) -> Bundle:
    """A good bundle with the same trees; it flags more."""
    given = Bundle.load(bundle)
    manifest = msgspec.structs.replace(given.manifest, name=name, alert_score=given.manifest.alert_score // 2, files={})
    beside = {name: content for name, content in given.contents.items() if name not in (MODEL, "README.md")}
    return write_bundle(directory / name, manifest, given.model, beside)


def bad(bundle: Path, directory: Path, how: str) -> Path:
    """A copy that no worker may use."""
    copy = directory / how.replace(" ", "-")
    shutil.copytree(bundle, copy)
    model, manifest = copy / "model.ubj", copy / "manifest.json"
    content = model.read_bytes()
    if how == "truncated":
        model.write_bytes(content[: len(content) // 2])
    elif how == "tampered":
        model.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif how == "without its model":
        model.unlink()
    else:
        text = msgspec.json.decode(manifest.read_bytes())
        names = [*text["feature_names"][:-1], "mood"] if how == "of other features" else text["feature_names"]
        manifest.write_bytes(msgspec.json.encode(text | {"feature_names": names, "catalogue_hash": "0" * 64}))
    return copy


BAD = ("truncated", "tampered", "without its model", "of other features", "of another catalogue")


def models_in_order(bank: Bank) -> list[str]:
    """Names of the models that decided, as they took turns on each partition."""
    turns: dict[int, list[str]] = {}
    for message in messages(bank, bank.topics.decisions):
        meta, _ = decode_decisions(message.value())
        mine = turns.setdefault(meta.partition, [])
        if mine[-1:] != [meta.model.name]:
            mine.append(meta.model.name)
    (order,) = {tuple(mine) for mine in turns.values()}
    return list(order)


def judge(bank: Bank, worker: Worker, payments: pl.DataFrame) -> None:
    bank.publish(payments)
    worker.until(lambda: bank.committed() >= bank.published, "the payments to be judged")


def refuse(worker: Worker, count: int) -> None:
    worker.until(lambda: worker.metric("model_rejected_total") >= count, "a bundle to be refused")


@pytest.mark.row(28)
@pytest.mark.usefixtures("only_full")
def test_a_bad_bundle_leaves_the_champion_and_a_good_one_takes_over(
    make_bank, stream_of, world, released, tmp_path, full, row
):
    parts = list(pl.concat(stream_of(40_000 if full else 3_000)).iter_slices(5_000 if full else 400))
    kinds = BAD if full else BAD[1:2]
    bank = make_bank()
    second = another(world.bundle, tmp_path, "second")
    first = Bundle.load(world.bundle)
    worker = bank.worker(0, "--model", str(released), "--challenger", str(bad(world.bundle, tmp_path, "no json")))
    worker.wait_ready()
    assert worker.metric("model_rejected_total") == 1, "the challenger, which is left out"
    judge(bank, worker, parts[0])
    for number, how in enumerate(kinds, 1):
        release(released, bad(world.bundle, tmp_path, how))
        refuse(worker, 1 + number)
        assert worker.metric("model_info") == worker.metric("model_info", sha256=first.sha256) == 1
        judge(bank, worker, parts[number])
        assert worker.health("ready")[0] == 200
    refusals = [event for event in worker.events() if event["event"] == "model refused"]
    assert len(refusals) == worker.metric("model_rejected_total") == 1 + len(kinds), "each once"
    assert all("model before it stays" in event["hint"] for event in refusals[1:])

    bank.publish(parts[6])  # in the middle of which it may take over
    release(released, second.path)
    worker.until(lambda: worker.metric("model_info", sha256=second.sha256) == 1, "the good one to be taken")
    judge(bank, worker, parts[7] if full else parts[6])
    bank.finish()
    bank.stop()
    assert models_in_order(bank) == [first.manifest.name, "second"]
    findings = audit(bank, bundles=[second.path])
    row(28, findings)
    assert findings.clean, findings


@pytest.mark.row(28)
def test_with_a_bad_champion_a_worker_does_not_start_and_says_why(only_full, make_bank, world, tmp_path, row):
    bank = make_bank()
    for how in BAD:
        worker = bank.worker(0, "--model", str(bad(world.bundle, tmp_path, how)))
        assert worker.wait() == 1
        assert "train it again" in worker.output()
