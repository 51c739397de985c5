"""Logs say what happened and nothing about anybody."""

import json
import logging

import pytest
import structlog

from stream.errors import Retry
from stream.logs import ALLOWED, configure, logger


@pytest.fixture
def log_to(capsys):
    """`log_to("json")` configures; then `log_to.lines()` gives what was written, `log_to.text()` as it stands."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def start(form: str) -> None:
        configure(form, "info")
        capsys.readouterr()

    start.text = lambda: capsys.readouterr().err
    start.lines = lambda: [json.loads(line) for line in start.text().splitlines()]
    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_field_that_is_not_allowed_is_not_written(log_to):
    log_to("json")
    logger("scoring").info("step done", payments=3, payer="asha@bank", device_id="phone-1")
    (line,) = log_to.lines()
    assert (line["event"], line["payments"]) == ("step done", 3)
    assert (line["payer"], line["device_id"]) == ("(not logged)", "(not logged)")
    assert "asha" not in json.dumps(line)


def test_a_line_says_when_where_and_how_bad(log_to):
    log_to("json")
    logger("restore").warning("restoring again", partition=2)
    (line,) = log_to.lines()
    assert (line["level"], line["logger"]) == ("warning", "fraudstream.restore")
    assert line["timestamp"].endswith("Z")
    assert set(line) <= ALLOWED


def test_a_traceback_is_written_when_it_is_asked_for_and_only_then(log_to):
    log_to("json")
    try:
        raise ValueError("broken")
    except ValueError as error:
        logger("step").warning("step failed", exc_info=True)
        logger("step").warning("step failed", exc_info=error)
        logger("step").warning("step put off", exc_info=False)
    first, second, third = log_to.lines()
    assert first["exception"].endswith("ValueError")
    assert "test_logs.py" in first["exception"]
    assert second["exception"] == first["exception"]
    assert "exception" not in third
    assert "exc_info" not in first


def test_only_our_own_errors_keep_their_message(log_to):
    """The message of any other may quote a payment."""
    log_to("json")
    logger("step").error("step failed", exc_info=ValueError("asha@bank is odd"))
    logger("step").error("step failed", exc_info=Retry("the broker takes nothing"))
    logging.getLogger("other").error("failed", exc_info=KeyError("asha@bank"))
    first, second, third = log_to.lines()
    assert first["exception"] == "ValueError"
    assert second["exception"] == "Retry: the broker takes nothing"
    assert third["exception"] == "KeyError"


def test_what_is_below_the_level_is_not_written(log_to):
    log_to("json")
    logger("step").debug("details")
    logging.getLogger("faust").info("chatter")
    assert log_to.lines() == []


def test_lines_for_people_are_guarded_too(log_to):
    log_to("console")
    logger("scoring").info("step done", payer="asha@bank")
    text = log_to.text()
    assert "step done" in text
    assert "asha" not in text
