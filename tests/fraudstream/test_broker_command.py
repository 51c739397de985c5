"""`fraudstream broker` and `fraudstream topics`, as a user runs them."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.broker


def fraudstream(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fraudstream", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def directory(tmp_path):
    yield str(tmp_path / "broker")
    fraudstream("broker", "stop", "--dir", str(tmp_path / "broker"))


def test_a_brokers_life_from_start_to_deletion(directory):
    started = fraudstream("broker", "start", "--dir", directory, "--port", "0", "--heap", "test")
    assert started.returncode == 0, started.stderr
    servers = started.stdout.splitlines()[0].removeprefix("bootstrap servers: ")

    assert f"runs already: {servers}" in fraudstream("broker", "start", "--dir", directory, "--port", "0").stdout
    status = fraudstream("broker", "status", "--dir", directory)
    assert (status.returncode, servers in status.stdout) == (0, True)

    created = fraudstream("topics", "create", "--bootstrap-servers", servers, "--partitions", "2")
    assert (created.returncode, "created" in created.stdout) == (0, True), created.stderr
    assert fraudstream("topics", "list", "--bootstrap-servers", servers).returncode == 0

    stopped = fraudstream("broker", "stop", "--dir", directory, "--delete")
    assert stopped.stdout.splitlines() == [f"stopped {servers}", f"deleted {directory}"]
    assert fraudstream("broker", "status", "--dir", directory).returncode == 1


def test_stopping_none_is_done_already(run_cli, directory):
    done = run_cli("broker", "stop", "--dir", directory)
    assert (done.code, "no broker runs" in done.out) == (0, True)


def test_a_property_without_a_value_is_an_error(run_cli, directory):
    done = run_cli("broker", "start", "--dir", directory, "--property", "log.retention.ms")
    assert done.code == 1
    assert "NAME=VALUE" in done.err


def test_missing_topics_are_listed_and_end_with_1(run_cli, broker, topic_name):
    done = run_cli("topics", "list", "--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", topic_name)
    assert done.code == 1
    assert done.out.count("missing") == 10
