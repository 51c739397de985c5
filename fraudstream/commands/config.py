"""`fraudstream config`: the effective settings and where each came from; `config new-token-key`: a fresh key."""

from pathlib import Path
from typing import Annotated

import typer

from fraudstream import options

app = typer.Typer(help="Show the effective settings, or create a token key.", invoke_without_command=True)


@app.callback()
def show(
    context: typer.Context,
    config: options.Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the effective settings and where each came from, secrets masked."""
    if context.invoked_subcommand:
        return
    from fraudstream.settings import Settings, describe, load_with_origins

    settings, origins = load_with_origins(config=config)
    shown = {name: (describe(settings, name), str(origin)) for name, origin in origins.items()}
    if as_json:
        import msgspec

        body = {name: {"value": value, "origin": origin} for name, (value, origin) in shown.items()}
        typer.echo(msgspec.json.format(msgspec.json.encode(body)).decode())
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for name, (value, origin) in shown.items():
        text = "" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
        table.add_row(name, escape(text), escape(origin), Settings.model_fields[name.partition(".")[0]].description)
    Console(soft_wrap=False).print(table)


@app.command("new-token-key")
def new_token_key(
    out: Annotated[Path, typer.Option("--out", help="File to create; it must not exist.")],
    version: Annotated[
        int, typer.Option("--key-version", min=1, max=255, help="Version of the key, for rotation.")
    ] = 1,
) -> None:
    """Create a secret key for tokens, readable by you only."""
    from fraudstream.token_key import write_new_key

    write_new_key(out, version)
    typer.echo(f"{out} holds a new token key, version {version}. Keep it: without it no token can be made again.")
