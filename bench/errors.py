"""What goes wrong in a measurement, and the one place where a benchmark's command ends."""

import signal
import sys
from collections.abc import Callable

import typer
from rich.console import Console
from rich.text import Text

from schemas.errors import FraudStreamError


class BenchError(FraudStreamError):
    """A measurement that could not be taken."""


def run(command: Callable[..., None]) -> None:
    """Run a benchmark: an error is one message with what to do; Ctrl-C and SIGTERM end everything and exit with 130."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except FraudStreamError as error:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(Text.assemble(("error: ", "bold red"), str(error)))
        if error.hint:
            console.print(Text.assemble(("what to do: ", "bold"), error.hint))
        sys.exit(1)
