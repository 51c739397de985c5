"""The kit's proxy and cluster do what the rows of the fault matrix rely on."""

import contextlib
import os
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from kit.cluster import OFFSETS, Cluster, coordinating_partition
from kit.proxy import END_TXN, Proxy

METADATA = 3
WAIT_S = 30.0
A_MOMENT_S = 0.3


def receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes; fewer when the connection has ended."""
    received = b""
    while len(received) < size and (piece := connection.recv(size - len(received))):
        received += piece
    return received


class Echo(socketserver.BaseRequestHandler):
    """Answers a request as a broker does, with its correlation id in front."""

    def handle(self) -> None:
        with contextlib.suppress(OSError, struct.error):
            while True:
                (length,) = struct.unpack(">i", receive(self.request, 4))
                request = receive(self.request, length)
                self.server.seen.append(request)
                self.request.sendall(struct.pack(">i", length - 4) + request[4:])


@pytest.fixture
def server() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads, server.seen = True, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(server) -> Iterator[Proxy]:
    with Proxy(server.server_address) as proxy:
        yield proxy


class Client:
    """Sends requests with an API key and a correlation id."""

    def __init__(self, proxy: Proxy) -> None:
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S)

    def send(self, api_key: int, number: int, body: bytes = b"") -> None:
        message = struct.pack(">hhi", api_key, 0, number) + body
        self.socket.sendall(struct.pack(">i", len(message)) + message)

    def answer(self, within_s: float = WAIT_S) -> tuple[int, bytes] | None:
        """Correlation id and body; None for a connection that has ended. Raises `TimeoutError`."""
        self.socket.settimeout(within_s)
        try:
            head = receive(self.socket, 4)
            if not head:
                return None
            answer = receive(self.socket, struct.unpack(">i", head)[0])
        except ConnectionError:
            return None
        return struct.unpack_from(">i", answer)[0], answer[4:]


def test_a_proxy_passes_messages_of_any_size(proxy):
    client = Client(proxy)
    body = os.urandom(3_000_000)
    client.send(METADATA, 1, body)
    assert client.answer() == (1, body)


def test_a_held_proxy_keeps_its_connections_and_what_was_sent(proxy, server):
    client = Client(proxy)
    proxy.hold()
    client.send(METADATA, 1)
    later = Client(proxy)
    later.send(METADATA, 2)
    with pytest.raises(TimeoutError):
        client.answer(within_s=A_MOMENT_S)
    assert not server.seen
    proxy.release()
    assert client.answer() == (1, b"")
    assert later.answer() == (2, b"")


def test_a_slow_proxy_delays_each_message_but_not_one_after_the_other(proxy):
    client = Client(proxy)
    proxy.delay_ms = 200
    started = time.monotonic()
    for number in range(20):
        client.send(METADATA, number)
    assert [client.answer() for _ in range(20)] == [(number, b"") for number in range(20)]
    assert 0.4 <= time.monotonic() - started < 20 * 0.4


def test_a_cut_proxy_ends_connections_and_refuses_new_ones_until_it_is_mended(proxy):
    client = Client(proxy)
    proxy.cut()
    assert client.answer() is None
    with pytest.raises(ConnectionRefusedError):
        Client(proxy)
    proxy.mend()
    again = Client(proxy)
    again.send(METADATA, 1)
    assert again.answer() == (1, b"")


def test_a_lost_answer_is_of_a_request_that_arrived(proxy, server):
    proxy.lose_response(END_TXN, containing=b"ours")
    client = Client(proxy)
    client.send(METADATA, 1, b"ours too")
    client.send(END_TXN, 2, b"theirs")
    client.send(END_TXN, 3, b"ours")
    assert [client.answer() for _ in range(3)] == [(1, b"ours too"), (2, b"theirs"), None]
    assert server.seen[-1][8:] == b"ours"
    assert proxy.losses_left == 0
    again = Client(proxy)
    again.send(END_TXN, 4, b"ours")
    assert again.answer() == (4, b"ours")


@pytest.mark.parametrize(("name", "partition"), [("", 0), ("a", 97 % 50), ("hello", 99162322 % 50)])
def test_a_coordinator_is_found_by_javas_hash(name, partition):
    assert coordinating_partition(name, 50) == partition


@pytest.mark.broker
@pytest.mark.usefixtures("only_full")
def test_three_brokers_elect_a_leader_after_a_kill_and_have_the_killed_one_back():
    with Cluster(3, proxied=True) as cluster:
        client = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
        for future in client.create_topics([NewTopic("payments", 3, cluster.replication)]).values():
            future.result()
        cluster.wait_until_calm()
        assert sorted(cluster.leaders("payments")) == [0, 1, 2]
        producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "acks": "all", "log_level": 0})
        for partition in range(3):
            producer.produce("payments", b"before", partition=partition)
        assert producer.flush(WAIT_S) == 0

        cluster.kill(0)
        assert not cluster.alive(0)
        until = time.monotonic() + WAIT_S
        while not {1, 2}.issuperset(cluster.leaders("payments")):
            assert time.monotonic() < until
            time.sleep(0.1)
        for partition in range(3):
            producer.produce("payments", b"meanwhile", partition=partition)
        assert producer.flush(WAIT_S) == 0

        cluster.start(0)
        cluster.wait_until_calm()
        group = {"group.id": "g", "auto.offset.reset": "earliest", "log_level": 0}
        consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, **group})
        consumer.subscribe(["payments"])
        values = [message.value() for message in consumer.consume(6, timeout=WAIT_S)]
        described = client.describe_consumer_groups(["g"])["g"].result()
        assert described.coordinator.id - 1 == cluster.coordinator(OFFSETS, "g")
        consumer.close()
        assert sorted(values) == [b"before"] * 3 + [b"meanwhile"] * 3


@pytest.mark.broker
def test_not_even_a_paused_broker_outlives_its_test(tmp_path):
    script = f"""if True:
        import sys; sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from kit.cluster import OFFSETS, Cluster, coordinating_partition
        cluster = Cluster(directory=Path({str(tmp_path)!r})).__enter__()
        cluster.pause(0)
        print(cluster.bootstrap_servers, flush=True)
        input()
    """
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        owner.stdout.readline()
        assert brokers_in(tmp_path)
        owner.send_signal(signal.SIGKILL)
    until = time.monotonic() + WAIT_S
    while brokers_in(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.1)


def brokers_in(directory: Path) -> list[str]:
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(directory / "0") in line]
