"""`fraudstream demo`: the whole job on this machine, everything real, then a summary."""

from pathlib import Path
from typing import Annotated

import typer

INTERRUPTED = 130


def demo(
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long live payments stream.")] = 60,
    rate: Annotated[float, typer.Option(min=1, max=100_000, help="Live payments a second, evenly spaced.")] = 2000,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep broker, state, model, logs, alerts and summary in DIR.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bank and payments.")] = 7,
    customers: Annotated[int, typer.Option(min=1000, max=200_000, help="Customers of the simulated bank.")] = 10_000,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train the model anew, even if one is cached.")] = False,
) -> None:
    """Run everything on this machine and show it: Kafka, a trained model, a worker, payments with attacks, alerts.

    Nothing is left running. Ctrl-C ends it at any time.
    """
    from rich.console import Console

    from fraudstream.demo.run import DemoSettings, run
    from fraudstream.demo.world import World

    console = Console(highlight=False)
    settings = DemoSettings(seconds=seconds, rate=rate, world=World(customers, seed), keep=keep, retrain=retrain)
    try:
        run(settings, console)
    except KeyboardInterrupt:
        console.print("interrupted; everything has ended")
        raise typer.Exit(INTERRUPTED) from None
    if keep:
        console.print(f"kept in {keep}: alerts.jsonl, summary.json, the model, logs, state and broker", soft_wrap=True)
        console.print(f"to look further: fraudstream broker start --dir {keep / 'broker'}", soft_wrap=True)
