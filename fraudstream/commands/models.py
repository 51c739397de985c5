"""`fraudstream models`: what bundles there are, and whether one can be trusted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fraudstream.errors import UserError

app = typer.Typer(help="List and verify model bundles.", no_args_is_help=True)


@app.command("list")
def list_(
    directory: Annotated[Path, typer.Argument(help="Directory that holds bundles.")] = Path(),
) -> None:
    """List the bundles in a directory, the newest first, with those that cannot be used."""
    from rich.console import Console
    from rich.table import Table

    from models.bundle import MANIFEST, Bundle, BundleError

    if not directory.is_dir():
        raise UserError(f"there is no directory {directory}", hint="name the directory that holds the bundles")
    found: list[Bundle] = []
    unusable: list[BundleError] = []
    for path in sorted(manifest.parent for manifest in directory.glob(f"[!.]*/{MANIFEST}")):
        try:
            found.append(Bundle.load(path))
        except BundleError as error:
            unusable.append(error)
    table = Table("bundle", "name", "trained (UTC)", "trees", "alerts from", "AUC", "sha256", box=None, pad_edge=False)
    for bundle in sorted(found, key=lambda bundle: -bundle.manifest.created_at):
        manifest = bundle.manifest
        trained = datetime.fromtimestamp(manifest.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        auc = manifest.metrics.get("auc")
        table.add_row(
            bundle.path.name,
            manifest.name,
            trained,
            str(manifest.trees),
            str(manifest.alert_score),
            "" if auc is None else f"{auc:.4f}",
            bundle.sha256[:16],
        )
    console = Console(highlight=False, soft_wrap=True)
    console.print(table if found else f"no usable bundle in {directory}")
    for problem in unusable:
        console.print(str(problem), style="red", markup=False)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle's directory.")],
    sha256: Annotated[
        str | None, typer.Option(help="What the bundle's sha256 has to be, or the beginning of it (16 digits or more).")
    ] = None,
) -> None:
    """Check that a bundle is whole, unchanged, and made for the features of this version. Exit code 1 if it is not."""
    from rich.console import Console

    from models.bundle import Bundle

    loaded = Bundle.load(bundle)
    loaded.booster()
    loaded.second_booster()
    if sha256 is not None and (len(sha256) < 16 or not loaded.sha256.startswith(sha256.lower())):
        raise UserError(
            f"the bundle {bundle} is whole, but another one: its sha256 is {loaded.sha256}",
            hint="compare with the sha256 that fraudstream train printed, of 16 digits or more",
        )
    Console(highlight=False, soft_wrap=True).print(
        f"{bundle} is whole: {loaded.manifest.name}, {loaded.manifest.trees} trees, sha256 {loaded.sha256}",
        markup=False,
    )
