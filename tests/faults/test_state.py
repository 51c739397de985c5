"""The state of payers and entities, on disk and in the changelog, under every kind of damage; rows 6, 7, 16, 18, 19."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from kit.bank import Bank
from kit.oracle import audit
from stream.changelog import Checkpoint
from stream.keyed_state import CHECKPOINT_KEY
from stream.librdkafka import admin
from stream.rocksdb import open_read_only

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SESSION = {"FRAUDSTREAM_SESSION_TIMEOUT_MS": "2000"}
TINY_MEMTABLES = {**SESSION, "FRAUDSTREAM_WRITE_BUFFER_BYTES": str(1 << 16)}
"""Written out every few hundred records, so that memtables are flushed and files merged all the time."""


def half(frames: list[Any]) -> tuple[list[Any], list[Any]]:
    return frames[: len(frames) // 2], frames[len(frames) // 2 :]


def judged(bank: Bank, *frames: Any, env: dict[str, str] = SESSION) -> None:
    """A worker judges payments, and ends."""
    bank.publish(*frames)
    bank.worker(env=env)
    bank.finish()
    bank.stop()


def databases(bank: Bank, agent: str) -> list[Path]:
    return sorted(path.parent for path in bank.home.glob(f"state/*/{agent}/*/CURRENT"))


def said(bank: Bank, event: str) -> list[dict[str, Any]]:
    """Log lines of the last worker."""
    return [line for line in bank.workers[-1].events() if line.get("event") == event]


@pytest.mark.row(6)
def test_killed_while_memtables_are_written_out_and_files_merged(make_bank, stream_of, full, row, seed):
    rng = random.Random(seed)
    kills, payments = (25, 4_000) if full else (3, 2_000)
    stream = pl.concat(stream_of((kills + 1) * payments))
    bank = make_bank()
    for number in range(kills):
        bank.publish(stream.slice(number * payments, payments))  # so that there is always work until the kill
        agent = rng.choice(("scoring", "scoring", "entities"))
        # How many steps the entities need depends on how fast they are: one there is always.
        step = 1 if agent == "entities" else rng.randint(2, 6 if full else 4)
        failpoint = f"{agent}/persisted:{step}=kill:{rng.uniform(0.2, 40):.1f}"
        bank.worker(failpoint=failpoint, env=TINY_MEMTABLES).wait_killed()
    bank.publish(stream.slice(kills * payments))
    bank.worker(env=TINY_MEMTABLES)
    bank.finish(300)
    assert list(bank.home.glob("state/0/scoring/0/*.sst")), "files were written"
    bank.stop()
    findings = audit(bank)
    row(6, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.row(7)
@pytest.mark.usefixtures("only_full")
def test_killed_while_it_restores(make_bank, stream_of, full, row):
    first, second = half(stream_of(100_000 if full else 6_000))
    bank = make_bank()
    judged(bank, *first, env=TINY_MEMTABLES)
    shutil.rmtree(bank.home / "state")
    bank.publish(*second)
    places = ("scoring/restoring:1", "scoring/restoring:2", "entities/restoring:1", "entities/restoring:3")
    for failpoint in places if not full else [*places, "scoring/restoring:4", "entities/restoring:5"] * 3:
        bank.worker(failpoint=failpoint, env=TINY_MEMTABLES).wait_killed()
    bank.worker(env=TINY_MEMTABLES)
    bank.finish(300)
    bank.stop()
    findings = audit(bank)
    row(7, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("not run: a file system of its own needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("not run: tmpfs cannot be mounted here")
    try:
        yield small
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def fill(ballast: Path, leave: int) -> None:
    """Use a disk up but for so many bytes."""
    free = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))


@pytest.mark.row(16)
def test_a_full_disk_under_the_state_stops_the_worker_and_no_checkpoint_gets_ahead(
    make_bank, stream_of, small_disk, row
):
    first, second = half(stream_of(8_000))
    bank = make_bank()
    state = small_disk / "state"
    bank.publish(*first)
    worker = bank.worker(state=state, env=TINY_MEMTABLES)
    bank.finish()
    fill(small_disk / "ballast", leave=1 << 17)
    bank.publish(*second)
    assert worker.wait(120) == 1
    assert "bytes are free there" in worker.output()
    assert "look at the disk" in worker.output()
    committed = bank.offsets("scoring")
    (small_disk / "ballast").unlink()
    for partition, offset in committed.items():
        database = open_read_only(state / "0" / "scoring" / str(partition))
        assert Checkpoint.decode(database.get(CHECKPOINT_KEY)).source_offset <= offset
        database.close()

    bank.worker(state=state, env=TINY_MEMTABLES)
    bank.finish()
    bank.stop()
    shutil.copytree(state, bank.home / "state")  # where the oracle looks
    findings = audit(bank)
    row(16, findings, kills=bank.kills)
    assert findings.clean, findings


def delete(path: Path) -> None:
    shutil.rmtree(path)


def truncate(path: Path) -> None:
    for file in path.glob("*.sst"):
        os.truncate(file, file.stat().st_size // 2)


def flip_bits(path: Path) -> None:
    """One bit of every block."""
    for file in path.glob("*.sst"):
        content = bytearray(file.read_bytes())
        for at in range(100, len(content), 2_000):
            content[at] ^= 0x10
        file.write_bytes(content)


@pytest.mark.row(18)
@pytest.mark.parametrize("damage", [delete, truncate, flip_bits])
def test_damaged_local_state_is_noticed_and_built_again(make_bank, stream_of, full, row, damage):
    if not full and damage is not flip_bits:
        pytest.skip("full only")
    first, second = half(stream_of(20_000 if full else 4_000))
    bank = make_bank()
    judged(bank, *first)
    for path in [*databases(bank, "scoring")[:2], *databases(bank, "entities")[:2]]:
        damage(path)
    bank.publish(*second)
    bank.worker(env=SESSION)
    bank.finish()
    if damage is not delete:
        assert said(bank, "local state is damaged, building it again from the changelog")
    assert sum(line["records"] for line in said(bank, "partition restored")) > 0
    bank.stop()
    findings = audit(bank)
    row(18, findings, kills=bank.kills)
    assert findings.clean, findings


def recreated(bank: Bank) -> None:
    """Both changelogs deleted, and made again as `topics create` does."""
    client = AdminClient(admin(bank.kafka))
    for future in client.delete_topics([bank.topics.scoring_changelog, bank.topics.entities_changelog]).values():
        future.result()
    create = ("topics", "create", "--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
    create += ("--group-id", bank.name, "--partitions", str(bank.partitions))
    fraudstream(*create)


def truncated(bank: Bank) -> None:
    """The first half of the scoring agent's changelog deleted."""
    client = AdminClient(admin(bank.kafka))
    topic = bank.topics.scoring_changelog
    policy(client, topic, "delete")  # a compacted topic refuses the deletion
    places = [TopicPartition(topic, partition, 20) for partition in range(bank.partitions)]
    for future in client.delete_records(places).values():
        future.result()
    policy(client, topic, "compact")


def policy(client: AdminClient, topic: str, value: str) -> None:
    entry = ConfigEntry("cleanup.policy", value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in client.incremental_alter_configs([resource]).values():
        future.result()


def fraudstream(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fraudstream", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **SESSION},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rebuilt(bank: Bank) -> None:
    where = ("--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
    where += ("--group-id", bank.name, "--state-dir", bank.home / "state", "--token-key-file", bank.world.key)
    fraudstream("state", "rebuild", "--from-transactions", "--yes", *where)


@pytest.mark.row(19)
@pytest.mark.parametrize("harm", [recreated, truncated])
@pytest.mark.parametrize("disk", ["intact", "empty"])
@pytest.mark.usefixtures("only_full")
def test_a_changelog_that_lost_records_stops_the_worker_and_the_command_it_names_mends_it(
    make_bank, stream_of, full, row, harm: Callable[[Bank], None], disk
):
    first, second = half(stream_of(20_000 if full else 4_000))
    bank = make_bank()
    judged(bank, *first)
    harm(bank)
    if disk == "empty":
        shutil.rmtree(bank.home / "state")
    bank.publish(*second)
    worker = bank.worker(env=SESSION)
    assert worker.wait(60) == 1
    assert worker.metric("ready") == 0
    assert "fraudstream state rebuild --from-transactions" in worker.output()
    assert bank.committed() == bank.published - sum(len(frame) for frame in second)

    rebuilt(bank)
    bank.worker(env=SESSION)
    bank.finish()
    bank.stop()
    findings = audit(bank)
    row(19, findings, kills=bank.kills)
    assert findings.clean, findings


@pytest.mark.usefixtures("only_full")
def test_expired_payers_are_collected_and_nothing_else_changes(make_bank, stream_of):
    """Half of the payers were last seen 460 days or more before the others."""
    payments = pl.concat(stream_of(6_000))
    old = pl.col("payer").hash(seed=1) % 2 == 0
    before = payments.filter(old).with_columns(pl.col("event_time") - 520 * 86_400_000)
    now = payments.filter(~old)
    bank = make_bank()
    judged(bank, before)
    worker = bank.worker(env=SESSION)
    worker.wait_ready()
    for part in now.iter_slices(100):  # one step after another, each of which looks at one partition
        bank.publish(part)
    bank.finish()
    assert worker.metric("expired_payers_total") == before["payer"].n_unique()
    back = payments.filter(old).with_columns(transaction_id=pl.lit("B") + pl.col("transaction_id"))
    bank.publish(back.head(1_000))  # unknown again
    bank.finish()
    bank.stop()
    findings = audit(bank)
    assert findings.clean, findings
