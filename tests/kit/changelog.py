"""A changelog with its owner, and the state that is restored from it: what tests of restores work with."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from models.keys import as_keys
from stream.admin import topic_id
from stream.changelog import POSITION_KEY, REBUILT_KEY, encode_position
from stream.errors import Retry, Stop
from stream.keyed_state import KeyedState
from stream.restore import Restorer
from stream.settings import KafkaSettings, RestoreSettings, StateSettings

COMPACT = {"cleanup.policy": "compact"}
WAIT_S = 30.0


def key(k: int) -> bytes:
    return b"%016d" % k


class Owner:
    """Writes a changelog as a step does."""

    def __init__(self, kafka: KafkaSettings, changelog: str, encode: Callable[[int], bytes]) -> None:
        self.changelog = changelog
        self.encode = encode
        self.producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "transactional.id": changelog,
                "linger.ms": 1,
                "log_level": 0,
            }
        )
        self.producer.init_transactions(WAIT_S)

    def begin(self, counts: dict[int, int], position: int) -> None:
        self.producer.begin_transaction()
        for k, count in counts.items():
            self.producer.produce(self.changelog, self.encode(count), key(k), partition=0)
        self.producer.produce(self.changelog, encode_position(position), POSITION_KEY, partition=0)
        assert self.producer.flush(WAIT_S) == 0

    def step(self, counts: dict[int, int], position: int) -> None:
        self.begin(counts, position)
        self.producer.commit_transaction(WAIT_S)

    def rebuilt(self, counts: dict[int, int], position: int) -> None:
        """As a rebuild leaves a changelog."""
        self.producer.begin_transaction()
        self.producer.produce(self.changelog, b"\x01", REBUILT_KEY, partition=0)
        for k, count in counts.items():
            self.producer.produce(self.changelog, self.encode(count), key(k), partition=0)
        self.producer.produce(self.changelog, encode_position(position), POSITION_KEY, partition=0)
        self.producer.commit_transaction(WAIT_S)

    def forget(self, k: int, position: int) -> None:
        """A step that deletes a key."""
        self.producer.begin_transaction()
        self.producer.produce(self.changelog, None, key(k), partition=0)
        self.producer.produce(self.changelog, encode_position(position), POSITION_KEY, partition=0)
        self.producer.commit_transaction(WAIT_S)


class Bench:
    """A changelog, its owner, and the state that is restored from it."""

    def __init__(self, counting: ModuleType, kafka: KafkaSettings, changelog: str, directory: Path) -> None:
        def encode(count: int) -> bytes:
            record = np.zeros(1, dtype=counting.COUNT)
            record["count"] = count
            return counting.CountCodec().encode(record, np.zeros(1, dtype=np.int64))[0]

        self.kafka, self.changelog, self.directory = kafka, changelog, directory
        self.codec = counting.CountCodec()
        self.owner = Owner(kafka, changelog, encode)
        self.state = self.fresh()

    def fresh(self) -> KeyedState:
        return KeyedState(self.codec, self.directory, StateSettings(self.directory, arena_rows=100))

    def restorer(
        self, *, exact: bool = True, accept_loss: bool = False, stalled_s: float = 20.0, batch: int = 10_000
    ) -> Restorer:
        settings = RestoreSettings(stalled_timeout_s=stalled_s, batch=batch)
        return Restorer(self.kafka, self.changelog, self.state, settings, exact=exact, accept_loss=accept_loss)

    def restart(self) -> None:
        self.state.close_all()
        self.state = self.fresh()

    def counts(self, *keys: int) -> list[int]:
        step = self.state.begin()
        found: list[int] = self.state.records["count"][self.state.rows(0, as_keys([key(k) for k in keys]))].tolist()
        self.state.keep(step)
        return found


def recreate(bench: Bench) -> None:
    """Delete the changelog and make it again, empty."""
    client = AdminClient({"bootstrap.servers": bench.kafka.bootstrap_servers})
    for future in client.delete_topics([bench.changelog]).values():
        future.result()
    while True:
        future = client.create_topics([NewTopic(bench.changelog, 1, 1, config=COMPACT)])[bench.changelog]
        if future.exception() is None:
            break
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:  # until every part of the broker knows of it
        with contextlib.suppress(Stop, Retry):
            topic_id(bench.kafka, bench.changelog)
            return
