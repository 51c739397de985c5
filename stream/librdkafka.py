"""Our settings as librdkafka's: the only place that knows its property names."""

from typing import Any

from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings


def _common(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": f"{kafka.app}-{kafka.slot}",
        "log_level": 3,
        "topic.metadata.propagation.max.ms": 10_000,
        # With the default, 10 s, a broker that was away for a moment costs as much as the session timeout.
        "reconnect.backoff.max.ms": 1_000,
        **kafka.security,
    }


def group_consumer(kafka: KafkaSettings, settings: ConsumerSettings, agent: str) -> dict[str, Any]:
    """A member of the agent's group. Offsets are committed with the results, never by the consumer on its own."""
    return {
        **_common(kafka),
        "group.id": f"{kafka.app}-{agent}",
        "group.instance.id": f"{kafka.app}-{kafka.slot}-{agent}",
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # a deleted stretch of the source is never skipped in silence
        "isolation.level": "read_committed",
        "enable.partition.eof": settings.tell_ends,
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": max(1_000, settings.session_timeout_ms // 4),
        "max.poll.interval.ms": max(settings.max_poll_interval_ms, settings.session_timeout_ms),
        **_fetching(settings),
    }


def group_offsets(kafka: KafkaSettings, agent: str) -> dict[str, Any]:
    """Who asks for the group's offsets, once they are stable, without being a member."""
    return {
        **_common(kafka),
        "group.id": f"{kafka.app}-{agent}",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }


def _fetching(settings: ConsumerSettings) -> dict[str, Any]:
    return {
        "fetch.queue.backoff.ms": settings.fetch_queue_backoff_ms,
        "queued.min.messages": settings.queued_min_messages,
        "queued.max.messages.kbytes": settings.queued_max_kbytes,
        "max.partition.fetch.bytes": settings.max_partition_fetch_bytes,
        "fetch.wait.max.ms": 100,
    }


def reader(kafka: KafkaSettings, *, committed_only: bool = True) -> dict[str, Any]:
    """A consumer outside any group, for changelogs and tables; it is told where a partition ends."""
    return {
        **_common(kafka),
        "group.id": f"{kafka.app}-reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed" if committed_only else "read_uncommitted",
        "enable.partition.eof": True,
        **_fetching(ConsumerSettings()),
    }


def producer(kafka: KafkaSettings, settings: ProducerSettings, agent: str) -> dict[str, Any]:
    """A producer whose records go where Java's would: murmur2, which is not librdkafka's default."""
    config = {
        **_common(kafka),
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": settings.linger_ms,
        # A transaction begins while the markers of the one before are still being written: asked again after 100 ms,
        # the default, each second step would wait that long.
        "retry.backoff.ms": 5,
        # Adding offsets may wait for ever for a group coordinator that went away (librdkafka's issues 5456 and 5511).
        # It is asked for anew when some connection changes its state, as one does that is closed for being idle.
        "connections.max.idle.ms": 4_000,
        "batch.num.messages": 10_000,
        "batch.size": 1_000_000,
        "message.timeout.ms": settings.message_timeout_ms,
        "message.max.bytes": 8 * 2**20,
        "queue.buffering.max.messages": settings.queue_messages,
        "queue.buffering.max.kbytes": settings.queue_kbytes,
    }
    if settings.guarantee == "exactly_once":
        config["transactional.id"] = f"{kafka.app}-{kafka.slot}-{agent}"
        config["transaction.timeout.ms"] = settings.transaction_timeout_ms
    return config


def admin(kafka: KafkaSettings) -> dict[str, Any]:
    """A client that only asks."""
    return _common(kafka)
