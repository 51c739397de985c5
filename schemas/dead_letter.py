"""A dead letter: a record that could not be read, with its original key and bytes.

The headers are those of Kafka Connect's dead-letter queues, so that tools made for them work here.
The message never contains personal data: it names the field and the rule, not the value.
"""

from typing import Literal, get_args

import msgspec

from schemas.errors import DecodeError
from schemas.types import Offset, Partition, Topic

RejectCode = Literal["empty", "too_large", "malformed_json", "invalid_utf8", "invalid_field", "wrong_key"]
REJECT_CODES: tuple[RejectCode, ...] = get_args(RejectCode)

_PREFIX = "__connect.errors."
_STAGES: dict[str, str] = {"wrong_key": "KEY_CONVERTER"}
MAX_MESSAGE_CHARS = 500
MAX_PART_BYTES = 4 * 2**20 - 65_536
"""Of a key or value larger than this the beginning is kept, so that the topic takes both and the headers
(`max.message.bytes` of 8 MiB): one record must not keep all that come after it from being judged."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the headers of a dead letter say."""

    topic: Topic
    """Topic the record came from."""
    partition: Partition
    """Its partition there."""
    offset: Offset
    """Its offset there."""
    code: RejectCode
    """What is wrong with it."""
    message: str
    """The field and the rule it broke."""
    connector: str = "fraudstream-scoring"
    """The agent that set it aside."""
    task: str = "0"
    """The worker's slot."""

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka Connect's error headers, values in UTF-8. There is no stack trace: it is empty."""
        values = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "connector.name": self.connector,
            "task.id": self.task,
            "stage": _STAGES.get(self.code, "VALUE_CONVERTER"),
            "class.name": "schemas.codec",
            "exception.class.name": self.code,
            "exception.message": self.message[:MAX_MESSAGE_CHARS],
            "exception.stacktrace": "",
        }
        return [(_PREFIX + name, value.encode()) for name, value in values.items()]

    @classmethod
    def from_headers(cls, headers: list[tuple[str, bytes | str | None]]) -> "DeadLetter":
        """Read the headers back. Raises DecodeError when they are not a dead letter's."""
        try:
            found = {
                name.removeprefix(_PREFIX): value if isinstance(value, str) else (value or b"").decode()
                for name, value in headers
                if name.startswith(_PREFIX)
            }
            fields = {
                "topic": found["topic"],
                "partition": int(found["partition"]),
                "offset": int(found["offset"]),
                "code": found["exception.class.name"],
                "message": found["exception.message"],
                "connector": found["connector.name"],
                "task": found["task.id"],
            }
            return msgspec.convert(fields, cls)
        except (KeyError, ValueError) as error:
            raise DecodeError("invalid_field", "headers are not those of a dead letter") from error
