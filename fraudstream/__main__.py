"""The command line: `fraudstream COMMAND …` or `python -m fraudstream COMMAND …`.

Exit codes: 0 done, 1 failed (one message and what to do about it on stderr), 2 wrong usage, 130 interrupted.
FRAUDSTREAM_DEBUG=1 shows the traceback of a failure.
"""

import importlib
import os
import pkgutil
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
import typer.core
import typer.main
from rich.console import Console
from rich.text import Text

from fraudstream import commands
from schemas.errors import FraudStreamError

ORDER = (
    "demo",
    "broker",
    "topics",
    "simulate",
    "import",
    "publish",
    "train",
    "models",
    "worker",
    "archive",
    "lake",
    "explain",
    "lists",
)
"""Order in the help, as one goes along; commands not named follow."""

COMMANDS = {
    module.name.rstrip("_").replace("_", "-"): f"{commands.__name__}.{module.name}"
    for module in pkgutil.iter_modules(commands.__path__)
    if not module.name.startswith("_")
}


class LazyGroup(typer.core.TyperGroup):
    """Imports a command's module when that command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in ORDER if name in COMMANDS] + sorted(COMMANDS.keys() - set(ORDER))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        found = getattr(module, "app", None)
        if found is None:
            found = typer.Typer(add_completion=False)
            found.command()(getattr(module, module.__name__.rpartition(".")[2]))
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fraudstream {version('fraudstream')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Streaming fraud engine for instant payments: Kafka in, explained alerts out, exactly once."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; ends the process with its exit code. The line typed is the context's object."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=given, prog_name="fraudstream", obj=shlex.join(["fraudstream", *given]))
    except KeyboardInterrupt:
        sys.exit(130)
    except FraudStreamError as error:
        _fail(error, str(error), error.hint)
    except Exception as error:
        _fail(
            error, f"unexpected {type(error).__name__}: {error}", "set FRAUDSTREAM_DEBUG=1 to see where, and report it"
        )


def _fail(error: Exception, message: str, hint: str) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if os.environ.get("FRAUDSTREAM_DEBUG") == "1":
        console.print_exception()
    console.print(Text.assemble(("error: ", "bold red"), message))
    if hint:
        console.print(Text.assemble(("what to do: ", "bold"), hint))
    sys.exit(1)


if __name__ == "__main__":
    main()
