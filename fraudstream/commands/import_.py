"""`fraudstream import`: foreign payments into a history directory."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Turn payments of other origin into a history directory.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Turn payments of other origin into a history directory."""


@app.command()
def handbook(
    file: Annotated[Path, typer.Argument(help="The Fraud Detection Handbook's simulated payments (Parquet or CSV).")],
    out: Annotated[Path, typer.Option(help="Directory to write payments and labels to.")],
    label_delay: Annotated[str, typer.Option(help="From a payment until its label is known: 7d, 12h.")] = "7d",
) -> None:
    """Import the public simulated card payments of the Fraud Detection Handbook.

    The customer becomes the payer, the terminal the payee. There is no device, location or behaviour in them.
    """
    from rich.console import Console

    from fraudstream.times import duration_ms
    from schemas.handbook import convert, read
    from schemas.history import HistoryWriter

    payments, labels = convert(read(file), duration_ms(label_delay))
    with HistoryWriter(out) as history:
        history.write(payments, labels)
    frauds = int(labels["is_fraud"].sum())
    Console(soft_wrap=True, highlight=False).print(
        f"{history.payments:,} payments, {frauds:,} of them fraud, are in {out}"
    )
