"""`fraudstream archive`: payments, decisions and labels from their topics into a lake of Parquet files."""

from typing import Annotated

import typer

from fraudstream import options


def archive(
    lake: options.Lake = None,
    bootstrap_servers: options.BootstrapServers = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="transactions, decisions or labels; repeatable; default: all three."),
    ] = None,
    block_rows: options.BlockRows = None,
    open_rows: options.OpenRows = None,
    max_open_s: options.MaxOpenS = None,
    max_batch: options.MaxBatch = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Archive what is on the topics now, then end: for backfills.")
    ] = False,
    slot: options.Slot = None,
    group_id: options.GroupId = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    metrics_port: options.MetricsPort = None,
    log_format: options.LogFormat = None,
    log_level: options.LogLevel = None,
    config: options.Config = None,
) -> None:
    """Archive topics to a lake, each record once, until SIGTERM or Ctrl-C.

    Begins with what the topics still hold, and goes on where it was. A kill loses and doubles nothing.
    """
    from fraudstream.errors import UserError
    from fraudstream.settings import load
    from schemas.lake import TOPICS
    from stream import logs

    unknown = set(topic or ()) - set(TOPICS)
    if unknown:
        raise UserError(f"{', '.join(sorted(unknown))} is not archived", hint=f"choose of {', '.join(TOPICS)}")
    chosen = [each for each in TOPICS if not topic or each in topic]
    settings = load({name: value for name, value in locals().items() if name != "topic"}, config)
    logs.configure(settings.log_format, settings.log_level)
    if settings.lake is None:
        raise UserError("no lake is set", hint="set --lake to a directory, or to a URL as s3://bucket/prefix")

    from fraudstream.archive import ArchiveSettings, run

    names = settings.topics()
    run(
        ArchiveSettings(
            kafka=settings.kafka_settings(),
            consumer=settings.consumer_settings(),
            blocks=settings.block_settings(),
            lake=settings.lake,
            topics={each: getattr(names, each) for each in chosen},
            metrics_port=settings.metrics_port,
            until_end=until_end,
        )
    )
    raise typer.Exit(0)
