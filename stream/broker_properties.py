"""Our settings of a local broker as Kafka's server properties and the JVM's options: nowhere else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

HOST = "127.0.0.1"
NODE_ID = 1
VOTERS = "controller.quorum.voters"
"""The property that names the controllers of a cluster of several."""

Heap = Literal["test", "bench"]

JVM_OPTIONS: Mapping[Heap, tuple[str, ...]] = {
    # Starts fast and stays small: first-tier compiler only, no collector threads.
    "test": ("-Xms192m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    # Not G1, which Kafka's own start script asks for: on two busy cores it stops the broker for 10 to 100 ms a second.
    "bench": ("-Xms1g", "-Xmx1g", "-XX:+UseZGC"),
}

LOG_OPTIONS = {
    "defaultLogLevel": "info",
    "showDateTime": "true",
    "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "showThreadName": "false",
    "levelInBrackets": "true",
    "logFile": "System.out",
}
"""Of slf4j-simple: the process's output is the log file."""


def jvm_options(heap: Heap, temporary: Path) -> list[str]:
    """Options before the class path. Everything temporary stays in the broker's own directory."""
    return [
        *JVM_OPTIONS[heap],
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={temporary}",
        *(f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in LOG_OPTIONS.items()),
    ]


def server_properties(data: Path, port: int, controller_port: int, extra: Mapping[str, str]) -> dict[str, str]:
    """A broker and controller in one process, reachable from this machine only. `extra` has the last word."""
    address, controller = f"PLAINTEXT://{HOST}:{port}", f"CONTROLLER://{HOST}:{controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(NODE_ID),
        "listeners": f"{address},{controller}",
        "advertised.listeners": f"{address},{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
        "log.dirs": str(data),
        # A mistyped topic is an error, not a new topic with one partition.
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        # The cleaner's map is taken from the heap at once; Kafka's default of 128 MiB is half of the small heap.
        "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
        **extra,
    }


def as_text(properties: Mapping[str, str]) -> str:
    """In Java's format, backslashes escaped."""
    return "".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in properties.items())
