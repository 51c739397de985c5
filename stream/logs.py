"""Structured logs, JSON for machines or lines for people, with nothing personal in them.

Only the fields in `ALLOWED` are written; any other is replaced by its name, so that a VPA cannot slip in.
"""

import logging
import sys
import traceback
from typing import Any

import structlog

from schemas.errors import FraudStreamError

ALLOWED = frozenset(
    [
        "event",
        "level",
        "logger",
        "timestamp",
        "exception",
        "agent",
        "partition",
        "partitions",
        "topic",
        "offset",
        "offsets",
        "records",
        "seconds",
        "rate",
        "error",
        "hint",
        "slot",
        "guarantee",
        "port",
        "model",
        "sha256",
        "epoch",
        "reason",
        "committed",
        "version",
        "count",
        "path",
        "signal",
        "rows",
        "payments",
        "alerts",
        "dead_letters",
        "bootstrap_servers",
        "list_version",
        "policy_version",
        "attempt",
        "code",
        "left",
        "features",
        "seconds_left",
    ]
)


def _allowed_only(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name in event.keys() - ALLOWED:
        event[name] = "(not logged)"
    return event


def _traceback(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The frames and the kind of an exception. Its message may quote a record, so only our own errors keep theirs."""
    found = event.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else found[1] if isinstance(found, tuple) else None
    if found is True:
        error = sys.exc_info()[1]
    if error is not None:
        frames = "".join(traceback.format_tb(error.__traceback__))
        message = f": {error}" if isinstance(error, FraudStreamError) else ""
        event["exception"] = f"{frames}{type(error).__qualname__}{message}"
    return event


def configure(form: str = "console", level: str = "info") -> None:
    """Send logs to standard error as `console` lines or `json`, from `level` upwards."""
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _traceback,
        _allowed_only,
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared[:4],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("faust", "mode", "asyncio", "numba"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def logger(name: str) -> Any:
    """The logger of one part of the program."""
    return structlog.stdlib.get_logger(f"fraudstream.{name}")
