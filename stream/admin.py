"""Questions to the cluster, asked once at start."""

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream.errors import Stop, translated
from stream.librdkafka import admin
from stream.settings import KafkaSettings

TIMEOUT_S = 15.0


def partitions_of(kafka: KafkaSettings, *topics: str) -> dict[str, int]:
    """Number of partitions of each topic; raises `Stop` for one that does not exist or brokers out of reach."""
    try:
        known = AdminClient(admin(kafka)).list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise Stop(
            f"no broker answers at {kafka.bootstrap_servers}: {error.args[0].str()}",
            hint="start one with `fraudstream broker start`, or check --bootstrap-servers",
        ) from error
    missing = [topic for topic in topics if topic not in known or known[topic].error]
    if missing:
        raise Stop(f"there is no topic {', '.join(missing)}", hint="create the topics with `fraudstream topics create`")
    return {topic: len(known[topic].partitions) for topic in topics}


def topic_id(kafka: KafkaSettings, topic: str) -> bytes:
    """The topic's id, 16 bytes; another one after it was deleted and made again."""
    client = AdminClient(admin(kafka))  # must outlive its futures
    try:
        description = client.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT_S)[topic].result()
    except KafkaException as error:
        raise translated(error, f"describing {topic}") from error
    identity = description.topic_id
    return b"".join(
        part.to_bytes(8, "big", signed=True)
        for part in (identity.get_most_significant_bits(), identity.get_least_significant_bits())
    )
