"""`fraudstream state inspect|rebuild`: what workers know of payers and entities, and making it anew."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fraudstream import options
from fraudstream.errors import UserError

if TYPE_CHECKING:
    from fraudstream.rebuild import Plan
    from fraudstream.settings import Settings
    from stream.inspection import Inspected

app = typer.Typer(help="Look at the state, or build it again.", no_args_is_help=True)

NOT_ALL = "What a running worker has not written to its disk yet is not shown."


@app.command()
def inspect(
    state_dir: options.StateDir = None,
    slot: Annotated[int | None, typer.Option("--slot", help="Only this worker's; default: all there are.")] = None,
    payer: Annotated[str | None, typer.Option("--payer", help="One payer, by VPA; needs the token key.")] = None,
    token: Annotated[str | None, typer.Option("--token", help="One payer, by token, as alerts show it.")] = None,
    token_key_file: options.TokenKeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: options.Config = None,
) -> None:
    """Show what the databases under a state directory hold, also while workers run."""
    from fraudstream.settings import load

    if payer is not None and token is not None:
        raise typer.BadParameter("give either --payer or --token")
    settings = load({"state_dir": state_dir, "token_key_file": token_key_file}, config)
    if payer is not None or token is not None:
        _payer(settings, slot, _token(settings, payer, token), as_json)
    else:
        _databases(settings.state_dir, slot, as_json)


@app.command()
def rebuild(
    from_transactions: Annotated[
        bool, typer.Option("--from-transactions", help="Build it from the payments that the topic still holds.")
    ] = False,
    agent: Annotated[
        Literal["both", "scoring", "entities"],
        typer.Option("--agent", help="Whose state: payers' is scoring's."),
    ] = "both",
    accept_state_loss: Annotated[
        bool, typer.Option("--accept-state-loss", help="Go on where a source no longer has all of its records.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    state_dir: options.StateDir = None,
    token_key_file: options.TokenKeyFile = None,
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    group_id: options.GroupId = None,
    arena_rows: options.ArenaRows = None,
    state_format: options.StateFormat = None,
    kafka: options.Kafka = None,
    config: options.Config = None,
) -> None:
    """Make the changelogs anew from their sources, up to the committed offsets; nothing is decided or alerted again.

    For when state and committed offsets disagree. No worker may run. The local databases under --state-dir go, too.
    """
    from rich.console import Console

    from fraudstream.progress import bars
    from fraudstream.rebuild import AGENTS
    from fraudstream.rebuild import rebuild as run
    from fraudstream.settings import load
    from fraudstream.token_key import load_tokeniser

    if not from_transactions:
        raise typer.BadParameter("say what to build it from: --from-transactions is the one way there is")
    settings = load(locals(), config)
    tokeniser = load_tokeniser(settings.token_key_file)
    agents = tuple(name for name in AGENTS if agent in ("both", name))

    def agreed(plan: "Plan") -> bool:
        _show(plan)
        lost = sum(folding.lost for foldings in plan.values() for folding in foldings)
        if lost and not accept_state_loss:
            raise UserError(
                f"{lost:,} offsets that were judged are on their source no more: state would know less than it did",
                hint="restore the topic if you can, or give --accept-state-loss to go on with what there is",
            )
        return yes or typer.confirm("Delete the changelogs and local databases, and make them from this?", err=True)

    with bars() as begin:
        rebuilt = run(
            settings, tokeniser, agents, agreed=agreed, progress=begin, say=lambda text: typer.echo(text, err=True)
        )
    if rebuilt is None:
        raise typer.Abort
    counts = ", ".join(f"{count:,} of {name}" for name, count in rebuilt.records.items())
    Console(soft_wrap=True, highlight=False).print(
        f"records rebuilt: {counts}; {rebuilt.databases} local databases deleted. Workers may start."
    )


def _show(plan: "Plan") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("agent", "partition", "from offset", "to offset", "lost", box=None, pad_edge=False)
    for agent, foldings in plan.items():
        for each in foldings:
            end = f"{each.end:,}" if each.end >= 0 else "nothing committed"
            table.add_row(agent, str(each.partition), f"{each.first:,}", end, f"{each.lost:,}" if each.lost else "")
    Console(stderr=True, highlight=False).print(table)


def _token(settings: "Settings", payer: str | None, token: str | None) -> str:
    from fraudstream.token_key import load_tokeniser

    if token is None:
        assert payer is not None
        return load_tokeniser(settings.token_key_file).token(payer)
    try:
        if len(bytes.fromhex(token)) == 16:
            return token
    except ValueError:
        pass
    raise UserError("a token has 32 hexadecimal digits", hint="copy it from an alert's payer_token")


def _payer(settings: "Settings", slot: int | None, token: str, as_json: bool) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from fraudstream.payer_words import as_dict, facts
    from models.payer_state import PAYER, PAYER_CODEC
    from stream.inspection import find

    found = find(_there(settings.state_dir, "scoring", slot), bytes.fromhex(token))
    if found is None:
        raise UserError(
            f"payer {token} is in no database under {settings.state_dir}",
            hint="the payer may be new, on another worker's disk, or not written out yet",
        )
    where, partition, value = found
    records = np.zeros(1, dtype=PAYER)
    PAYER_CODEC.decode([value], records, np.zeros(1, dtype=np.int64))
    if as_json:
        _print_json({"payer_token": token, "slot": where, "partition": partition, **as_dict(records[0])})
        return
    console = Console(highlight=False)
    console.print(Text(f"Payer {token} (token), partition {partition}, slot {where}, {len(value)} bytes", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts(records[0]):
        table.add_row(name, Text(text))
    console.print(table, NOT_ALL, sep="\n")


def _there(directory: Path, agent: str, slot: int | None) -> list[tuple[int, int, Path]]:
    """Databases; raises UserError for none."""
    from stream.inspection import databases

    places = databases(directory, agent, slot)
    if not places:
        of = "" if slot is None else f" of slot {slot}"
        raise UserError(f"there is no database{of} under {directory}", hint="name the workers' directory: --state-dir")
    return places


def _databases(directory: Path, slot: int | None, as_json: bool) -> None:
    from dataclasses import asdict

    from models.entity_state import ENTITY_CODEC
    from models.payer_state import PAYER_CODEC
    from stream.inspection import databases
    from stream.inspection import inspect as look

    _there(directory, "*", slot)
    found = [
        look(slot_, agent, partition, path, codec, seen)
        for agent, codec, seen in (
            ("scoring", PAYER_CODEC, lambda records: records["last_seen_ms"]),
            ("entities", ENTITY_CODEC, lambda records: records["last_seen"].astype("i8") * 1000),
        )
        for slot_, partition, path in databases(directory, agent, slot)
    ]
    if as_json:
        _print_json({"databases": [asdict(each) for each in found]})
    else:
        _table(found)


def _table(found: "list[Inspected]") -> None:
    from rich.console import Console
    from rich.table import Table

    from fraudstream.times import show_time

    table = Table(box=None, pad_edge=False)
    for name in ("slot", "agent", "partition"):
        table.add_column(name)
    for name in ("records", "MiB", "source offset", "changelog offset"):
        table.add_column(name, justify="right")
    table.add_column("last seen, from … to")
    table.add_column("bytes: median, p99, most", justify="right")
    for each in found:
        seen = "–"
        if each.oldest_ms is not None and each.newest_ms is not None:
            seen = f"{show_time(each.oldest_ms)[:16]} … {show_time(each.newest_ms)[:16]}"
        table.add_row(
            str(each.slot),
            each.agent,
            str(each.partition),
            f"{each.records:,}",
            f"{each.disk_bytes / 2**20:,.1f}",
            f"{each.source_offset:,}" if each.source_offset is not None else "–",
            f"{each.changelog_offset:,}" if each.changelog_offset is not None else "–",
            seen,
            f"{each.size_median:,}, {each.size_p99:,}, {each.size_max:,}",
        )
    Console(highlight=False).print(table, NOT_ALL, sep="\n")


def _print_json(body: object) -> None:
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(body)).decode())
