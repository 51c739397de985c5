"""`fraudstream what-if`: a backtest's scores decided again, under other lists, rules, thresholds or budgets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import comparing, options
from fraudstream.errors import UserError

if TYPE_CHECKING:
    from backtest.result import Result
    from models.tokens import Tokeniser


def what_if(
    context: typer.Context,
    result: Annotated[Path, typer.Argument(help="Directory that `fraudstream backtest` or this command wrote.")],
    out: Annotated[Path, typer.Option(help="Directory for the new scores.parquet, metrics.json and report.html.")],
    policy_file: options.PolicyFile = None,
    lists: Annotated[
        Path | None, typer.Option(help="Lists to apply, an entry a line, as `fraudstream lists show --json` prints.")
    ] = None,
    alert_score: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]SCORE", help="Score from which the model NAME flags, or all do; repeatable."),
    ] = None,
    alerts_per_day: Annotated[
        float | None, typer.Option(min=0, help="Budget: each model flags from the lowest score that keeps to it.")
    ] = None,
    analysts: comparing.Analysts = None,
    alerts_per_analyst: comparing.AlertsPerAnalyst = None,
    review_cost: comparing.ReviewCost = None,
    recovered_share: comparing.RecoveredShare = None,
    time_zone: comparing.TimeZone = None,
    label_delay: Annotated[
        str | None, typer.Option(help="Frauds of so long before the end may not be known yet; default: the run's.")
    ] = None,
    token_key_file: options.TokenKeyFile = None,
) -> None:
    """Decide again over the scores of a backtest, in seconds: no payment is read and no model run.

    Without an option nothing changes but the figures made anew. A new policy's thresholds hold for every model.
    """
    import time

    from rich.console import Console

    from backtest.compare.compare import own_figures
    from backtest.listed import read_lists
    from backtest.result import Result
    from backtest.what_if import Changes
    from backtest.what_if import what_if as decide_again
    from fraudstream.times import duration_ms
    from models.policy import Policy
    from models.report.drawing import require

    require()  # before the work, not after
    former = Result.open(result)
    delay = duration_ms(label_delay) if label_delay else None
    settings = comparing.settings_of(analysts, alerts_per_analyst, review_cost, recovered_share, time_zone, delay)
    changes = Changes(
        policy=Policy.load(policy_file) if policy_file else None,
        lists=read_lists(lists, lambda: _tokeniser(token_key_file, former)) if lists else None,
        alert_scores=_scores(alert_score or [], [judge.name for judge in former.judges]),
        alerts_per_day=alerts_per_day,
    )
    again = decide_again(
        former,
        changes,
        out,
        command=context.obj,
        created_at=time.time_ns() // 1_000_000,
    )
    verdict = comparing.reported(again, settings)
    console = Console(highlight=False, soft_wrap=True)
    console.print(comparing.before_and_after(own_figures(former, settings), own_figures(again, settings)))
    console.print(f"{verdict}; the report is in {out / 'report.html'}", markup=False)


def _scores(given: list[str], names: list[str]) -> dict[str, int]:
    """By model; one without a name is all models'. Raises UserError."""
    found: dict[str, int] = {}
    for text in given:
        name, _, score = text.rpartition("=")
        if not score.isdecimal() or int(score) > 1000:
            raise UserError(f"{text} is no score from 0 to 1000", hint="write 640 or NAME=640")
        found |= dict.fromkeys([name] if name else names, int(score))
    return found


def _tokeniser(given: Path | None, former: "Result") -> "Tokeniser":
    """That of the key given, or of the one that the backtest kept, which is the first of a row of what-ifs."""
    from backtest.result import Result
    from fraudstream.backtesting import OWN_KEY
    from fraudstream.token_key import load_tokeniser

    if given is not None:
        return load_tokeniser(given)
    while former.run.parent is not None:
        former = Result.open(Path(former.run.parent))
    own = former.directory / OWN_KEY
    return load_tokeniser(own if own.exists() else None)
