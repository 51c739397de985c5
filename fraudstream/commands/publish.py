"""`fraudstream publish`: a history's payments, of a directory or lake, to the topic, in order of event_time."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import options

if TYPE_CHECKING:
    import polars as pl


def publish(
    data: options.History,
    bootstrap_servers: options.BootstrapServers = None,
    topic: Annotated[str | None, typer.Option(help="Topic to publish to; default: transactions.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Payments a second, evenly spaced; default: as fast as it goes.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Only payments from this event_time on.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only payments before this event_time.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many payments.")] = None,
    kafka: options.Kafka = None,
    config: options.Config = None,
) -> None:
    """Publish a history's payments to the topic, keyed by payer, as fast as it goes or at a rate."""
    import polars as pl

    from fraudstream.publishing import publish_with_progress, target
    from fraudstream.times import epoch_ms
    from stream.history import read_transactions, scan_transactions

    window = {"start_ms": epoch_ms(start) if start else None, "end_ms": epoch_ms(end) if end else None}
    total = int(scan_transactions(data, **window).select(pl.len()).collect().item())
    total = min(total, limit) if limit else total
    settings = target({"bootstrap_servers": bootstrap_servers, "kafka": kafka}, config, topic, rate)
    publish_with_progress(_first(read_transactions(data, **window), total), settings, total)


def _first(frames: "Iterable[pl.DataFrame]", count: int) -> "Iterator[pl.DataFrame]":
    for frame in frames:
        yield frame[:count]
        count -= len(frame)
        if count <= 0:
            return
