"""`fraudstream train`: a history directory becomes a model bundle."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream.errors import UserError

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.history import History
    from models.second_opinion import SecondOpinion
    from models.training import Settings, Trained


def train(
    data: Annotated[Path, typer.Option(help="History directory: transactions/**/*.parquet and labels.parquet.")],
    out: Annotated[Path, typer.Option(help="Directory to write the bundle to.")],
    name: Annotated[str | None, typer.Option(help="The model's name in alerts; default: that of --out.")] = None,
    label_delay: Annotated[
        str, typer.Option(help="Payments younger than this at the cutoff are left out: their verdicts are still due.")
    ] = "1d",
    start: Annotated[
        str | None, typer.Option("--from", help="Fit on payments from here on; earlier ones are the payers' past.")
    ] = None,
    train_to: Annotated[
        str | None,
        typer.Option(help="The cutoff: no verdict known later is used, payments from here on are the test."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Read payments before this time only.")] = None,
    validation: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of the payments to validate on.")] = 0.2,
    alert_fpr: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Share of honest payments that may raise an alert.")
    ] = 0.005,
    trees: Annotated[int, typer.Option(min=1, max=10_000, help="Trees, at most.")] = 300,
    depth: Annotated[int, typer.Option(min=1, max=16, help="Depth of a tree.")] = 5,
    learning_rate: Annotated[float, typer.Option(min=1e-4, max=1, help="Weight of each tree.")] = 0.15,
    subsample: Annotated[float, typer.Option(min=0.05, max=1, help="Share of the payments each tree sees.")] = 0.8,
    early_stopping: Annotated[bool, typer.Option(help="Stop growing trees when validation gets no better.")] = True,
    second_opinion: Annotated[
        bool, typer.Option(help="Learn a second opinion beside the model, for attacks that it was never shown.")
    ] = True,
    second_opinion_fpr: Annotated[
        float,
        typer.Option(min=1e-6, max=0.5, help="Share of honest payments that only the second opinion may alert."),
    ] = 0.001,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and data, same model.")] = 7,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0: all cores.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle at --out.")] = False,
) -> None:
    """Train a model on a history, split by time, and write it as a bundle with its score bands and metrics.

    Verdicts count from when they became known, as they would have on the day of the cutoff.
    """
    from fraudstream.times import duration_ms, epoch_ms
    from models.bundle import check_target, write_bundle
    from models.contrast import ContrastSettings
    from models.training import Settings

    check_target(out, overwrite=overwrite)  # before the work, not after
    name = name or out.resolve().name
    if len(name) > 64:
        raise UserError("the model's name is longer than 64 characters", hint="give a shorter --name")
    settings = Settings(
        name=name,
        label_delay_ms=duration_ms(label_delay),
        start_ms=epoch_ms(start) if start else None,
        cutoff_ms=epoch_ms(train_to) if train_to else None,
        validation_share=validation,
        alert_false_positive_rate=alert_fpr,
        trees=trees,
        depth=depth,
        learning_rate=learning_rate,
        subsample=subsample,
        early_stopping=early_stopping,
        second_opinion=ContrastSettings(false_positive_rate=second_opinion_fpr) if second_opinion else None,
        seed=seed,
        threads=threads,
    )
    trained = _train(_featurise(data, epoch_ms(end) if end else None), settings)
    _show(write_bundle(out, trained.manifest, trained.model, trained.extra, overwrite=overwrite))


def _featurise(data: Path, end_ms: int | None) -> "History":
    from fraudstream.progress import progress
    from models.history import featurise
    from schemas.history import scan_labels, scan_transactions

    payments, labels = scan_transactions(data, end_ms=end_ms).collect(), scan_labels(data).collect()
    with progress("computing features", payments.height) as advance:
        return featurise(payments, labels, progress=advance)


def _train(history: "History", settings: "Settings") -> "Trained":
    from fraudstream.progress import progress
    from models.training import train as fit

    second = settings.second_opinion.trees if settings.second_opinion else 0
    with progress("growing trees", settings.trees + second) as advance:
        return fit(history, settings, created_at=time.time_ns() // 1_000_000, progress=advance)


def _show(bundle: "Bundle") -> None:
    from rich.console import Console
    from rich.table import Table

    manifest = bundle.manifest
    window = manifest.test or manifest.validation
    metrics = Table("metric", "value", box=None, pad_edge=False, title="test" if manifest.test else "validation")
    for metric, value in manifest.metrics.items():
        metrics.add_row(metric.replace("_", " "), _figure(value))
    for kind, recall in sorted(manifest.recall_by_kind.items()):
        metrics.add_row(f"alert recall, {kind.replace('_', ' ')}", f"{recall:.4g}")
    bands = Table("band", "from score", "false positives", "recall", box=None, pad_edge=False, title="bands")
    for band in manifest.bands:
        bands.add_row(band.name, str(band.from_score), f"{band.false_positive_rate:.3%}", f"{band.recall:.1%}")
    console = Console(highlight=False)
    console.print(metrics, "", bands, "", sep="\n")
    if manifest.second_opinion:
        console.print(_second(manifest.second_opinion), "", sep="\n", soft_wrap=True)
    console.print(
        f"{manifest.trees} trees, measured on {window.payments:,} payments with {window.frauds:,} frauds; alerts from"
        f" score {manifest.alert_score}\n{bundle.path} holds {manifest.name}, sha256 {bundle.sha256}",
        soft_wrap=True,
    )


def _second(about: "SecondOpinion") -> str:
    """What the second opinion adds, in a sentence."""
    added = (
        f", in the test {about.added_recall:.1%} of the frauds for {about.added_false_positive_rate:.3%}"
        if about.added_recall is not None and about.added_false_positive_rate is not None
        else ""
    )
    return (
        f"second opinion: {about.trees} trees, alerts from its score {about.alert_score}: beside the model's alerts"
        f" {about.false_positive_rate:.3%} of the honest payments{added}"
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
