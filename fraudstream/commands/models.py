"""`fraudstream models`: what bundles there are, what they are worth, and whether one still fits the payments."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import options
from fraudstream.errors import UserError

if TYPE_CHECKING:
    from models.drift import Drift, Reference

app = typer.Typer(
    help="List, report on and verify model bundles, and compare payments with them.", no_args_is_help=True
)


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
def report(
    model: Annotated[Path, typer.Option(help="The bundle to report on.")],
    data: options.History,
    out: Annotated[Path, typer.Option(help="Directory to write report.html and its pictures to.")],
) -> None:
    """Make a bundle's report again, from the history that it was measured on."""
    from rich.console import Console

    from fraudstream.progress import progress
    from models.bundle import MANIFEST, Bundle
    from models.history import featurise
    from models.report.drawing import require
    from models.report.report import PAGE, report_files
    from stream.history import scan_labels, scan_transactions

    if (out / MANIFEST).exists():
        raise UserError(f"{out} is a bundle, whose files are sealed", hint="choose another directory")
    require()
    bundle = Bundle.load(model)
    window = bundle.manifest.test or bundle.manifest.validation
    payments, labels = scan_transactions(data, end_ms=window.end).collect(), scan_labels(data).collect()
    with progress("computing features", payments.height) as advance:
        history = featurise(payments, labels, progress=advance)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in report_files(history, bundle).items():
        (out / name).write_bytes(content)
    Console(highlight=False, soft_wrap=True).print(f"the report is in {out / PAGE}", markup=False)


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


@app.command()
def drift(
    model: Annotated[Path, typer.Option(help="The bundle whose reference is compared with.")],
    data: options.History,
    start: Annotated[
        str | None, typer.Option("--from", help="Compare payments from here on; earlier ones are the payers' past.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Read payments before this time only.")] = None,
    psi: Annotated[float, typer.Option(min=1e-3, max=100, help="Index beyond the usual that is a shift.")] = 0.25,
    features: Annotated[int, typer.Option(min=1, help="So many shifted features ask for training again.")] = 6,
    rows: Annotated[int, typer.Option(min=1, help="Features to show, those beyond the usual by most.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Write a picture (SVG) of all features.")] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with 1 when training again is asked for.")] = False,
) -> None:
    """Compare payments with those that a model was validated on: population stability of features and score."""
    from fraudstream.drifting import compare, picture
    from fraudstream.times import epoch_ms
    from models.retrain import RetrainPolicy

    # A history is whole; nothing has to be waited for as live.
    policy = RetrainPolicy(psi=psi, features=features, payments=1, hours=1)
    window = (epoch_ms(start) if start else None, epoch_ms(end) if end else None)
    reference, found = compare(model, data, window, policy)
    _show_drift(reference, found, rows)
    if out is not None:
        out.write_text(picture(reference, found, psi))
    if fail and found.retrain:
        raise typer.Exit(1)


def _show_drift(reference: "Reference", found: "Drift", rows: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "PSI", "usual in a day", "", box=None, pad_edge=False)
    names = sorted(found.features, key=lambda name: reference.features[name].usual - found.features[name])
    shown = [("score", found.score, reference.score.usual, found.score_shifted)]
    shown += [(name, found.features[name], reference.features[name].usual, name in found.shifted) for name in names]
    for name, psi, usual, shifted in shown[: rows + 1]:
        table.add_row(name, f"{psi:.3f}", f"{usual:.3f}", "shifted" if shifted else "")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table, "", sep="\n")
    console.print(
        f"{found.payments:,} payments against {reference.payments:,} of validation: {len(found.shifted)} of"
        f" {len(found.features)} features shifted, the score {'too' if found.score_shifted else 'not'};"
        f" {'train the model again' if found.retrain else 'no need to train again'}"
    )
