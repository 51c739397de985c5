"""Our settings become librdkafka's with what the guarantees rest on; what cannot work dies when it is made."""

import pytest
from confluent_kafka import Consumer

from stream import librdkafka
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings, SettingsError, StateSettings

KAFKA = KafkaSettings("127.0.0.1:1", app="bank", slot=3, security={"sasl.password": "secret", "log_level": "5"})


def test_records_fail_before_their_transaction_does():
    config = librdkafka.producer(KAFKA, ProducerSettings(), "scoring")
    assert config["message.timeout.ms"] < config["transaction.timeout.ms"]
    with pytest.raises(SettingsError, match="message_timeout_ms 10000 is not below"):
        ProducerSettings(message_timeout_ms=10_000)


def test_ids_are_the_slots_and_stable():
    producer = librdkafka.producer(KAFKA, ProducerSettings(), "scoring")
    consumer = librdkafka.group_consumer(KAFKA, ConsumerSettings(), "scoring")
    assert producer["transactional.id"] == "bank-3-scoring"
    assert consumer["group.instance.id"] == "bank-3-scoring"
    assert consumer["group.id"] == "bank-scoring"


def test_at_least_once_has_no_transaction_and_is_still_idempotent():
    config = librdkafka.producer(KAFKA, ProducerSettings(guarantee="at_least_once"), "scoring")
    assert not [name for name in config if name.startswith("transaction")]
    assert config["enable.idempotence"]
    assert config["acks"] == "all"


def test_records_go_where_a_java_producer_would_send_them():
    assert librdkafka.producer(KAFKA, ProducerSettings(), "scoring")["partitioner"] == "murmur2_random"


@pytest.mark.parametrize(
    "config",
    [
        librdkafka.group_consumer(KAFKA, ConsumerSettings(), "scoring"),
        librdkafka.reader(KAFKA),
        librdkafka.reader(KAFKA, committed_only=False),
    ],
)
def test_consumers_never_commit_or_skip_on_their_own(config):
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False
    assert config["auto.offset.reset"] == "error"
    assert config["fetch.queue.backoff.ms"] < 10
    Consumer({**config, "security.protocol": "plaintext"}).close()  # librdkafka knows every name


def test_only_the_watermark_is_asked_for_without_regard_to_transactions():
    assert librdkafka.group_consumer(KAFKA, ConsumerSettings(), "scoring")["isolation.level"] == "read_committed"
    assert librdkafka.reader(KAFKA)["isolation.level"] == "read_committed"
    assert librdkafka.reader(KAFKA, committed_only=False)["isolation.level"] == "read_uncommitted"


def test_a_clusters_security_reaches_every_client():
    for config in (
        librdkafka.producer(KAFKA, ProducerSettings(), "scoring"),
        librdkafka.group_consumer(KAFKA, ConsumerSettings(), "scoring"),
        librdkafka.reader(KAFKA),
        librdkafka.admin(KAFKA),
    ):
        assert config["sasl.password"] == "secret"
        assert config["log_level"] == "5"


def test_secrets_do_not_show():
    assert "secret" not in repr(KAFKA)


@pytest.mark.parametrize("max_batch", [0, -1, 100_001])
def test_a_batch_has_a_sensible_size(max_batch):
    with pytest.raises(SettingsError) as refused:
        ConsumerSettings(max_batch=max_batch)
    assert refused.value.hint


def test_the_arena_has_a_row(tmp_path):
    with pytest.raises(SettingsError):
        StateSettings(tmp_path, arena_rows=0)
