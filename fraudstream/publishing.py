"""What `simulate` and `publish` share: settings, a progress bar, a clean end on Ctrl-C, and the summary line."""

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import typer
from rich.console import Console

from fraudstream.errors import UserError
from fraudstream.progress import progress
from fraudstream.settings import load
from simulator.publish import PublishSettings, publish

INTERRUPTED = 130


def target(given: Mapping[str, Any], config: Path | None, topic: str | None, rate: float | None) -> PublishSettings:
    """Where to publish, from options, environment and file."""
    settings = load(given, config)
    security = {name: value.get_secret_value() for name, value in settings.kafka.items()}
    return PublishSettings(settings.bootstrap_servers, topic or f"{settings.topic_prefix}transactions", rate, security)


def publish_with_progress(frames: Iterable[pl.DataFrame], settings: PublishSettings, total: int | None) -> None:
    """Publishes and says what came of it; ends the command with 1 when payments were lost, 130 after Ctrl-C."""
    with _interrupted() as stop, progress("publishing", total) as advance:
        result = publish(frames, settings, advance=advance, stop=stop)
    Console(soft_wrap=True, highlight=False).print(f"{result} to {settings.topic}")
    if result.failed:
        raise UserError(
            f"{result.failed:,} payments were not delivered: {result.error}",
            hint="What was delivered stays; look at the broker's log.",
        )
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, so that what is under way can be finished."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
