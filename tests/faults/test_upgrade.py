"""Two builds beside each other: rolled forward one by one, back, and forward for good; row 31."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition

from kit.bank import Bank, Worker
from kit.judged_by import described, judged_by
from kit.newer_build import Build, make_newer_build
from kit.oracle import Findings
from kit.readback import messages
from models.engine import DUPLICATE
from schemas.decision import decode_decisions
from stream.changelog import POSITION_KEY

pytestmark = [pytest.mark.broker, pytest.mark.slow]
FIRST_START_S = 300
"""A build's compiled code is made when it starts for the first time."""
SOON = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "4000"}
OLD = Build()


class Fleet:
    """Two slots, and who runs in them."""

    def __init__(self, bank: Bank, bundles: dict[Build, Path]) -> None:
        self.bank = bank
        self._bundles = bundles
        self._slots: dict[int, Worker] = {}

    def put(self, slot: int, build: Build, *options: str) -> Worker:
        """Replace the worker of a slot by one of a build, as a rolling restart does."""
        if slot in self._slots:
            assert self._slots[slot].stop() == 0, self._slots[slot].last_lines()
        options = ("--model", str(self._bundles[build]), *options)
        self._slots[slot] = self.bank.worker(slot, *options, env={**SOON, **build.environment})
        return self._slots[slot]

    def ready(self) -> None:
        for worker in self._slots.values():
            worker.wait_ready(FIRST_START_S)


@pytest.fixture(scope="module")
def newer(tmp_path_factory) -> Build:
    return make_newer_build(tmp_path_factory.mktemp("newer"))


def of_build(build: Build, *command: str, given: str = "") -> str:
    """Output of a Python command that runs a build."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FRAUDSTREAM_")}
    path = {"PYTHONPATH": f"{build.packages}:{Path(__file__).parents[1]}"}
    done = subprocess.run(
        [sys.executable, *command],
        env={**clean, **build.environment, **path},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


@pytest.fixture(scope="module")
def newer_bundle(newer, world, tmp_path_factory) -> Path:
    """Trained by the newer build, which has another feature."""
    out = tmp_path_factory.mktemp("bundles") / "newer"
    of_build(newer, "-m", "fraudstream", "train", "--data", str(world.history), "--out", str(out), "--trees", "60")
    return out


def versions(bank: Bank, since: Sequence[int]) -> set[int]:
    """Versions of the payers' records written to the changelog from these offsets on."""
    return {
        message.value()[0]
        for message in messages(bank, bank.topics.scoring_changelog)
        if message.key() != POSITION_KEY and message.offset() >= since[message.partition()]
    }


def ends(bank: Bank, topic: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bank.bootstrap_servers, "group.id": "ends"})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(bank.partitions)]
    finally:
        consumer.close()


def decided(bank: Bank) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Catalogue, partition and rows of every record of decisions."""
    for message in messages(bank, bank.topics.decisions):
        meta, rows = decode_decisions(message.value())
        yield meta.catalogue_hash, meta.partition, rows


@pytest.mark.row(31)
def test_old_and_new_builds_share_the_payments_through_an_upgrade_and_a_rollback(
    only_full, make_bank, stream_of, world, newer, newer_bundle, row
):
    payments = pl.concat(stream_of(40_000))[:40_000]
    parts = iter(payments.iter_slices(5_000))
    bank = make_bank()
    fleet = Fleet(bank, {OLD: world.bundle, newer: newer_bundle})
    as_before = ("--state-format", "1")
    judged_in: list[set[str]] = []

    def judge() -> None:
        """The next payments, by whoever runs."""
        fleet.ready()
        start, so_far = ends(bank, bank.topics.transactions), Counter[str]()
        bank.publish(next(parts))
        bank.finish()
        for catalogue, partition, rows in decided(bank):
            so_far[catalogue] += rows.filter(pl.col("offset") >= start[partition]).height
        judged_in.append({catalogue for catalogue, count in so_far.items() if count})

    fleet.put(0, OLD), fleet.put(1, OLD)
    judge()
    fleet.put(1, newer, *as_before)
    judge()
    fleet.put(0, newer, *as_before)
    judge()
    fleet.put(0, OLD)  # back
    judge()
    fleet.put(1, OLD)
    judge()
    fleet.put(0, newer, *as_before), fleet.put(1, newer, *as_before)
    judge()
    assert [len(catalogues) for catalogues in judged_in] == [1, 2, 1, 2, 1, 1], (
        "beside each other, the second and fourth"
    )
    assert judged_in[0] == judged_in[4] != judged_in[2] == judged_in[5]
    assert versions(bank, [0] * bank.partitions) == {1}

    # For good: from here on an older build must leave the state alone.
    fleet.put(0, newer), fleet.put(1, newer)
    fleet.ready()
    since = ends(bank, bank.topics.scoring_changelog)
    first = ends(bank, bank.topics.transactions)
    judge()
    assert versions(bank, since) == {2}
    behind = fleet.put(0, OLD)
    behind.wait_ready()
    bank.publish(next(parts))
    assert behind.wait(120) == 1
    assert "a state record has version 2, this build reads up to 1" in behind.output()
    assert "start that one again" in behind.output()
    bank.finish()
    bank.stop()

    findings = judged_by_both(bank, world.bundle, newer, newer_bundle, kept_since(bank, payments, first))
    row(31, findings)
    assert findings.clean, findings


def kept_since(bank: Bank, payments: pl.DataFrame, first: Sequence[int]) -> dict[str, int]:
    """By payer's token, payments with a shared screen that the newer build judged from the offsets `first` on."""
    shared = set(payments.filter(pl.col("screen_shared").fill_null(False))["transaction_id"])
    found: Counter[str] = Counter()
    *_, (newest, _, _) = decided(bank)
    for catalogue, partition, rows in decided(bank):
        if catalogue == newest:
            new = rows.filter((pl.col("offset") >= first[partition]) & (pl.col("status") & DUPLICATE == 0))
            found.update(new.filter(pl.col("transaction_id").is_in(shared))["payer_token"])
    assert found.total() > 20
    return dict(found)


def judged_by_both(bank: Bank, old_bundle: Path, newer: Build, newer_bundle: Path, kept: dict[str, int]) -> Findings:
    """Every payment decided once, each build's decisions as that build replays them, and the state of both."""
    answer = json.loads(
        of_build(newer, "-m", "kit.judged_by", str(newer_bundle), "screen_shares", given=json.dumps(described(bank)))
    )
    theirs, ours = Findings(**answer["findings"]), judged_by(bank, old_bundle, with_state=False)
    assert min(ours.payments, theirs.payments) > 5_000
    assert ours.payments + theirs.payments == bank.published
    assert {token: count for token, count in answer["counted"].items() if count} == kept
    places = Counter((partition, offset) for _, partition, rows in decided(bank) for offset in rows["offset"])
    return Findings(
        payments=bank.published,
        lost=bank.published - len(places) + ours.lost + theirs.lost,
        doubled=places.total() - len(places) + ours.doubled + theirs.doubled,
        disordered=ours.disordered + theirs.disordered,
        problems=[f"old build: {each}" for each in ours.problems]
        + [f"newer build: {each}" for each in theirs.problems],
    )
