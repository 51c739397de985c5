"""What was decided live comes out again bit for bit, through restarts; what does not is explained."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest import differences
from backtest.decided import (
    DECIDED,
    Matching,
    challenger_probabilities,
    challengers_but,
    conformed,
    decided_on_topic,
    hits_of,
    in_shadow,
)
from backtest.differences import COMPARED, Digest, of_challengers, reasons
from backtest.judges import seated
from backtest.source import Offsets, SourceError, Window
from backtest.topic import TopicSource
from backtest.verify import MOST_DIFFERENCES, Verifier
from models.bundle import Bundle
from models.catalogue import CATALOGUE_HASH
from models.engine import REDO
from models.policy import ALLOW, BLOCK, Policy

MODELS, POLICIES = ("aa",), ("p1",)
EVERYTHING = Window()
SHADOW = differences.OF_CHALLENGER + "bb"


def decided(**changed: object) -> pl.DataFrame:
    """One decision."""
    row = {
        "offset": 7, "transaction_id": "t", "features_hash": 11, "probability": 0.5, "score": 500, "second_score": None,
        "flagged": True, "decided_by": "model", "rule": None, "status": 0, "model": "aa", "policy_version": "p1",
        "catalogue_hash": CATALOGUE_HASH, **changed,
    }  # fmt: skip
    about = {"decided": pl.lit(row.pop("decided", True))}
    if SHADOW in row:
        about[SHADOW] = pl.lit(row.pop(SHADOW), pl.Float32())
    return conformed(pl.DataFrame([row])).with_columns(**about)


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
        ({SHADOW: 0.5}, {SHADOW: 0.5}, True, differences.SAME),
        ({SHADOW: 0.5}, {SHADOW: 0.50000006}, True, differences.CHALLENGER),
        ({SHADOW: None}, {SHADOW: 0.5}, True, differences.CHALLENGER),
        ({SHADOW: 0.5, "score": 1}, {SHADOW: 0.6}, True, differences.SCORE),
        ({SHADOW: 0.5, "features_hash": 1}, {SHADOW: 0.6}, False, differences.PAST),
        ({SHADOW: 0.5, "flagged": False, "policy_version": "p2"}, {SHADOW: 0.6}, True, differences.CHALLENGER),
        ({SHADOW: 0.5, "model": "bb"}, {SHADOW: 0.6, "score": None}, True, differences.CHALLENGER),
        ({SHADOW: 0.5, "model": "bb"}, {SHADOW: 0.5, "score": None}, True, differences.MODEL),
    ],
)
def test_the_first_reason_that_applies_is_given(live, now, whole, reason):
    replayed = decided(**now)
    found = reasons(
        decided(**live), replayed.select(*COMPARED, *of_challengers(replayed)), MODELS, POLICIES, whole=whole
    )
    assert found.to_list() == [reason]
    assert reason in (differences.SAME, *differences.FAULTS, *differences.WHAT_TO_DO)


def digest(*pieces: pl.DataFrame) -> str:
    found = Digest()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def test_equal_decisions_have_equal_digests_and_others_have_not():
    one = digest(decided())
    assert digest(decided(offset=8)) == one
    others = {
        "features_hash": 12, "status": 1, "probability": 0.25, "score": 1, "second_score": 0, "flagged": False,
        "decided_by": "rule", "rule": "x", SHADOW: 0.5,
    }  # fmt: skip
    for name, other in others.items():
        assert digest(decided(**{name: other})) != one
    assert digest(decided(**{SHADOW: 0.5})) != digest(decided(**{SHADOW: 0.25}))


@given(st.lists(st.integers(0, 20), max_size=4))
def test_a_digest_does_not_depend_on_the_pieces_that_decisions_come_in(cuts):
    rows = pl.concat([decided(features_hash=k, score=k, rule="xy"[: k % 3] or None) for k in range(20)])
    ends = [0, *sorted(cuts), 20]
    assert digest(*(rows[begin:end] for begin, end in pairwise(ends))) == digest(rows)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=4), min_size=1, max_size=12))
def test_what_a_challenger_said_is_found_wherever_it_stood(shadows):
    """A record for each list of challengers, which come and go and change places."""
    frames = []
    for record, names in enumerate(shadows):
        rows = frame(2 * record, 2 * record + 1).drop("challengers", "challenger_probabilities")
        columns = {f"challenger_{k}": np.array([record, record + 0.5], np.float32) + 100 * k for k in range(len(names))}
        rows = rows.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
        told = pl.lit([{"name": f"model {name}", "sha256": name} for name in names], DECIDED["challengers"])
        probabilities = challenger_probabilities(rows)
        frames.append(conformed(rows.with_columns(challengers=told, challenger_probabilities=probabilities)))
    decisions = pl.concat(frames)
    for name in "abcd":
        found = in_shadow(decisions, name)
        assert found["there"].to_list() == [name in names for names in shadows for _ in range(2)]
        expected = [
            record + 0.5 * second + 100 * names.index(name) if name in names else None
            for record, names in enumerate(shadows)
            for second in range(2)
        ]
        assert found["probability"].to_list() == expected
    absent = {f"model {name} {name}": 2 * sum(name in names for names in shadows) for name in "cd"}
    assert challengers_but(decisions, "ab") == {name: count for name, count in absent.items() if count}


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


def test_a_frame_of_many_records_may_repeat_itself():
    matching = Matching(iter([frame(0, 1, 2, 3, 1, 2), frame(2, 3, 4)]))
    assert matching.of(np.array([0, 1, 2])).select("offset", "decided").rows() == [(0, True), (1, True), (2, True)]
    assert matching.of(np.array([3, 4])).select("offset", "decided").rows() == [(3, True), (4, True)]
    assert matching.repeats == 4
    assert matching.left() == matching.without_payment == 0


def test_a_partition_that_fails_ends_the_others(world, scripted, tokeniser):
    source = scripted(world.payments.head(3_000), count=2)
    read = source.read

    def failing_or_endless(partition, position, advance):
        if partition == 1:
            raise SourceError("gone")
        while True:
            yield from read(partition, position, advance)

    source.read = failing_or_endless
    seats = {seat.judge.sha256: seat for seat in seated(world.bundle, [], Policy())}
    with pytest.raises(SourceError, match="gone"):
        Verifier(source, lambda partition: iter(()), EVERYTHING, seats, tokeniser)(lambda count: None, 2)


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
    code, found, said = verified(command, bank, tmp_path / "out", "--candidate", world.bundle)  # once more
    assert code == 0, said
    assert found["payments"] == found["same"] == 14_000
    assert found["live_sha256"] == found["replayed_sha256"]
    assert "14,000 of 14,000 payments come out as they were decided live" in said
    assert not (tmp_path / "out" / "differences.parquet").exists()


@pytest.mark.broker
@pytest.mark.slow
def test_a_payment_after_the_window_is_the_past_of_a_late_one_in_it(bank, world, command, tmp_path):
    for first, end in ((0, 2_000), (4_000, 6_000), (2_000, 4_000)):
        bank.publish(world.payments[first:end])
    bank.worker()
    bank.finish()
    bank.stop()
    code, found, said = verified(command, bank, tmp_path / "out", "--to", world.payments["event_time"][4_000])
    assert code == 0, said
    assert found["reasons"] == {differences.SAME: 4_000}


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


@pytest.mark.broker
@pytest.mark.slow
def test_challengers_come_out_again_while_they_change_and_are_promoted(
    bank, world, candidate, command, tokeniser, tmp_path
):
    bank.publish(world.payments.head(3_000))
    bank.worker(0, "--challenger", str(candidate))
    bank.finish()
    bank.stop()
    bank.publish(world.payments[3_000:6_000])
    shadows = ("--challenger", str(world.bundle), "--challenger", str(candidate))
    bank.worker(0, "--model", str(candidate), *shadows)
    bank.finish()
    bank.stop()
    promoted = Bundle.load(candidate)
    told = f"{promoted.manifest.name} {promoted.sha256}"

    code, found, said = verified(command, bank, tmp_path / "both", "--candidate", candidate)
    assert code == 0, said
    assert found["reasons"] == {differences.SAME: 6_000}
    assert found["challengers_not_given"] == {}
    assert found["live_sha256"] == found["replayed_sha256"]
    code, found, said = verified(command, bank, tmp_path / "one")
    assert code == 0, said
    assert found["reasons"] == {differences.SAME: 3_000, differences.MODEL: 3_000}
    assert found["challengers_not_given"] == {told: 6_000}
    assert f"6,000: the challenger {told} is not given" in said

    seats = {seat.judge.sha256: seat for seat in seated(world.bundle, [candidate], Policy())}
    source = TopicSource(bank.kafka, bank.topics.transactions, tokeniser, EVERYTHING, Offsets())
    frames = decided_on_topic(bank.kafka, bank.topics.decisions, bank.topics.transactions)

    def altered(partition: int):
        """With another probability of the challenger of one payment."""
        for rows in frames(partition):
            first = (pl.col("offset") == 0) & (partition == 0)
            other = pl.col("challenger_probabilities").list.eval((pl.element() + 1e-7).cast(pl.Float32))
            yield rows.with_columns(
                challenger_probabilities=pl.when(first).then(other).otherwise("challenger_probabilities")
            )

    verification, different = Verifier(source, altered, EVERYTHING, seats, tokeniser)(lambda n: None, 2)
    assert verification.reasons == {differences.SAME: 5_999, differences.CHALLENGER: 1}
    assert verification.faults == 1
    assert verification.live_sha256 != verification.replayed_sha256
    name = differences.OF_CHALLENGER + seats[promoted.sha256].judge.name
    assert different.height == 1
    assert different[name][0] != different[f"{name}_now"][0]
