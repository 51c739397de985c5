"""`fraudstream train`: a history, directory or lake, becomes a model bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fraudstream import options
from fraudstream.errors import UserError

if TYPE_CHECKING:
    from models.training import Budget, Settings


def train(
    data: options.History,
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
    folds: Annotated[
        int, typer.Option(min=0, max=50, help="Folds before the cutoff, in order of time, to measure on; 0: none.")
    ] = 0,
    seeds: Annotated[
        int, typer.Option(min=1, max=100, help="Seeds to grow the model from; the median one is kept.")
    ] = 1,
    alert_fpr: Annotated[
        float | None,
        typer.Option(min=1e-6, max=0.5, help="Budget: share of honest payments with an alert [default: 0.005]."),
    ] = None,
    alerts_per_day: Annotated[
        float | None, typer.Option(min=0, help="Budget: alerts, right or wrong, on an average day.")
    ] = None,
    missed_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Budget: cost of a missed rupee of fraud; with --review-cost."),
    ] = None,
    review_cost: Annotated[
        float | None, typer.Option(min=0, help="Cost of an alert on an honest payment, in rupees; with --missed-cost.")
    ] = None,
    trials: Annotated[
        int, typer.Option(min=0, help="Trials of a search for better tree parameters; 0: none. Ctrl-C, and it goes on.")
    ] = 0,
    study: Annotated[Path | None, typer.Option(help="File that keeps the trials; default: beside --out.")] = None,
    imbalance: Annotated[
        Literal["none", "weights", "smote", "auto"],
        typer.Option(help="How the rarity of fraud is treated; auto: as is best on the folds."),
    ] = "none",
    constraints: Annotated[
        bool, typer.Option(help="Keep risk monotone in features where the domain knows the direction.")
    ] = True,
    trees: Annotated[int, typer.Option(min=1, max=10_000, help="Trees, at most.")] = 600,
    depth: Annotated[int, typer.Option(min=1, max=16, help="Depth of a tree.")] = 6,
    learning_rate: Annotated[float, typer.Option(min=1e-4, max=1, help="Weight of each tree.")] = 0.05,
    subsample: Annotated[float, typer.Option(min=0.05, max=1, help="Share of the payments each tree sees.")] = 0.8,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another parameter of XGBoost, as min_child_weight=5; repeatable."),
    ] = None,
    early_stopping: Annotated[bool, typer.Option(help="Stop growing trees when validation gets no better.")] = True,
    second_opinion: Annotated[
        bool, typer.Option(help="Learn a second opinion beside the model, for attacks that it was never shown.")
    ] = True,
    second_opinion_fpr: Annotated[
        float,
        typer.Option(min=1e-6, max=0.5, help="Share of honest payments that only the second opinion may alert."),
    ] = 0.001,
    report: Annotated[bool, typer.Option(help="Put a report with pictures into the bundle: report.html.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and data, same model.")] = 7,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0: all cores.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where trees are grown; auto: on a GPU if there is one.")
    ] = "auto",
    external_memory: Annotated[
        bool | None,
        typer.Option(
            "--external-memory/--in-memory", help="Go by way of the disk; default: where memory is too small."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle at --out.")] = False,
) -> None:
    """Train a model on a history, split by time, and write it as a bundle with its score bands and metrics.

    Verdicts count from when they became known, as they would have on the day of the cutoff. With --trials, Ctrl-C
    loses nothing: the same command goes on with the search.
    """
    from fraudstream.times import duration_ms, epoch_ms
    from fraudstream.training import fit, history_of, reported, show
    from models.bundle import check_target, write_bundle
    from models.contrast import ContrastSettings
    from models.report import drawing
    from models.training import Search
    from models.training.device import chosen_device

    check_target(out, overwrite=overwrite)  # before the work, not after
    name = name or out.resolve().name
    if len(name) > 64:
        raise UserError("the model's name is longer than 64 characters", hint="give a shorter --name")
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = _settings(
        name=name,
        label_delay_ms=duration_ms(label_delay),
        start_ms=epoch_ms(start) if start else None,
        cutoff_ms=epoch_ms(train_to) if train_to else None,
        validation_share=validation,
        budget=_budget(alert_fpr, alerts_per_day, missed_cost, review_cost),
        trees=trees,
        depth=depth,
        learning_rate=learning_rate,
        subsample=subsample,
        early_stopping=early_stopping,
        constraints=constraints,
        imbalance=imbalance,
        folds=folds,
        seeds=seeds,
        second_opinion=ContrastSettings(false_positive_rate=second_opinion_fpr) if second_opinion else None,
        seed=seed,
        threads=threads,
        device=device,
        external_memory=external_memory,
        scratch=out.parent,
        **_parameters(param or []),
    )
    if report:
        drawing.require()
    if device == "cuda":
        chosen_device(device, external=bool(external_memory))
    search = Search(trials, study or out.with_name(f"{out.name}.study")) if trials else None
    with history_of(data, epoch_ms(end) if end else None, settings) as history:
        trained = fit(history, settings, search)
        extra = {**trained.extra, **(reported(history, trained) if report else {})}
        bundle = write_bundle(out, trained.manifest, trained.model, extra, overwrite=overwrite)
    show(bundle)


def _budget(
    alert_fpr: float | None, alerts_per_day: float | None, missed_cost: float | None, review_cost: float | None
) -> "Budget | None":
    """What was asked for; None for the default. Raises UserError for none or several."""
    from models.training import Budget

    given = (alert_fpr, alerts_per_day, missed_cost, review_cost)
    if all(value is None for value in given):
        return None
    try:
        return Budget(*given)
    except ValueError as error:
        raise UserError(
            str(error), hint="give --alert-fpr, or --alerts-per-day, or --missed-cost together with --review-cost"
        ) from None


def _parameters(pairs: list[str]) -> dict[str, float]:
    """XGBoost's parameters from NAME=VALUE. Raises UserError."""
    from models.training.settings import TREE_PARAMETERS

    found = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            if name not in TREE_PARAMETERS:
                raise UserError(f"--param {pair}: {name} cannot be set", hint=f"choose of {', '.join(TREE_PARAMETERS)}")
            found[name] = float(value)
        except ValueError:
            raise UserError(f"--param {pair}: {value!r} is no number", hint="write --param gamma=0.5") from None
    return found


def _settings(**given: Any) -> "Settings":
    from models.training import Settings

    try:
        return Settings(**given)
    except ValueError as error:
        raise UserError(str(error), hint="see fraudstream train --help") from None
