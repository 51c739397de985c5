"""Real brokers that a test may kill, stop, pause, cut off and start again.

    with Cluster(3, proxied=True) as cluster:
        use(cluster.bootstrap_servers)
        cluster.kill(0)
        cluster.start(0)

Brokers are counted from 0; Kafka's node ids are one higher. Up to two brokers the first is the controller; from three
on every one is, so that any may be killed. Each listens three times: to clients, to the other brokers and to
controllers, at ports that it keeps. Nothing outlives the test's process.
"""

import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from kit.ports import HOST, free_port
from kit.proxy import Proxy
from stream.broker_directory import BrokerDirectory
from stream.broker_properties import VOTERS
from stream.local_broker import BrokerSettings, LocalBroker, new_cluster_id

TRANSACTIONS = "__transaction_state"
OFFSETS = "__consumer_offsets"
REPLICAS = 3
QUICK: Mapping[str, str] = {
    # Elections, and the end of what a dead process left open, in seconds instead of tens of them.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "2500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.election.timeout.ms": "500",
    "replica.lag.time.max.ms": "3000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.min.session.timeout.ms": "1000",
}
CALM_WITHIN_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True)
class _Ports:
    """Where one broker listens."""

    clients: int
    brokers: int
    controllers: int

    @classmethod
    def free(cls) -> "_Ports":
        return cls(free_port(), free_port(), free_port())


class Cluster:
    """One or several brokers over directories of their own."""

    def __init__(
        self,
        brokers: int = 1,
        *,
        properties: Mapping[str, str] | None = None,
        proxied: bool = False,
        proxied_inside: bool = False,
        directory: Path | None = None,
    ) -> None:
        """`proxied`: clients reach each broker through `proxy(i)` only. `proxied_inside`: so do the other brokers,
        through `inside(i)`. `properties` have the last word."""
        self.size = brokers
        self.replication = REPLICAS if brokers >= REPLICAS else 1
        self._temporary = directory is None
        self._directory = directory or Path(tempfile.mkdtemp(prefix="fraudstream-cluster-"))
        self._properties = properties or {}
        self._ports = [_Ports.free() for _ in range(brokers)]
        self._proxies = [Proxy((HOST, ports.clients)) for ports in self._ports] if proxied else []
        self._insides = [Proxy((HOST, ports.brokers)) for ports in self._ports] if proxied_inside else []
        cluster_id = new_cluster_id()
        self._brokers = [
            LocalBroker(
                BrokerSettings(
                    directory=self._directory / str(broker),
                    port=self._ports[broker].clients,
                    controller_port=self._ports[broker].controllers,
                    cluster_id=cluster_id,
                    properties=self._properties_of(broker),
                )
            )
            for broker in range(brokers)
        ]

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor(self.size) as pool:  # a quorum needs several to answer
                list(pool.map(LocalBroker.start, self._brokers))
            self.wait_until_calm()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def bootstrap_servers(self) -> str:
        """All brokers, as clients reach them."""
        return ",".join(f"{HOST}:{self._advertised(broker)}" for broker in range(self.size))

    def proxy(self, broker: int = 0) -> Proxy:
        """Between clients and a broker."""
        return self._proxies[broker]

    def inside(self, broker: int = 0) -> Proxy:
        """Between the other brokers and this one: replication, commit markers. Not the controllers' traffic."""
        return self._insides[broker]

    def data(self, broker: int = 0) -> Path:
        """Where a broker keeps its logs. May be made, or mounted, before the cluster starts."""
        return self._directory / str(broker) / "data"

    def log(self, broker: int = 0) -> str:
        """What a broker has said."""
        path = self._directory / str(broker) / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def alive(self, broker: int = 0) -> bool:
        """Whether its process runs."""
        return self._jvm(broker) is not None

    def start(self, broker: int = 0) -> None:
        """Start it again, with its data, at its ports. Returns when it answers."""
        self._brokers[broker].start()

    def stop(self, broker: int = 0) -> None:
        """End it in good order; its leaderships move first, where they can."""
        self._brokers[broker].stop()

    def kill(self, broker: int = 0) -> None:
        """SIGKILL."""
        self._signal(broker, signal.SIGKILL)
        self._brokers[broker].stop()  # reaps the guard

    def pause(self, broker: int = 0) -> None:
        """SIGSTOP: its connections stay open, and nothing answers."""
        self._signal(broker, signal.SIGSTOP)

    def resume(self, broker: int = 0) -> None:
        self._signal(broker, signal.SIGCONT)

    def leaders(self, topic: str) -> list[int]:
        """The broker that leads each partition of a topic; -1 for none."""
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        partitions = client.list_topics(topic, timeout=CALM_WITHIN_S).topics[topic].partitions
        return [max(-1, partitions[partition].leader - 1) for partition in sorted(partitions)]

    def coordinator(self, topic: str, name: str) -> int:
        """The broker that coordinates a transactional id (`TRANSACTIONS`) or a consumer group (`OFFSETS`)."""
        leaders = self.leaders(topic)
        return leaders[coordinating_partition(name, len(leaders))]

    def wait_until_calm(self) -> None:
        """Until every broker knows of every one that runs, and every replica that can be in sync is."""
        running = {broker for broker in range(self.size) if self.alive(broker)}
        until = time.monotonic() + CALM_WITHIN_S
        while not all(self._calm(broker, running) for broker in running):
            assert time.monotonic() < until, "the cluster does not come to rest"
            time.sleep(POLL_S)

    def close(self) -> None:
        """End everything; a temporary directory is removed."""
        for broker in range(self.size):
            if self._jvm(broker):
                self.kill(broker)
            else:
                self._brokers[broker].stop()
        for proxy in (*self._proxies, *self._insides):
            proxy.close()
        if self._temporary:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _calm(self, broker: int, running: set[int]) -> bool:
        """As this broker sees it."""
        client = AdminClient({"bootstrap.servers": f"{HOST}:{self._ports[broker].clients}", "log_level": 0})
        seen = client.list_topics(timeout=CALM_WITHIN_S)
        nodes = {broker + 1 for broker in running}
        partitions = [partition for topic in seen.topics.values() for partition in topic.partitions.values()]
        return set(seen.brokers) == nodes and all(
            partition.leader in nodes and nodes.intersection(partition.replicas) <= set(partition.isrs)
            for partition in partitions
        )

    def _advertised(self, broker: int) -> int:
        return self._proxies[broker].port if self._proxies else self._ports[broker].clients

    def _properties_of(self, broker: int) -> dict[str, str]:
        ports = self._ports[broker]
        controllers = list(range(self.size)) if self.size >= REPLICAS else [0]
        own = {"PLAINTEXT": ports.clients, "INSIDE": ports.brokers}
        shown = {"PLAINTEXT": self._advertised(broker)}
        shown["INSIDE"] = self._insides[broker].port if self._insides else ports.brokers
        if broker in controllers:
            own["CONTROLLER"] = ports.controllers
        return {
            "node.id": str(broker + 1),
            "process.roles": "broker,controller" if broker in controllers else "broker",
            "listeners": _listeners(own),
            "advertised.listeners": _listeners(shown),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INSIDE",
            "controller.quorum.bootstrap.servers": ",".join(
                f"{HOST}:{self._ports[each].controllers}" for each in controllers
            ),
            VOTERS: ",".join(f"{each + 1}@{HOST}:{self._ports[each].controllers}" for each in controllers),
            "default.replication.factor": str(self.replication),
            "min.insync.replicas": str(max(1, self.replication - 1)),
            "offsets.topic.replication.factor": str(self.replication),
            "transaction.state.log.replication.factor": str(self.replication),
            "transaction.state.log.min.isr": str(max(1, self.replication - 1)),
            **QUICK,
            **self._properties,
        }

    def _signal(self, broker: int, number: signal.Signals) -> None:
        jvm = self._jvm(broker)
        assert jvm is not None, f"broker {broker} does not run"
        os.kill(jvm, number)

    def _jvm(self, broker: int) -> int | None:
        """The broker's own process, the child of its guard, which is left alone to end it should the test die."""
        running = BrokerDirectory(self._directory / str(broker)).running()
        if running is None:
            return None
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        return next((child for child, parent in pairs if parent == running.process.pid), None)


def coordinating_partition(name: str, partitions: int) -> int:
    """As Kafka chooses it: the absolute value of Java's hash of the name, modulo the partitions."""
    number = 0
    for unit in struct.unpack(f">{len(name)}H", name.encode("utf-16-be")):
        number = (31 * number + unit) & 0xFFFFFFFF
    signed = number - 2**32 if number >= 2**31 else number
    return 0 if signed == -(2**31) else abs(signed) % partitions


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())
