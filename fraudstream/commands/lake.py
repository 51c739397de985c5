"""`fraudstream lake`: what a lake holds, and small files into large ones."""

from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import options

if TYPE_CHECKING:
    from stream.lake import Lake

app = typer.Typer(help="What a lake holds, and small files into large ones.", no_args_is_help=True)


def _lake(given: str | None, config: object) -> "Lake":
    from fraudstream.errors import UserError
    from fraudstream.settings import load
    from stream.lake import Lake

    settings = load({"lake": given, "config": config})
    if settings.lake is None:
        raise UserError("no lake is set", hint="set --lake to a directory, or to a URL as s3://bucket/prefix")
    return Lake(settings.lake)


@app.command()
def info(lake: options.Lake = None, config: options.Config = None) -> None:
    """Show, for each topic and partition: offsets, gaps, rows, files and times."""
    from rich.console import Console

    from fraudstream.lake_info import table

    Console(soft_wrap=True, highlight=False).print(table(_lake(lake, config)))


@app.command()
def compact(
    lake: options.Lake = None,
    target_rows: Annotated[int, typer.Option(min=1, help="Rows of a file, at most.")] = 1_000_000,
    everything: Annotated[
        bool, typer.Option("--all", help="The newest hour of each partition too, which may still grow.")
    ] = False,
    config: options.Config = None,
) -> None:
    """Merge small files of one partition and hour, and delete what no reader takes.

    It may be interrupted, and run beside the archiver and beside readers.
    """
    from fraudstream.progress import bars
    from schemas.lake import TOPICS
    from stream.lake_compaction import compact as compact_topic

    place = _lake(lake, config)
    with bars() as begin:
        for topic in TOPICS:
            advance = begin(f"compacting {topic}", None)
            done = compact_topic(place, topic, target_rows=target_rows, newest_too=everything, advance=advance)
            if done.blocks_before:
                typer.echo(
                    f"{topic}: {done.blocks_before:,} files became {done.blocks_after:,},"
                    f" {done.rows_rewritten:,} rows were rewritten"
                )
