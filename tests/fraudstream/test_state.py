"""`fraudstream state`: looking at what workers know, and building it again from the payments."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from kit.bank import Bank, Worker
from kit.oracle import audit
from kit.readback import read
from models.tokens import Tokeniser
from stream.keyed_state import DirectoryLock
from stream.librdkafka import admin

SESSION_MS = "6000"
"""As short as the brokers allow: a worker that was stopped stays in its groups for so long."""
pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def command(run_cli, monkeypatch) -> Callable[..., Any]:
    """`command("inspect", …)`: exit code, output and errors of `fraudstream state inspect …`; nobody answers it."""
    monkeypatch.setenv("FRAUDSTREAM_SESSION_TIMEOUT_MS", SESSION_MS)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return lambda *arguments: run_cli("state", *map(str, arguments))


@pytest.fixture
def bank(broker, world, topic_name, tmp_path) -> Iterator[Bank]:
    with Bank(broker.bootstrap_servers, tmp_path / "bank", world, name=topic_name) as bank:
        yield bank


@pytest.fixture(scope="module")
def known(broker, world, tmp_path_factory) -> Iterator[Bank]:
    """A bank whose state is there to be looked at, and built again, which makes no difference."""
    home = tmp_path_factory.mktemp("known")
    with Bank(broker.bootstrap_servers, home, world, name=f"test-{home.name}") as bank:
        judged(bank, world.payments.head(2_000))
        yield bank


@pytest.fixture
def rebuild(command, world) -> Callable[..., Any]:
    """`rebuild(bank, "--yes")`: the command, for a bank."""

    def run(bank: Bank, *options: object) -> Any:
        where = ("--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
        where += ("--group-id", bank.name, "--state-dir", bank.home / "state", "--token-key-file", world.key)
        return command("rebuild", "--from-transactions", *where, *options)

    return run


def started(bank: Bank, **given: Any) -> Worker:
    return bank.worker(env={"FRAUDSTREAM_SESSION_TIMEOUT_MS": SESSION_MS}, **given)


def judged(bank: Bank, payments: pl.DataFrame) -> None:
    """A worker judges them and ends."""
    bank.publish(payments)
    started(bank)
    bank.finish()
    bank.stop()


def recreated(bank: Bank, *topics: str) -> None:
    """Topics are deleted and made again as `topics create` does."""
    client = AdminClient(admin(bank.kafka))
    for future in client.delete_topics(list(topics)).values():
        future.result()
    create = ("topics", "create", "--bootstrap-servers", bank.bootstrap_servers, "--topic-prefix", f"{bank.name}.")
    create += ("--group-id", bank.name, "--partitions", str(bank.partitions))
    subprocess.run([sys.executable, "-m", "fraudstream", *create], check=True, capture_output=True)


def state_of(bank: Bank) -> dict[str, tuple[pl.DataFrame, dict[int, int]]]:
    """By agent, what its changelog comes to, byte for byte, and its positions."""
    found = read(bank, states=False).changelogs
    return {
        agent: (state.records.drop_nulls("value").sort("partition", "key"), state.positions)
        for agent, state in found.items()
    }


def test_a_rebuild_comes_to_the_same_state_and_the_worker_goes_on(bank, world, rebuild):
    payments = world.payments
    judged(bank, payments.head(4_000))
    before = state_of(bank)
    assert before["scoring"][0].height > 500
    assert before["entities"][0].height > 500
    recreated(bank, bank.topics.scoring_changelog, bank.topics.entities_changelog)

    worker = started(bank)
    assert worker.wait() == 1
    assert "fraudstream state rebuild --from-transactions" in worker.output()

    done = rebuild(bank, "--yes")
    assert done.code == 0, done.err
    assert "6 local databases deleted" in done.out
    after = state_of(bank)
    for agent, (records, positions) in before.items():
        assert after[agent][0].equals(records), agent
        assert after[agent][1] == positions, agent

    judged(bank, payments.slice(4_000, 2_000))
    findings = audit(bank)
    assert findings.clean, findings


def test_a_rebuild_is_refused_while_a_worker_runs_and_inspect_is_not(bank, world, rebuild, command):
    bank.publish(world.payments.head(500))
    worker = started(bank, state=bank.home / "elsewhere")
    worker.wait_ready()
    shown = command("inspect", "--state-dir", bank.home / "elsewhere")
    assert (shown.code, "not shown" in shown.out) == (0, True)
    refused = rebuild(bank, "--yes")
    assert refused.code == 1
    assert "have 3 members" in refused.err
    assert "stop all workers" in refused.err
    lock = DirectoryLock(bank.home / "state" / "0")
    assert "another worker uses the state directory" in rebuild(bank, "--yes").err
    lock.release()
    assert worker.stop() == 0


def test_a_rebuild_that_was_interrupted_is_done_again_and_the_topic_keeps_its_settings(known, rebuild):
    before = state_of(known)
    recreated(known, known.topics.scoring_changelog)  # as one leaves it that dies before it publishes
    (known.home / "state" / "rebuild" / "scoring" / "0").mkdir(parents=True)
    assert rebuild(known, "--yes", "--agent", "scoring").code == 0
    assert rebuild(known, "--yes").code == 0
    after = state_of(known)
    assert all(after[agent][0].equals(records) for agent, (records, _) in before.items())
    client = AdminClient(admin(known.kafka))
    asked = ConfigResource(ResourceType.TOPIC, known.topics.scoring_changelog)
    found = client.describe_configs([asked])[asked].result()
    assert found["cleanup.policy"].value == "compact"
    assert found["segment.bytes"].value == str(64 * 2**20)


def test_what_a_source_has_lost_must_be_accepted(bank, world, rebuild):
    judged(bank, world.payments.head(2_000))
    before = state_of(bank)
    gone = bank.offsets("scoring")[0] // 2
    client = AdminClient(admin(bank.kafka))
    place = TopicPartition(bank.topics.transactions, 0, gone)
    client.delete_records([place])[place].result()

    refused = rebuild(bank, "--yes")
    assert refused.code == 1
    assert f"{gone:,} offsets that were judged are on their source no more" in refused.err
    assert state_of(bank)["scoring"][0].equals(before["scoring"][0])

    assert rebuild(bank, "--yes", "--accept-state-loss").code == 0
    known, positions = state_of(bank)["scoring"]
    assert positions == before["scoring"][1]
    assert known.filter(pl.col("partition") > 0).equals(before["scoring"][0].filter(pl.col("partition") > 0))
    assert not known.equals(before["scoring"][0])
    judged(bank, world.payments.slice(2_000, 500))


def test_nothing_happens_without_an_answer(known, rebuild):
    before = state_of(known)
    done = rebuild(known)
    assert done.code == 1
    assert re.search(r"scoring +0 +0 +\d+", done.err)
    assert state_of(known)["scoring"][0].equals(before["scoring"][0])


def test_the_way_must_be_named(command):
    assert command("rebuild").code == 2


def test_inspect_shows_every_database_and_one_payer_by_name_and_token(bank, world, command):
    payments = world.payments.head(1_000)
    judged(bank, payments)
    found = json.loads(command("inspect", "--state-dir", bank.home / "state", "--json").out)["databases"]
    payers = [each for each in found if each["agent"] == "scoring"]
    assert sum(each["records"] for each in payers) == payments["payer"].n_unique()
    assert {each["partition"]: each["source_offset"] for each in payers} == bank.offsets("scoring")
    assert min(each["oldest_ms"] for each in payers) >= payments["event_time"].min()
    assert max(each["newest_ms"] for each in payers) == payments["event_time"].max()
    assert all(0 < each["size_median"] <= each["size_p99"] <= each["size_max"] <= 2048 for each in payers)
    assert {each["agent"] for each in found} == {"scoring", "entities"}

    vpa, count = payments["payer"].value_counts(sort=True).row(0)
    token = Tokeniser.load(world.key).token(vpa)
    where = ("inspect", "--state-dir", bank.home / "state")
    words = command(*where, "--payer", vpa, "--token-key-file", world.key)
    assert words.code == 0, words.err
    assert re.search(rf"payments +{count}\b", words.out)
    assert vpa not in words.out
    record = json.loads(command(*where, "--token", token, "--json").out)
    assert record["payments"] == count
    assert record["payer_token"] == token
    assert len(record["recents"]) == min(16, count)
    unknown = command(*where, "--token", "0" * 32)
    assert (unknown.code, "is in no database" in unknown.err) == (1, True)
    assert command(*where, "--token", "nonsense").code == 1
    assert command(*where, "--payer", vpa).code == 1  # no key


def test_inspect_says_what_is_wrong(tmp_path, command):
    nothing = command("inspect", "--state-dir", tmp_path)
    assert (nothing.code, "there is no database" in nothing.err) == (1, True)
    damaged = tmp_path / "0" / "scoring" / "0"
    damaged.mkdir(parents=True)
    (damaged / "CURRENT").write_text("nonsense\n")
    unreadable = command("inspect", "--state-dir", tmp_path)
    assert (unreadable.code, "cannot be read" in unreadable.err) == (1, True)
