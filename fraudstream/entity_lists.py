"""Writing and reading the compacted topic of listed entities."""

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from fraudstream.errors import UserError
from fraudstream.settings import Settings
from schemas.codec import decode_list_entry, encode
from schemas.entity_list import ListEntry
from schemas.entity_risk import entity_key
from schemas.errors import DecodeError
from stream.librdkafka import producer
from stream.scan import Scan
from stream.settings import ProducerSettings

TIMEOUT_S = 10.0


def put(settings: Settings, entry: ListEntry) -> None:
    """Write an entry, in place of the entity's former one. Raises UserError when it is not valid or not written."""
    value = encode(entry)
    try:
        decode_list_entry(value)
    except DecodeError as error:
        raise UserError(f"not a valid entry: {error}", hint="correct the option; a token is 32 hex digits") from None
    _write(settings, entity_key(entry.kind, entry.token), value)


def remove(settings: Settings, kind: str, token: str) -> None:
    """Write the tombstone of an entity."""
    _write(settings, entity_key(kind, token), None)


def read(settings: Settings) -> list[ListEntry]:
    """The entries that stand, by list, kind and token."""
    latest: dict[bytes, ListEntry] = {}
    with Scan(settings.kafka_settings(), settings.topics().entity_lists) as scan:
        for message in scan:
            if message.value() is None:
                latest.pop(message.key(), None)
            else:
                latest[message.key()] = decode_list_entry(message.value())
    return sorted(latest.values(), key=lambda entry: (entry.list, entry.kind, entry.token))


def _write(settings: Settings, key: bytes, value: bytes | None) -> None:
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)

    client = producer(settings.kafka_settings(), ProducerSettings(guarantee="at_least_once"), "lists")
    writer = Producer({**client, "log_level": 0})
    topic = settings.topics().entity_lists
    try:
        writer.produce(topic, key=key, value=value, on_delivery=delivered)
        left = writer.flush(TIMEOUT_S)
    except KafkaException as error:
        failures, left = [error.args[0]], 0
    if failures or left:
        reason = failures[0].str() if failures else "no answer"
        hint = "is a broker running there, and do the topics exist? see `fraudstream topics create --help`"
        raise UserError(f"writing to {topic} on {settings.bootstrap_servers} failed: {reason}", hint=hint)
