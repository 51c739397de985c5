"""`fraudstream lists` against a real broker."""

import json
import uuid

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from fraudstream.token_key import load_tokeniser, write_new_key


@pytest.fixture
def lists(broker, run_cli):
    """Run a `lists` command on topics of its own."""
    prefix = f"lists-{uuid.uuid4().hex[:8]}."
    topic = NewTopic(f"{prefix}entity-lists", 2, 1, config={"cleanup.policy": "compact"})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for future in admin.create_topics([topic]).values():
        future.result()
    where = ("--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", prefix)
    return lambda command, *arguments: run_cli("lists", command, *arguments, *where)


@pytest.mark.broker
def test_an_entity_is_put_on_a_list_moved_and_taken_off(lists, tmp_path):
    key = tmp_path / "token.key"
    write_new_key(key)
    token = load_tokeniser(key).token("mule@okbank", "account")
    who = ("--value", "mule@okbank", "--token-key-file", str(key))

    added = lists("add", "--list", "watch", "--reason", "complaint", "--by", "asha", *who)
    assert added.code == 0, added.err
    assert "mule@okbank" not in added.out + added.err
    lists("add", "--list", "block", "--reason", "two complaints", "--expires", "2030-01-01", *who)
    lists("add", "--list", "allow", "--kind", "device", "--token", "ab" * 16, "--reason", "branch tablet")
    shown = [json.loads(line) for line in lists("show", "--json").out.splitlines()]
    assert [(entry["list"], entry["kind"], entry["token"]) for entry in shown] == [
        ("allow", "device", "ab" * 16),
        ("block", "account", token),
    ]
    assert shown[1]["expires_at"] == 1_893_456_000_000
    assert "two complaints" in lists("show").out

    assert lists("remove", *who).code == 0
    assert [json.loads(line)["kind"] for line in lists("show", "--json").out.splitlines()] == ["device"]
    assert lists("remove", "--kind", "device", "--token", "ab" * 16).code == 0
    assert "empty" in lists("show").out


def test_an_entry_that_is_not_valid_is_not_written(run_cli):
    done = run_cli("lists", "add", "--list", "block", "--reason", "x", "--token", "mule@okbank")
    assert done.code == 1
    assert "not a valid entry" in done.err


def test_either_a_value_or_a_token_is_needed(run_cli):
    assert run_cli("lists", "add", "--list", "block", "--reason", "x").code == 2
    assert run_cli("lists", "remove", "--value", "a", "--token", "ab" * 16).code == 2


def test_a_value_needs_the_token_key(run_cli):
    done = run_cli("lists", "remove", "--value", "mule@okbank")
    assert done.code == 1
    assert "new-token-key" in done.err


def test_an_unreachable_broker_is_an_error_that_says_what_to_do(run_cli, monkeypatch):
    monkeypatch.setattr("fraudstream.entity_lists.TIMEOUT_S", 0.5)
    done = run_cli("lists", "remove", "--token", "ab" * 16, "--bootstrap-servers", "127.0.0.1:1")
    assert done.code == 1
    assert "127.0.0.1:1" in done.err
    assert "broker running" in done.err
