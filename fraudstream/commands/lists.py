"""`fraudstream lists`: the accounts, devices and SIMs to block, allow or watch."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fraudstream import options

if TYPE_CHECKING:
    from fraudstream.settings import Settings

app = typer.Typer(help="Block, allow or watch accounts, devices and SIMs.", no_args_is_help=True)

Kind = Annotated[Literal["account", "device", "sim"], typer.Option("--kind", help="What the value or token names.")]
Value = Annotated[
    str | None, typer.Option("--value", help="The identifier (VPA, device id, SIM); it is tokenised, never stored.")
]
TokenOption = Annotated[str | None, typer.Option("--token", help="Its token instead, as alerts show it.")]


@app.command()
def add(
    list_name: Annotated[Literal["block", "allow", "watch"], typer.Option("--list", help="Which list.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit; no personal data.")],
    kind: Kind = "account",
    value: Value = None,
    token: TokenOption = None,
    expires: Annotated[str | None, typer.Option("--expires", metavar="TIME", help="ISO 8601 or epoch ms.")] = None,
    by: Annotated[str | None, typer.Option("--by", envvar="USER", help="Who adds it.")] = None,
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    token_key_file: options.TokenKeyFile = None,
    config: options.Config = None,
) -> None:
    """Put an entity on a list; it leaves any other."""
    import time

    from fraudstream.entity_lists import put
    from fraudstream.settings import load
    from fraudstream.times import epoch_ms
    from schemas.entity_list import ListEntry

    settings = load(locals(), config)
    entry = ListEntry(
        list=list_name,
        kind=kind,
        token=_token(settings, kind, value, token),
        reason=reason,
        added_at=time.time_ns() // 1_000_000,
        added_by=by or "unknown",
        expires_at=epoch_ms(expires) if expires else None,
    )
    put(settings, entry)
    typer.echo(f"{entry.kind} {entry.token} is on the {entry.list} list")


@app.command()
def remove(
    kind: Kind = "account",
    value: Value = None,
    token: TokenOption = None,
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    token_key_file: options.TokenKeyFile = None,
    config: options.Config = None,
) -> None:
    """Take an entity off its list."""
    from fraudstream.entity_lists import remove as take_off
    from fraudstream.settings import load

    settings = load(locals(), config)
    token = _token(settings, kind, value, token)
    take_off(settings, kind, token)
    typer.echo(f"{kind} {token} is on no list")


@app.command()
def show(
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    config: options.Config = None,
) -> None:
    """Show all entries."""
    from fraudstream.entity_lists import read
    from fraudstream.settings import load
    from fraudstream.times import show_time
    from schemas.codec import encode

    entries = read(load(locals(), config))
    if as_json:
        for entry in entries:
            typer.echo(encode(entry).decode())
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("list", "kind", "token", "reason", "added", "by", "expires", box=None, pad_edge=False)
    for entry in entries:
        expires = show_time(entry.expires_at) if entry.expires_at is not None else "never"
        cells = (entry.list, entry.kind, entry.token, entry.reason, show_time(entry.added_at), entry.added_by, expires)
        table.add_row(*map(Text, cells))
    Console().print(table if entries else "The lists are empty.")


def _token(
    settings: "Settings", kind: Literal["account", "device", "sim"], value: str | None, token: str | None
) -> str:
    from fraudstream.token_key import load_tokeniser

    if (value is None) == (token is None):
        raise typer.BadParameter("give either --value or --token")
    if token is not None:
        return token
    assert value is not None
    return load_tokeniser(settings.token_key_file).token(value, kind)
