"""Dead letters carry Kafka Connect's headers."""

import pytest

from schemas.dead_letter import MAX_MESSAGE_CHARS, DeadLetter
from schemas.errors import DecodeError

LETTER = DeadLetter(topic="transactions", partition=3, offset=99, code="invalid_field", message="wrong - at `$.amount`")


def test_headers_have_kafka_connects_names():
    assert [name.removeprefix("__connect.errors.") for name, _ in LETTER.headers()] == [
        "topic",
        "partition",
        "offset",
        "connector.name",
        "task.id",
        "stage",
        "class.name",
        "exception.class.name",
        "exception.message",
        "exception.stacktrace",
    ]


def test_headers_read_back_are_the_letter():
    assert DeadLetter.from_headers([*LETTER.headers(), ("other", b"x")]) == LETTER


def test_a_long_message_is_cut():
    letter = DeadLetter(topic="t", partition=0, offset=0, code="wrong_key", message="x" * 5000)
    assert len(DeadLetter.from_headers(letter.headers()).message) == MAX_MESSAGE_CHARS


@pytest.mark.parametrize("headers", [[], LETTER.headers()[1:], [("__connect.errors.offset", b"x")]])
def test_other_headers_raise_a_typed_error(headers):
    with pytest.raises(DecodeError):
        DeadLetter.from_headers(headers)
