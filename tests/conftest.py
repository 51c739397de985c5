"""What tests of every package share: a real broker, and names of their own on it."""

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic, TopicMetadata
from hypothesis import settings

from kit.object_store import object_store
from stream.local_broker import BrokerSettings, LocalBroker

settings.register_profile("untimed", deadline=None)  # a first call compiles, and machines are busy
settings.load_profile("untimed")


KEEP_ALL = {"log.retention.ms": "-1"}
"""Of a broker: tests' payments carry fixed times of long ago, which the default retention deletes at its next round."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", choices=("quick", "full"), default="quick", help="form of the fault suite")
    parser.addoption("--fault-rows", default="", help="only these rows of the fault matrix, separated by commas")
    parser.addoption("--faults-seed", type=int, help="seed of everything random in the fault suite")


@pytest.fixture(scope="session")
def broker() -> Iterator[LocalBroker]:
    """A real Kafka for the whole test session; started when the first test asks for it. See `bootstrap_servers`."""
    with LocalBroker(BrokerSettings(properties=KEEP_ALL)) as running:
        yield running


@pytest.fixture(scope="session")
def store() -> Iterator[dict[str, str]]:
    """A real S3-compatible server for the whole session, and the variables by which a process finds it."""
    with object_store() as environment:
        yield environment


@pytest.fixture
def topic_name() -> str:
    """A topic's name that no other test uses; also good as prefix, group or application id."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def make_topic(broker: LocalBroker, topic_name: str) -> Callable[..., str]:
    """`make_topic(partitions=4, **{"cleanup.policy": "compact"})`: a new topic of the test's own; returns its name."""
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})

    def make(suffix: str = "", partitions: int = 1, **configs: str) -> str:
        name = topic_name + suffix
        for future in client.create_topics([NewTopic(name, partitions, 1, config=configs)]).values():
            future.result()
        while len(client.list_topics(timeout=10).topics.get(name, TopicMetadata()).partitions) < partitions:
            time.sleep(0.02)  # the controller knows it before the broker does
        return name

    return make
