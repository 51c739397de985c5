"""A bank's platform: topics of its own on real brokers, payments on them, and workers that are real processes.

with Bank(broker.bootstrap_servers, home, world, name="bank") as bank:
    bank.publish(payments)
    worker = bank.worker(failpoint="scoring/committed:3")
    worker.wait_killed()
    ...
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.worker import Metrics
from kit.world import World
from simulator.publish import PublishSettings, publish
from stream.librdkafka import admin, reader
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics

REQUEST_TIMEOUT_S = 10.0
POLL_S = 0.05
LOG_LINES = 20
HELD = Path(__file__).with_name("held.py")
OPTIONS = ("--log-format", "json", "--metrics-port", "0", "--max-batch", "500", "--arena-rows", "4096")
"""Small steps and a small memory: many places to be hit at, and records that come from disk again."""


class Worker:
    """One process of `fraudstream worker`, and what a test does to it or asks of it."""

    def __init__(
        self, bank: "Bank", log: Path, command: Sequence[str], environment: Mapping[str, str], *, held: bool
    ) -> None:
        self._bank = bank
        self.held = held
        """Whether it waits for `release` before it does anything."""
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )

    # What befalls it

    def release(self) -> None:
        """Let one that was held begin."""
        assert self.held
        assert self.process.stdin is not None
        self.process.stdin.write(b"begin\n")
        self.process.stdin.close()
        self.held = False

    def kill(self) -> None:
        """SIGKILL; counted as one of the bank's kills if the process was still there to be killed."""
        if self.process.poll() is None:
            self._bank.kills += 1
            self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: it does nothing any more, and does not know it."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self, timeout_s: float = 20) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.wait(timeout_s)

    # What becomes of it

    def wait(self, timeout_s: float = 60) -> int:
        """The exit code, once it has ended on its own."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {timeout_s:g} s\n{self.last_lines()}") from None

    def wait_killed(self, timeout_s: float = 60) -> None:
        """Until the kill that its failpoint asked for."""
        code = self.wait(timeout_s)
        assert code == -signal.SIGKILL, f"ended with {code}, not killed\n{self.last_lines()}"
        self._bank.kills += 1

    def wait_paused(self, timeout_s: float = 60) -> None:
        """Until it stands still, as its failpoint or `pause` wants."""
        self.until(lambda: self._stat()[0] == "T", "standing still", timeout_s)

    def _stat(self) -> list[str]:
        """The fields of its /proc/PID/stat after the name, the state first."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()

    def wait_ready(self, timeout_s: float = 60) -> None:
        """Until its tables are read and its partitions restored."""
        self.until(lambda: self.health("ready")[0] == 200, "being ready", timeout_s)

    def wait_event(self, event: str, timeout_s: float = 60, **fields: Any) -> None:
        """Until it has logged `event`, with these fields."""
        self.until(
            lambda: any(each.get("event") == event and fields.items() <= each.items() for each in self.events()),
            f"its line {event!r}",
            timeout_s,
        )

    def until(self, condition: Any, what: str, timeout_s: float = 60) -> None:
        """Until `condition()` holds while the worker lives."""
        until = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"the worker ended before {what}\n{self.last_lines()}"
            assert time.monotonic() < until, f"waited in vain for {what}\n{self.last_lines()}"
            time.sleep(POLL_S)

    # What it says

    def output(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def last_lines(self) -> str:
        return "\n".join(self.output().splitlines()[-LOG_LINES:])

    def events(self) -> list[dict[str, Any]]:
        """Its log lines that are JSON."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{") and line.endswith("}")]

    def health(self, what: str) -> tuple[int, dict[str, bool]]:
        """Status and body of /health/`what`; status 0 while nobody answers."""
        status, body = self._get(f"/health/{what}")
        return status, json.loads(body or "{}")

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric (without `fraudstream_`) over the samples that have these labels; 0 for none."""
        return Metrics(self._get("/metrics")[1]).total(name, **labels)

    def _get(self, path: str) -> tuple[int, str]:
        port = re.findall(r'"port": ?(\d+)', self.output())
        if not port:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[-1]}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""


class Bank:
    """One scenario: topics, application and state directories of its own. Its workers end with it."""

    def __init__(
        self,
        bootstrap_servers: str,
        home: Path,
        world: World,
        *,
        partitions: int = 3,
        name: str,
        replication: int = 1,
        bundle: Path | None = None,
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.home = home
        self.world = world
        self.name = name
        self.bundle = bundle or world.bundle
        self.kafka = KafkaSettings(bootstrap_servers, app=name)
        self.topics = Topics.named(prefix=f"{name}.", app=name)
        self.partitions = partitions
        self.workers: list[Worker] = []
        self.published = 0
        """Records on the source topic."""
        self.kills = 0
        home.mkdir(parents=True, exist_ok=True)
        create_topics(self.kafka, self.topics, partitions=partitions, replication_factor=replication)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()

    # Payments

    def publish(self, *frames: pl.DataFrame, rate: float | None = None) -> None:
        """Payments in order, acknowledged; evenly spaced at a rate, or as fast as it goes."""
        done = publish(frames, PublishSettings(self.bootstrap_servers, self.topics.transactions, rate))
        self.published += done.payments
        assert not done.failed, done.error

    def publish_raw(self, records: Sequence[tuple[Any, ...]]) -> None:
        """Records of key, value and perhaps a timestamp (epoch ms) as they are; a key goes where Java would put it."""
        producer = Producer({**admin(self.kafka), "partitioner": "murmur2_random", "enable.idempotence": True})
        for key, value, *timestamp in records:
            producer.produce(self.topics.transactions, value, key, timestamp=timestamp[0] if timestamp else 0)
            producer.poll(0)
        assert producer.flush(30) == 0
        self.published += len(records)

    def expire(self, offset: int) -> None:
        """Remove the payments before this offset of each partition, as retention does."""
        client = AdminClient(admin(self.kafka))
        places = [TopicPartition(self.topics.transactions, p, offset) for p in range(self.partitions)]
        for future in client.delete_records(places).values():
            future.result(REQUEST_TIMEOUT_S)

    # Workers

    def worker(
        self,
        slot: int = 0,
        *options: str,
        failpoint: str = "",
        state: Path | None = None,
        env: Mapping[str, str] | None = None,
        held: bool = False,
    ) -> Worker:
        """Start a worker; `options` have the last word. `state` is another state directory than the common one.

        One that is `held` has everything imported and waits for its `release`: it follows another without a pause.
        """
        program = [str(HELD)] if held else ["-m", "fraudstream"]
        command = [sys.executable, *program, "worker", "--bootstrap-servers", self.bootstrap_servers]
        command += ["--topic-prefix", f"{self.name}.", "--group-id", self.name, "--model", str(self.bundle)]
        command += ["--token-key-file", str(self.world.key), "--state-dir", str(state or self.home / "state")]
        command += ["--slot", str(slot), *OPTIONS, *options]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FRAUDSTREAM_")}
        environment = {**clean, "FRAUDSTREAM_FAILPOINT": failpoint, **(env or {})}
        worker = Worker(self, self.home / f"worker-{len(self.workers)}.log", command, environment, held=held)
        self.workers.append(worker)
        return worker

    @property
    def running(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.process.poll() is None and not worker.held]

    def stop(self) -> None:
        """SIGTERM to every worker that runs, all of them at once; each must end well."""
        running = self.running
        for worker in running:
            worker.process.terminate()
        for worker in running:
            assert worker.wait(30) == 0, worker.last_lines()

    # How far they are

    def committed(self, agent: str = "scoring") -> int:
        """Sum of an agent's committed offsets; those of a transaction that is under way do not count."""
        return sum(self.offsets(agent).values())

    def offsets(self, agent: str) -> dict[int, int]:
        """An agent's committed offset by partition of its source, 0 for none."""
        topic = {"scoring": self.topics.transactions, "entities": self.topics.entity_activity}[agent]
        # Not a member. Read-uncommitted: the last offsets that count, without waiting for a commit under way.
        consumer = Consumer(
            {**admin(self.kafka), "group.id": f"{self.name}-{agent}", "isolation.level": "read_uncommitted"}
        )
        asked = [TopicPartition(topic, partition) for partition in range(self.partitions)]
        until = time.monotonic() + REQUEST_TIMEOUT_S
        try:
            while True:
                try:
                    found = consumer.committed(asked, timeout=REQUEST_TIMEOUT_S)
                    return {each.partition: max(0, each.offset) for each in found}
                except KafkaException:  # the coordinator may be on its way
                    if time.monotonic() > until:
                        raise
                time.sleep(POLL_S)
        finally:
            consumer.close()

    def finish(self, timeout_s: float = 120) -> None:
        """Until everything published is committed by scoring, all the activity by entities, and every partition has an
        owner that is ready: what is on the owners' disks is complete then."""
        until = time.monotonic() + timeout_s
        self._until(lambda: self.committed() >= self.published, "every payment to be committed", until)
        self._until(lambda: not self._activity_left(), "all activity to be committed", until)
        self._until(self._owned, "every partition to have an owner that is ready", until)

    def _until(self, condition: Any, what: str, until: float) -> None:
        while True:
            try:
                if condition():
                    return
                problem = ""
            except KafkaException as error:  # brokers may be away for a while
                problem = error.args[0].str()
            assert self.running, f"no worker is left to wait for {what}\n{self._last_lines()}"
            if time.monotonic() > until:
                at = problem or f"{self.committed():,} of {self.published:,} payments are committed"
                raise AssertionError(f"waited in vain for {what}: {at}\n{self._last_lines()}")
            time.sleep(POLL_S)

    def _activity_left(self) -> bool:
        """Whether a committed record of entity activity lies beyond what the entities agent has committed, or may."""
        offsets = self.offsets("entities")
        consumer = Consumer(reader(self.kafka))
        consumer.assign([TopicPartition(self.topics.entity_activity, p, offset) for p, offset in offsets.items()])
        try:
            ended: set[int] = set()
            while len(ended) < len(offsets):
                for message in consumer.consume(1, timeout=REQUEST_TIMEOUT_S) or [None]:
                    if message is None or message.error() is None:
                        return True
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
            return False
        finally:
            consumer.close()

    def _owned(self) -> bool:
        """Whether those who run have every partition among them, restored."""
        running = self.running
        owned = {
            agent: sum(worker.metric("partitions_assigned", agent=agent) for worker in running)
            for agent in ("scoring", "entities")
        }
        return all(worker.health("ready")[0] == 200 for worker in running) and set(owned.values()) == {self.partitions}

    def _last_lines(self) -> str:
        return "\n".join(f"{worker.log.name}:\n{worker.last_lines()}" for worker in self.workers[-2:])
