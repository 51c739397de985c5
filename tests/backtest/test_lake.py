"""A lake replays as the topic that it was archived from, row by row, and verifies what was decided live."""

import json

import polars as pl
import pytest

from backtest.differences import SAME
from backtest.lake import LakeSource
from backtest.result import SCORES
from backtest.source import Offsets, Window
from kit.lake import START_HOUR, START_MS, payments, topic_of, write_range
from schemas.lake import Block
from stream.lake import Lake


def ids(source) -> dict[int, list[str]]:
    return {
        partition: [identity for slab in source.read(partition, None, lambda n: None) for identity in slab.batch.ids]
        for partition in source.partitions
    }


def test_each_offset_passes_once_whatever_blocks_overlap(tmp_path, tokeniser):
    lake = Lake(str(tmp_path))
    for first, end in ((0, 40), (0, 25), (40, 90), (25, 60), (90, 100)):
        write_range(lake, first, end)
    write_range(lake, 0, 30, partition=2)
    source = LakeSource(lake, tokeniser, Window(), Offsets())
    assert ids(source) == {0: [f"t0-{k}" for k in range(100)], 2: [f"t2-{k}" for k in range(30)]}
    assert source.notes == ()
    assert source.whole(0)


def test_window_and_offsets_bound_it(tmp_path, tokeniser):
    lake = Lake(str(tmp_path))
    for first in range(0, 600, 50):
        write_range(lake, first, first + 50)
    window = Window(topic_of(200), topic_of(300), 60 * 60_000)
    assert ids(LakeSource(lake, tokeniser, window, Offsets()))[0] == [f"t0-{k}" for k in range(140, 300)]
    bounded = LakeSource(lake, tokeniser, Window(), Offsets({0: 70}, {0: 80}))
    assert ids(bounded)[0] == [f"t0-{k}" for k in range(70, 80)]
    assert bounded.total == 50  # of the one block that holds them
    assert not bounded.whole(0)
    assert LakeSource(lake, tokeniser, Window(), Offsets(known={0: 70})).whole(0)


def test_as_published_what_came_before_a_late_payment_passes_too(tmp_path, tokeniser):
    lake = Lake(str(tmp_path))
    for first, minutes in ((0, range(10)), (10, range(50, 60)), (20, range(10, 20)), (30, range(60, 70))):
        block = Block("transactions", START_HOUR, 0, first, first + 10)
        lake.write(block, payments([START_MS + minute * 60_000 for minute in minutes], 0, first))
    end = START_MS + 20 * 60_000
    assert ids(LakeSource(lake, tokeniser, Window(end=end), Offsets()))[0] == [
        f"t0-{k}" for k in (*range(10), *range(20, 30))
    ]
    source = LakeSource(lake, tokeniser, Window(end=end, as_published=True), Offsets())
    assert ids(source)[0] == [f"t0-{k}" for k in range(30)]
    assert source.total == 30


def test_what_the_lake_does_not_have_is_told(tmp_path, tokeniser):
    lake = Lake(str(tmp_path))
    write_range(lake, 100, 150)
    write_range(lake, 170, 200)
    source = LakeSource(lake, tokeniser, Window(), Offsets())
    begins, lacks = source.notes
    assert "begins at offset 100" in begins
    assert "from 150 up to 170" in lacks
    assert not source.whole(0)
    assert topic_of(0) == START_MS


@pytest.mark.broker
@pytest.mark.slow
def test_a_lake_comes_out_as_its_topic_and_verifies_what_was_decided(bank, world, candidate, command, tmp_path):
    bank.publish(world.payments.head(10_000))
    bank.publish_raw([(b"nobody", b"{}")])
    repeating = ("--guarantee", "at_least_once")
    bank.worker(0, *repeating, failpoint="scoring/produced:3").wait_killed()
    bank.worker(0, *repeating, "--challenger", str(candidate))
    bank.finish()
    bank.stop()
    servers = ("--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
    lake = tmp_path / "lake"
    archived = command(
        "archive", "--lake", lake, "--group-id", bank.name, *servers, "--until-end", "--metrics-port", "0"
    )
    assert archived.returncode == 0, archived.stderr

    common = ("--model", world.bundle, "--token-key-file", world.key)
    labels = ("--candidate", candidate, "--labels", world.history)
    for name, source in {"topic": servers, "lake": ("--data", lake)}.items():
        done = command("backtest", *source, *common, *labels, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "lake" / SCORES).equals(pl.read_parquet(tmp_path / "topic" / SCORES))

    verify = ("backtest", "--verify", "--data", lake, *common, "--out", tmp_path / "verified")
    done = command(*verify)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "verified" / "verification.json").read_bytes())
    assert found["reasons"] == {SAME: 10_000}
    (in_shadow,) = found["challengers_not_given"].values()
    assert 0 < in_shadow < 10_000
    assert found["live_sha256"] == found["replayed_sha256"]

    done = command(*verify, "--candidate", candidate)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "verified" / "verification.json").read_bytes())
    assert found["reasons"] == {SAME: 10_000}
    assert found["challengers_not_given"] == {}
    assert sum(part["repeats"] for part in found["partitions"]) > 0

    done = command("backtest", "--verify", *servers, *common, "--candidate", candidate, "--out", tmp_path / "live")
    assert done.returncode == 0, done.stderr
    live = json.loads((tmp_path / "live" / "verification.json").read_bytes())
    assert {live["live_sha256"], live["replayed_sha256"]} == {found["live_sha256"], found["replayed_sha256"]}
    assert found["live_sha256"] == found["replayed_sha256"]
