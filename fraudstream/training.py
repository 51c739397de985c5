"""What `fraudstream train` does between its options and the bundle, with progress on every long stage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from rich.console import Console
from rich.table import Table

from fraudstream.progress import bars, progress
from models.bundle import Bundle, Manifest, Spread
from models.featurising import featurise_to_disk
from models.history import History, featurise
from models.model_card import REPORT
from models.report.report import report_files
from models.second_opinion import SecondOpinion
from models.training import Search, Settings, Trained, train
from models.training.matrix import too_large
from stream.history import read_transactions, scan_labels, scan_transactions


@contextmanager
def history_of(data: str, end_ms: int | None, settings: Settings) -> Iterator[History]:
    """The history with its features: in memory, or on disk beside the bundle, where they are deleted afterwards."""
    labels, payments = scan_labels(data), scan_transactions(data, end_ms=end_ms)
    count = int(payments.select(pl.len()).collect().item())
    by_disk = too_large(count) if settings.external_memory is None else settings.external_memory
    if not by_disk:
        with progress("computing features", count) as advance:
            history = featurise(payments.collect(), labels.collect(), progress=advance)
        yield history
        return
    with TemporaryDirectory(prefix=".fraudstream-features-", dir=settings.scratch) as home:
        with progress("computing features", count) as advance:
            parts = read_transactions(data, end_ms=end_ms)
            history = featurise_to_disk(parts, labels, Path(home, "features"), progress=advance)
        yield history


def fit(history: History, settings: Settings, search: Search | None) -> Trained:
    """Train, and on Ctrl-C say what is left of the work."""
    try:
        with bars() as begin:
            return train(history, settings, created_at=time.time_ns() // 1_000_000, begin=begin, search=search)
    except KeyboardInterrupt:
        kept = f"; the trials are in {search.study}, the same command goes on with them" if search else ""
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"interrupted: no bundle was written{kept}")
        raise


def reported(history: History, trained: Trained) -> dict[str, bytes]:
    """The report's files, with a sign of life: it takes as long as some trees."""
    with Console(stderr=True).status("drawing the report"):
        return report_files(history, trained)


def show(bundle: Bundle) -> None:
    """Print what a bundle is worth."""
    manifest = bundle.manifest
    window = manifest.test or manifest.validation
    console = Console(highlight=False)
    for table in (*_repeated(manifest), _metrics(manifest), _bands(manifest)):
        console.print(table, "", sep="\n")
    if manifest.second_opinion:
        console.print(_second(manifest.second_opinion), "", sep="\n", soft_wrap=True)
    console.print(
        f"{manifest.trees} trees, measured on {window.payments:,} payments with {window.frauds:,} frauds; alerts from"
        f" score {manifest.alert_score}{_budget(manifest)}\n"
        f"{bundle.path} holds {manifest.name}, sha256 {bundle.sha256}",
        soft_wrap=True,
    )
    if REPORT in manifest.files:
        console.print(f"report: {bundle.path / REPORT}", soft_wrap=True)


def _metrics(manifest: Manifest) -> Table:
    metrics = Table("metric", "value", box=None, pad_edge=False, title="test" if manifest.test else "validation")
    for metric, value in manifest.metrics.items():
        metrics.add_row(metric.replace("_", " "), _figure(value))
    for kind, recall in sorted(manifest.recall_by_kind.items()):
        metrics.add_row(f"alert recall, {kind.replace('_', ' ')}", f"{recall:.4g}")
    return metrics


def _bands(manifest: Manifest) -> Table:
    bands = Table("band", "from score", "false positives", "recall", box=None, pad_edge=False, title="bands")
    for band in manifest.bands:
        bands.add_row(band.name, str(band.from_score), f"{band.false_positive_rate:.3%}", f"{band.recall:.1%}")
    return bands


def _repeated(manifest: Manifest) -> Iterator[Table]:
    """What was measured several times: treatments, folds, seeds, and how the search went."""
    if manifest.search:
        search = Table("search", "", box=None, pad_edge=False)
        for name, value in manifest.search.items():
            search.add_row(name.replace("_", " "), _figure(value) if isinstance(value, float) else str(value))
        yield search
    for treatment, figures in manifest.imbalance_compared.items():
        chosen = ", chosen" if treatment == manifest.imbalance else ""
        yield _spreads(f"out of fold, imbalance {treatment}{chosen}", figures)
    if manifest.out_of_fold:
        yield _spreads("out of fold", manifest.out_of_fold)
    if manifest.over_seeds:
        yield _spreads("over seeds", manifest.over_seeds, intervals=True)


def _spreads(title: str, figures: Mapping[str, Spread], *, intervals: bool = False) -> Table:
    """Folds differ in what they are hard at: their mean has no interval."""
    heads = ("metric", "mean", "± sd", *(["95 % interval"] if intervals else []))
    table = Table(*heads, box=None, pad_edge=False, title=title)
    for name, spread in figures.items():
        interval = "unknown" if spread.low is None else f"{_figure(spread.low)} to {_figure(spread.high)}"
        cells = (name.replace("_", " "), _figure(spread.mean), _figure(spread.sd), interval)
        table.add_row(*cells[: len(heads)])
    return table


def _second(about: SecondOpinion) -> str:
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


def _budget(manifest: Manifest) -> str:
    """What the alert score means on validation, in the bank's terms."""
    means = manifest.budget_implies
    texts = [f"{_figure(means['alerts_per_day'])} alerts a day", f"{_figure(means['precision'])} of them right"]
    if (cost := means.get("cost_rupees_per_day")) is not None:
        without = means.get("cost_rupees_per_day_without_alerts")
        texts.append(f"₹{_figure(cost)} a day, ₹{_figure(without)} without alerts")
    return f", on validation {', '.join(texts)}"


def _figure(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
