"""`fraudstream topics create|list`: the topics on a cluster."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import options

if TYPE_CHECKING:
    from stream.topics import TopicState

app = typer.Typer(help="Create or list the topics.", no_args_is_help=True)


@app.command()
def create(
    bootstrap_servers: options.BootstrapServers = None,
    partitions: options.Partitions = None,
    entity_partitions: Annotated[
        int | None,
        typer.Option(
            "--entity-partitions",
            min=1,
            help="Of the topics of entities; as many as there are to be workers are enough. "
            "Default: as many as the others.",
            show_default=False,
        ),
    ] = None,
    replication_factor: Annotated[
        int, typer.Option("--replication-factor", min=1, help="Copies of each partition; 3 on a cluster.")
    ] = 1,
    topic_prefix: options.TopicPrefix = None,
    group_id: options.GroupId = None,
    kafka: options.Kafka = None,
    config: options.Config = None,
) -> None:
    """Create the topics that are missing; the ones that exist are checked and left as they are."""
    from fraudstream.settings import load
    from stream.topics import Topics, create_topics

    settings = load(locals(), config)
    names = Topics.named(prefix=settings.topic_prefix, app=settings.group_id)
    _show(
        create_topics(
            settings.kafka_settings(),
            names,
            partitions=settings.partitions,
            entity_partitions=entity_partitions,
            replication_factor=replication_factor,
        )
    )


@app.command("list")
def list_(
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    group_id: options.GroupId = None,
    kafka: options.Kafka = None,
    config: options.Config = None,
) -> None:
    """Show which topics are there. Exit code 1 when one is missing."""
    from fraudstream.settings import load
    from stream.topics import Topics, list_topics

    settings = load(locals(), config)
    found = list_topics(settings.kafka_settings(), Topics.named(prefix=settings.topic_prefix, app=settings.group_id))
    _show(found)
    if not all(topic.partitions for topic in found):
        raise typer.Exit(1)


def _show(topics: Iterable["TopicState"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "partitions", "", box=None, pad_edge=False)
    for topic in topics:
        note = "created" if topic.created else "" if topic.partitions else "missing"
        table.add_row(topic.name, str(topic.partitions or "-"), note)
    Console().print(table)
