"""What was decided live comes out again bit for bit, through restarts; what does not is explained."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtest import differences
from backtest.decided import DECIDED, Matching, conformed, hits_of
from backtest.differences import COMPARED, reasons
from backtest.verify import MOST_DIFFERENCES
from models.catalogue import CATALOGUE_HASH
from models.engine import REDO
from models.policy import ALLOW, BLOCK

MODELS, POLICIES = ("aa",), ("p1",)


def decided(**changed: object) -> pl.DataFrame:
    """One decision."""
    row = {
        "offset": 7, "transaction_id": "t", "features_hash": 11, "probability": 0.5, "score": 500, "second_score": None,
        "flagged": True, "decided_by": "model", "rule": None, "status": 0, "model": "aa", "policy_version": "p1",
        "catalogue_hash": CATALOGUE_HASH, **changed,
    }  # fmt: skip
    return conformed(pl.DataFrame([row])).with_columns(decided=pl.lit(changed.get("decided", True)))


@pytest.mark.parametrize(
    ("live", "now", "whole", "reason"),
    [
        ({}, {}, True, differences.SAME),
        ({"decided": False}, {}, True, differences.UNDECIDED),
        ({"catalogue_hash": "0" * 64, "features_hash": 1}, {}, True, differences.CATALOGUE),
        ({"status": REDO}, {}, True, differences.AGAIN),
        ({"features_hash": 1}, {}, True, differences.FEATURES),
        ({"features_hash": 1}, {}, False, differences.PAST),
        ({"status": 1}, {}, True, differences.FEATURES),
        ({"model": "bb"}, {"probability": None, "score": None}, True, differences.MODEL),
        ({"probability": 0.5000001}, {}, True, differences.SCORE),
        ({"second_score": 3}, {}, True, differences.SCORE),
        ({"flagged": False}, {}, True, differences.DECISION),
        ({"rule": "mule_registry", "decided_by": "rule"}, {}, True, differences.DECISION),
        ({"flagged": False, "policy_version": "p2"}, {}, True, differences.POLICY),
        ({"policy_version": "p2"}, {}, True, differences.SAME),
    ],
)
def test_the_first_reason_that_applies_is_given(live, now, whole, reason):
    found = reasons(decided(**live), decided(**now).select(COMPARED), MODELS, POLICIES, whole=whole)
    assert found.to_list() == [reason]
    assert reason in (differences.SAME, *differences.FAULTS, *differences.WHAT_TO_DO)


def test_equal_decisions_are_equal_bytes_and_others_are_not():
    one = differences.as_bytes(decided())
    assert differences.as_bytes(decided(offset=8)) == one
    for name, other in {"features_hash": 12, "probability": 0.25, "score": 1, "flagged": False, "rule": "x"}.items():
        assert differences.as_bytes(decided(**{name: other})) != one


def test_a_list_that_had_the_last_word_had_the_payment_on_it():
    listed = [decided(decided_by="list", rule=rule) for rule in ("block:payee", "allow:sim")]
    found = hits_of(pl.concat([*listed, decided()]))
    assert found.tolist() == [[0, BLOCK, 0, 0], [0, 0, 0, ALLOW], [0, 0, 0, 0]]


def frame(*offsets: int) -> pl.DataFrame:
    return pl.DataFrame({"offset": offsets}, schema={"offset": pl.Int64}).pipe(conformed)


def test_decisions_are_matched_by_offset_repeats_and_strangers_counted():
    matching = Matching(iter([frame(0, 1, 2), frame(1, 2), frame(3, 5), frame(6, 9)]))
    assert matching.of(np.array([0, 1, 3])).select("offset", "decided").rows() == [(0, True), (1, True), (3, True)]
    assert matching.of(np.array([4, 5, 7])).select("offset", "decided").rows() == [(4, False), (5, True), (7, False)]
    assert matching.repeats == 2
    assert matching.without_payment == 2  # of offsets 2 and 6
    assert matching.left() == 1
    assert set(DECIDED) <= set(frame(1).columns)


def verified(command, bank, out: Path, *options: object) -> tuple[int, dict, str]:
    """Exit code, verification and what was said."""
    common = ("--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
    done = command(
        "backtest", "--verify", *common, "--token-key-file", bank.world.key, "--model", bank.world.bundle,
        "--out", out, *options,
    )  # fmt: skip
    assert "error" not in done.stderr, done.stderr
    return done.returncode, json.loads((out / "verification.json").read_bytes()), done.stdout


@pytest.mark.broker
@pytest.mark.slow
def test_a_live_run_with_deaths_comes_out_again_bit_for_bit(bank, world, command, tmp_path):
    bank.publish(world.payments.head(12_000))
    bank.publish_raw([(b"nobody", b"{}")])
    for failpoint in ("scoring/committed:4", "scoring/produced:3", "scoring/computed:5"):
        bank.worker(failpoint=failpoint).wait_killed()
    worker = bank.worker()
    bank.publish(world.payments[12_000:14_000])
    bank.finish()
    bank.stop()
    assert worker.process.returncode == 0
    code, found, said = verified(command, bank, tmp_path / "out")
    assert code == 0, said
    assert found["payments"] == found["same"] == 14_000
    assert found["live_sha256"] == found["replayed_sha256"]
    assert "14,000 of 14,000 payments come out as they were decided live" in said
    assert not (tmp_path / "out" / "differences.parquet").exists()


@pytest.mark.broker
@pytest.mark.slow
def test_models_and_lists_that_changed_and_a_past_that_is_gone(bank, world, candidate, command, tmp_path):
    payee = world.payments["payee"].mode()[0]
    servers = ("--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
    key = ("--token-key-file", world.key)
    entry = ("--list", "block", "--kind", "account", "--value", payee, "--reason", "a mule")
    listed = command("lists", "add", *entry, *servers, *key)
    assert listed.returncode == 0, listed.stderr
    bank.publish(world.payments.head(3_000))
    bank.worker()
    bank.finish()
    bank.stop()
    bank.publish(world.payments[3_000:6_000])
    bank.worker(0, "--model", str(candidate))
    bank.finish()
    bank.stop()

    code, found, said = verified(command, bank, tmp_path / "one")
    assert code == 0, said
    assert found["reasons"] == {differences.SAME: 3_000, differences.MODEL: 3_000}
    assert found["live_sha256"] == found["replayed_sha256"]
    code, found, said = verified(command, bank, tmp_path / "both", "--candidate", candidate)
    assert code == 0, said
    assert found["reasons"] == {differences.SAME: 6_000}

    bank.expire(500)
    code, found, said = verified(command, bank, tmp_path / "gone", "--candidate", candidate)
    assert code == 0, said
    assert found["payments"] == 6_000 - 500 * bank.partitions
    assert set(found["reasons"]) == {differences.SAME, differences.PAST}
    assert sum(part["without_payment"] for part in found["partitions"]) == 500 * bank.partitions
    different = pl.read_parquet(tmp_path / "gone" / "differences.parquet")
    assert different.height == sum(
        min(MOST_DIFFERENCES, part["reasons"][differences.PAST]) for part in found["partitions"]
    )
    assert (different["features_hash"] != different["features_hash_now"]).all()
    assert "removed by retention" in said


@pytest.mark.broker
@pytest.mark.slow
def test_a_copy_of_the_state_is_the_past_of_what_followed(bank, world, command, tmp_path):
    bank.publish(world.payments.head(6_000))
    bank.worker()
    bank.finish()
    bank.stop()
    copied = shutil.copytree(bank.home / "state", tmp_path / "state")
    bank.publish(world.payments[6_000:9_000])
    bank.worker()
    bank.finish()
    bank.stop()
    bank.expire(500)  # the past is gone from the topic
    code, found, said = verified(command, bank, tmp_path / "out", "--state", copied)
    assert code == 0, said
    assert found["reasons"] == {differences.SAME: 3_000}
    assert found["live_sha256"] == found["replayed_sha256"]
    assert "removed by retention" not in said
