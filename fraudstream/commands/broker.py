"""`fraudstream broker start|stop|status`: a local Apache Kafka, without Docker and without Java to install."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from stream.broker_directory import BrokerDirectory

app = typer.Typer(help="Run a local Apache Kafka.", no_args_is_help=True)

Directory = Annotated[
    Path | None,
    typer.Option("--dir", envvar="FRAUDSTREAM_BROKER_DIR", help="Its directory; by default the user's own."),
]


@app.command()
def start(
    directory: Directory = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Where clients connect; 0 is any free one.")
    ] = 9092,
    heap: Annotated[
        Literal["test", "bench"], typer.Option("--heap", help="test: 256 MB, starts fast; bench: 1 GB, optimises.")
    ] = "bench",
    properties: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="Further server property of Kafka's.")
    ] = None,
) -> None:
    """Start it in the background; returns when clients get an answer."""
    from rich.console import Console

    from stream.local_broker import BrokerSettings, LocalBroker

    where = _place(directory)
    if running := where.running():
        typer.echo(f"a broker runs already: {running.bootstrap_servers}")
        return
    settings = BrokerSettings(directory=where.path, port=port, heap=heap, properties=_pairs(properties or []))
    with Console(stderr=True).status("starting Apache Kafka (the first time, its jars are downloaded)"):
        broker = LocalBroker(settings).start(detached=True)
    typer.echo(f"bootstrap servers: {broker.bootstrap_servers}")
    typer.echo(f"directory: {where.path}")
    stop_it = "fraudstream broker stop" + (f" --dir {directory}" if directory else "")
    typer.echo(f"end it with: {stop_it}")


@app.command()
def stop(
    directory: Directory = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete its directory too, with all topics.")] = False,
) -> None:
    """Stop it; done as well when none runs."""
    where = _place(directory)
    stopped = where.stop()
    typer.echo(f"stopped {stopped.bootstrap_servers}" if stopped else f"no broker runs in {where.path}")
    if delete and where.delete():
        typer.echo(f"deleted {where.path}")


@app.command()
def status(directory: Directory = None) -> None:
    """Show whether it runs and answers. Exit code 1 when not."""
    where = _place(directory)
    running = where.running()
    if not running:
        typer.echo(f"no broker runs in {where.path}")
        raise typer.Exit(1)
    if not running.answers():
        typer.echo(f"a broker runs (process {running.process.pid}) but does not answer at {running.bootstrap_servers}")
        raise typer.Exit(1)
    typer.echo(f"running: {running.bootstrap_servers} (process {running.process.pid}, directory {where.path})")


def _place(given: Path | None) -> "BrokerDirectory":
    from stream.broker_directory import BrokerDirectory, default_directory

    return BrokerDirectory((given or default_directory()).absolute())


def _pairs(items: list[str]) -> dict[str, str]:
    from fraudstream.errors import UserError

    pairs = [item.partition("=") for item in items]
    if not all(name and equals for name, equals, _ in pairs):
        raise UserError("--property takes NAME=VALUE", hint="for example --property log.retention.ms=3600000")
    return {name.strip(): value.strip() for name, _, value in pairs}
