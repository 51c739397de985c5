"""A bounded scan sees every committed record between its ends, and always ends."""

import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from stream.scan import Scan, ScanError
from stream.settings import KafkaSettings

pytestmark = pytest.mark.broker


@pytest.fixture
def kafka(broker):
    return KafkaSettings(broker.bootstrap_servers)


@pytest.fixture
def topic(broker):
    name = f"scan-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, 3, 1)]).values():
        future.result()
    return name


def publish(broker, topic, numbers, **settings) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, **settings})
    for number in numbers:
        producer.produce(topic, key=str(number), value=str(number), partition=number % 3, timestamp=1_000_000 + number)
    producer.flush(10)


def read(kafka, topic, **bounds) -> list[int]:
    with Scan(kafka, topic, **bounds) as scan:
        return sorted(int(message.value()) for message in scan)


def test_it_reads_every_record_once(broker, kafka, topic):
    publish(broker, topic, range(5000))
    assert read(kafka, topic) == list(range(5000))


def test_an_empty_topic_ends_at_once(kafka, topic):
    assert read(kafka, topic) == []


def test_it_reads_from_and_up_to_a_time(broker, kafka, topic):
    publish(broker, topic, range(100))
    assert read(kafka, topic, from_ms=1_000_010, to_ms=1_000_020) == list(range(10, 20))
    assert read(kafka, topic, from_ms=1_000_090) == list(range(90, 100))
    assert read(kafka, topic, to_ms=1_000_003) == [0, 1, 2]
    assert read(kafka, topic, from_ms=2_000_000) == []


def test_records_published_after_the_start_are_not_read(broker, kafka, topic):
    publish(broker, topic, range(10))
    with Scan(kafka, topic) as scan:
        publish(broker, topic, range(10, 20))
        assert sorted(int(message.value()) for message in scan) == list(range(10))


def test_aborted_records_are_not_seen_and_do_not_keep_it_waiting(broker, kafka, topic):
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": topic})
    producer.init_transactions(10)
    for number, ending in enumerate(
        (producer.commit_transaction, producer.abort_transaction, producer.abort_transaction)
    ):
        producer.begin_transaction()
        producer.produce(topic, value=str(number), partition=0)
        producer.flush(10)
        ending(10)
    assert read(kafka, topic) == [0]


def test_progress_adds_up_to_the_total(broker, kafka, topic):
    publish(broker, topic, range(1000))
    passed: list[int] = []
    with Scan(kafka, topic) as scan:
        assert len(list(scan.messages(passed.append))) == 1000
        assert sum(passed) == scan.total == 1000


def test_a_missing_topic_is_named_with_what_to_do(kafka):
    with pytest.raises(ScanError, match="no topic nowhere") as caught:
        Scan(kafka, "nowhere")
    assert "topics create" in caught.value.hint
