"""The AsyncAPI 3 document: which topic carries what, keyed how, written and read by whom."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from schemas.dead_letter import REJECT_CODES, DeadLetter
from schemas.describe import summary_of

JSON = "application/json"


@dataclass(frozen=True)
class Channel:
    """One topic. `schema` is the name of a generated JSON Schema, "" for bytes described in words."""

    topic: str
    message: str
    key: str
    summary: str
    actions: tuple[Literal["receive", "send"], ...]
    schema: str = ""
    content_type: str = JSON
    compacted: bool = False


CHANNELS = (
    Channel("transactions", "Transaction", "the payer", "Payments to be scored.", ("receive",), "transaction"),
    Channel("alerts", "Alert", "the payer's token", "Flagged payments, with the reasons why.", ("send",), "alert"),
    Channel(
        "decisions",
        "Decisions",
        "none",
        "Every payment's decision, one columnar record per step and source partition: 4 bytes of length "
        "(little-endian), metadata as JSON, rows as an Arrow IPC stream.",
        ("send",),
        content_type="application/vnd.fraudstream.decisions",
    ),
    Channel(
        "transactions.dead-letter",
        "DeadLetter",
        "the original key",
        "Records that could not be read, with their original bytes and Kafka Connect's error headers.",
        ("send",),
        content_type="application/octet-stream",
    ),
    Channel(
        "entity-activity",
        "EntityActivity",
        "none; the partition follows from the entity's token",
        "Who touched which account, device or SIM: a version byte, then fixed-width rows.",
        ("send", "receive"),
        content_type="application/vnd.fraudstream.activity",
    ),
    Channel("entity-risk", "EntityRisk", "kind:token", "The latest risk of each entity.", ("send", "receive"),
            "entity_risk", compacted=True),
    Channel("labels", "Label", "the payer", "Verdicts about payments.", ("receive",), "label"),
    Channel("entity-lists", "ListEntry", "kind:token", "Entities to block, allow or watch; a tombstone removes one.",
            ("receive",), "entity_list", compacted=True),
)  # fmt: skip


def asyncapi() -> dict[str, Any]:
    """The whole document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "FraudStream",
            "version": version("fraudstream"),
            "description": "Payments in, explained alerts out. Read every topic with isolation.level=read_committed.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {channel.topic: _channel(channel) for channel in CHANNELS},
        "operations": {
            f"{action}-{channel.topic.replace('.', '-')}": _operation(action, channel)
            for channel in CHANNELS
            for action in channel.actions
        },
        "components": {"messages": {channel.message: _message(channel) for channel in CHANNELS}},
    }


def _pointer(topic: str) -> str:
    return f"#/channels/{topic}"


def _channel(channel: Channel) -> dict[str, Any]:
    policy = "compact" if channel.compacted else "delete"
    return {
        "address": channel.topic,
        "summary": channel.summary,
        "messages": {channel.message: {"$ref": f"#/components/messages/{channel.message}"}},
        "bindings": {"kafka": {"topicConfiguration": {"cleanup.policy": [policy]}, "bindingVersion": "0.5.0"}},
    }


def _operation(action: str, channel: Channel) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": _pointer(channel.topic)},
        "messages": [{"$ref": f"{_pointer(channel.topic)}/messages/{channel.message}"}],
    }


def _message(channel: Channel) -> dict[str, Any]:
    message: dict[str, Any] = {"name": channel.message, "summary": channel.summary, "contentType": channel.content_type}
    key = {"description": f"Key: {channel.key}."} | ({} if channel.key.startswith("none") else {"type": "string"})
    message["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    if channel.schema:
        message["payload"] = {"$ref": f"./{channel.schema}.schema.json"}
    if channel.message == "DeadLetter":
        message["headers"] = _dead_letter_headers()
    return message


def _dead_letter_headers() -> dict[str, Any]:
    example = DeadLetter(topic="transactions", partition=0, offset=0, code="malformed_json", message="")
    names = [name for name, _ in example.headers()]
    properties: dict[str, Any] = {name: {"type": "string"} for name in names}
    properties["__connect.errors.exception.class.name"]["enum"] = list(REJECT_CODES)
    return {"type": "object", "description": summary_of(DeadLetter), "properties": properties, "required": names}
