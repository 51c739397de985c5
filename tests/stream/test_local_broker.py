"""The local broker: a real Kafka that starts, says why when it cannot, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from stream.broker_directory import BrokerDirectory, RunningBroker
from stream.broker_process import ProcessIdentity
from stream.local_broker import BrokerError, BrokerSettings, LocalBroker

pytestmark = pytest.mark.broker

ENDED_WITHIN_S = 30.0


def members(session: int) -> list[int]:
    """Living processes of a session."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True, check=False)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if not line.split()[1].startswith("Z")]


def wait_until_gone(session: int) -> None:
    until = time.monotonic() + ENDED_WITHIN_S
    while members(session):
        assert time.monotonic() < until, f"still there: {members(session)}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_carries_a_transaction_from_producer_to_consumer(broker, make_topic):
    servers = {"bootstrap.servers": broker.bootstrap_servers}
    topic_name = make_topic()
    producer = Producer({**servers, "transactional.id": topic_name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic_name, b"payment")
    producer.commit_transaction(30)
    consumer = Consumer({**servers, "group.id": topic_name, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic_name])
    message = consumer.poll(30)
    consumer.close()
    assert message.value() == b"payment"


def test_two_run_side_by_side_and_nothing_is_left_of_either(broker, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with LocalBroker() as other:
        assert other.bootstrap_servers != broker.bootstrap_servers
        assert other.pid != broker.pid
        directory, session = other.directory, other.pid
        assert directory.parent == tmp_path
    assert not members(session)
    assert list(tmp_path.iterdir()) == []
    assert BrokerDirectory(broker.directory).running() is not None


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} of this machine is taken") as caught:
            LocalBroker(BrokerSettings(port=port)).start()
    assert "--port" in caught.value.hint


def test_a_broken_property_is_told_in_the_brokers_own_words(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(BrokerError, match=r"(?s)Its last lines:.*num\.io\.threads") as caught:
        LocalBroker(BrokerSettings(properties={"num.io.threads": "many"})).start()
    assert "\tat " not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_never_answers_is_given_up_and_ended(tmp_path):
    settings = BrokerSettings(directory=tmp_path, start_timeout_s=0.1)
    with pytest.raises(BrokerError, match=r"did not answer within 0\.1 s"):
        LocalBroker(settings).start()
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in listed.stdout


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"port": 70_000}, "70000 is no port"),
        ({"port": 9092, "controller_port": 9092}, "both 9092"),
        ({"heap": "huge"}, "no heap profile huge"),
    ],
)
def test_settings_that_cannot_work_die_at_construction(settings, says):
    with pytest.raises(BrokerError, match=says):
        BrokerSettings(**settings)


def test_it_ends_with_the_process_that_started_it_even_a_killed_one(tmp_path):
    script = f"""if True:
        from pathlib import Path
        from stream.local_broker import BrokerSettings, LocalBroker
        print(LocalBroker(BrokerSettings(directory=Path({str(tmp_path)!r}))).start().pid, flush=True)
        input()
    """
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        session = int(owner.stdout.readline())
        assert len(members(session)) == 2  # the guard and the JVM
        owner.send_signal(signal.SIGKILL)
    wait_until_gone(session)


class TestDetached:
    """A broker that is left running, found again by its directory."""

    @pytest.fixture
    def place(self, tmp_path):
        place = BrokerDirectory(tmp_path / "broker")
        yield place
        place.stop()

    def start(self, place: BrokerDirectory, **settings: object) -> RunningBroker:
        """Starts one as a process of its own does, which then ends."""
        script = f"""if True:
            from pathlib import Path
            from stream.local_broker import BrokerSettings, LocalBroker
            LocalBroker(BrokerSettings(directory=Path({str(place.path)!r}), **{settings!r})).start(detached=True)
        """
        subprocess.run([sys.executable, "-c", script], check=True)
        found = place.running()
        assert found
        return found

    def test_it_outlives_its_starter_and_keeps_its_topics_over_a_restart(self, place, topic_name):
        first = self.start(place, port=free_port())
        client = AdminClient({"bootstrap.servers": first.bootstrap_servers})
        for future in client.create_topics([NewTopic(topic_name, 3, 1)]).values():
            future.result()
        assert place.stop() == first
        assert not members(first.process.pid)
        assert place.running() is None
        second = self.start(place)  # on other ports
        assert second.cluster_id == first.cluster_id
        known = AdminClient({"bootstrap.servers": second.bootstrap_servers}).list_topics(timeout=10).topics
        assert len(known[topic_name].partitions) == 3

    def test_a_second_one_in_the_same_directory_is_refused(self, place):
        running = self.start(place)
        with pytest.raises(BrokerError, match=running.bootstrap_servers):
            LocalBroker(BrokerSettings(directory=place.path)).start()
        assert place.running() == running
        assert running.answers()

    def test_one_that_hangs_is_ended_by_force(self, place):
        running = self.start(place)
        os.killpg(running.process.pid, signal.SIGSTOP)
        place.stop(timeout_s=0.2)
        assert not members(running.process.pid)


def test_a_stale_process_id_never_hits_a_stranger(tmp_path):
    place = BrokerDirectory(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            before = ProcessIdentity(stranger.pid, "started when an earlier process had this number")
            place.write_running(RunningBroker(before, "127.0.0.1:1", "cluster"))
            assert place.running() is None
            assert place.stop() is None
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"process": {"pid": 1}})])
def test_a_damaged_run_file_means_that_nothing_runs(tmp_path: Path, content):
    (tmp_path / "broker.json").write_text(content)
    assert BrokerDirectory(tmp_path).running() is None


def test_only_a_brokers_directory_is_deleted(tmp_path):
    (tmp_path / "precious").touch()
    assert BrokerDirectory(tmp_path).delete() is False
    assert (tmp_path / "precious").exists()


def test_an_ended_process_is_not_alive_before_it_is_reaped():
    with subprocess.Popen(["true"]) as process:
        until = time.monotonic() + ENDED_WITHIN_S
        while ProcessIdentity.of(process.pid):
            assert time.monotonic() < until
            time.sleep(0.01)
