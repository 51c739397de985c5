"""Options that all benchmarks share."""

from pathlib import Path
from typing import Annotated

import typer

CACHE = Path("~/.cache/fraudstream/bench")

Cache = Annotated[Path, typer.Option(help="Where payments and models are kept between runs.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the result here.")]
Payments = Annotated[int, typer.Option(min=1_000, help="Payments in a run.")]
Payers = Annotated[int, typer.Option(min=50, help="Customers that make them.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same payments.")]
