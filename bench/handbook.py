"""The Fraud Detection Handbook's exact protocol through import, engine, training and scoring.

    python -m bench.handbook --data FILE --train-start 2018-07-25 --scores OUT.parquet [--json OUT]
    python -m bench.handbook --data FILE --choose [--json bench/results/handbook.json]

The first fits on the seven days from `--train-start` and writes transaction_id and probability of every payment of the
test week, days 15 to 21. State and entity risk are warmed by all earlier payments, verdicts reach entity risk seven
days after their payment, and nothing is fitted on later weeks. Any start works whose three weeks the file has.

The second shows how settings were chosen: every candidate on the ten windows whose test week ends before 25 July 2018.
The data set (github.com/Fraud-Detection-Handbook/simulated-data-raw) is one Parquet or CSV file; it is not part of this
repository.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.handbook_protocol import DAY_MS, Window, figures_of, window_of
from bench.results import console, write
from bench.tables import show
from fraudstream.progress import progress
from models.catalogue import CATALOGUE, FEATURE_NAMES
from models.history import History, featurise
from models.training import Settings
from models.training.fit import grow, prepare
from models.training.imbalance import Samples
from models.training.matrix import Sample
from schemas import handbook

DELAY_MS = 7 * DAY_MS
CHOOSE_FROM, CHOOSE_BEFORE = date(2018, 5, 2), date(2018, 7, 25)
"""Windows that settings are chosen on: the first that has a month behind it, and none that is tested."""

AMOUNTS_AND_VERDICTS = tuple(
    feature.name
    for feature in CATALOGUE
    if feature.name.startswith(("amount_", "payments_", "payee_fraud", "payee_risk"))
)
"""What seven days with some six hundred frauds are enough to learn from: amounts, their pace, and what is known of the
payee. Habits of hour and payee need more."""


@dataclass(frozen=True)
class Candidate:
    """A way of training."""

    settings: Settings
    features: tuple[str, ...] = FEATURE_NAMES


_BASE = Settings(
    name="handbook", early_stopping=False, trees=200, depth=3, learning_rate=0.05, subsample=0.8, colsample_bytree=0.5,
    min_child_weight=3.0, reg_lambda=3.0, constraints=False, seed=1, threads=1,
)  # fmt: skip
CANDIDATES = {
    "the paper's trees, all features": Candidate(
        Settings(
            name="handbook",
            early_stopping=False,
            trees=300,
            depth=5,
            learning_rate=0.15,
            colsample_bytree=1.0,
            min_child_weight=1.0,
            reg_lambda=1.0,
            constraints=False,
            seed=1,
            threads=1,
        )
    ),
    "slow trees of depth 3, all features": Candidate(_BASE),
    "amounts and verdicts only": Candidate(_BASE, AMOUNTS_AND_VERDICTS),
    "the same, depth 2, 300 trees": Candidate(replace(_BASE, depth=2, trees=300), AMOUNTS_AND_VERDICTS),
    "the same, depth 4, 150 trees": Candidate(replace(_BASE, depth=4, trees=150), AMOUNTS_AND_VERDICTS),
    "the same, monotone in verdicts": Candidate(replace(_BASE, constraints=True), AMOUNTS_AND_VERDICTS),
    "the same, stronger regularisation": Candidate(replace(_BASE, reg_lambda=10.0), AMOUNTS_AND_VERDICTS),
}
CHOSEN = "amounts and verdicts only"


def main(
    data: Annotated[Path, typer.Option(help="The Handbook's payments: one Parquet or CSV file.")],
    train_start: Annotated[str | None, typer.Option(help="First day of the training week, YYYY-MM-DD.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Write transaction_id and probability here, as Parquet.")] = None,
    choose: Annotated[bool, typer.Option("--choose", help="Compare the candidates on earlier windows.")] = False,
    json: options.Json = None,
) -> None:
    """Fit on one week, score the week after next; or compare ways of training on windows before."""
    if choose == (train_start is not None):
        raise BenchError("nothing to do, or two things", hint="give --train-start and --scores, or --choose")
    if choose:
        _choose(featurised(data, CHOOSE_BEFORE), data, json)
        return
    if scores is None:
        raise BenchError("the scores have nowhere to go", hint="give --scores FILE")
    start = _day(train_start)
    history = featurised(data, start + timedelta(days=21))
    window = window_of(history, start)
    _check(history, window)
    probability = fitted(history, window, CANDIDATES[CHOSEN])
    scores.parent.mkdir(parents=True, exist_ok=True)
    history.payments[window.test].select("transaction_id", probability=pl.Series(probability)).write_parquet(scores)
    console.print(f"{window.test.size:,} payments scored, in {scores}")
    is_fraud = history.payments["is_fraud"].to_numpy()
    result = _result("handbook_week", data, {"train_start": str(start), "candidate": CHOSEN}) | {
        "payments": int(window.counted.size),
        "frauds": int(is_fraud[window.counted].sum()),
        "figures": {
            name: round(value, 4) for name, value in figures_of(history, window, probability)._asdict().items()
        },
    }
    result["command"] = result["command"].replace(str(scores), scores.name)
    show(result)
    write(result, json)


def featurised(data: Path, end: date) -> History:
    """All payments before a day, through the engine, verdicts seven days late."""
    payments, labels = handbook.convert(handbook.read(data), DELAY_MS)
    payments = payments.filter(pl.col("event_time") < (end - date(1970, 1, 1)).days * DAY_MS)
    with progress("computing features", payments.height) as advance:
        return featurise(payments, labels, progress=advance)


def fitted(history: History, window: Window, candidate: Candidate) -> NDArray[np.float32]:
    """Probabilities of the test week (n,) by a model fitted on the training week, all of whose verdicts are known."""
    unused = [i for i, name in enumerate(FEATURE_NAMES) if name not in candidate.features]
    train, test = history.features[window.train], history.features[window.test]
    train[:, unused] = test[:, unused] = np.nan
    is_fraud = history.payments["is_fraud"].to_numpy()[window.train]
    sample = Sample(train, np.arange(window.train.size), is_fraud)
    booster = grow(prepare(Samples(sample, sample), candidate.settings), candidate.settings)
    probability: NDArray[np.float32] = booster.inplace_predict(test)
    return probability


def _choose(history: History, data: Path, json: Path | None) -> None:
    starts = [
        CHOOSE_FROM + timedelta(weeks=week)
        for week in range(52)
        if CHOOSE_FROM + timedelta(weeks=week, days=21) <= CHOOSE_BEFORE
    ]
    windows = [window_of(history, start) for start in starts]
    for window in windows:
        _check(history, window)
    result = _result("handbook", data, {"windows": [str(start) for start in starts]})
    result |= {"chosen": CHOSEN, "candidates": {}}
    for name, candidate in CANDIDATES.items():
        found = [figures_of(history, window, fitted(history, window, candidate)) for window in windows]
        result["candidates"][name] = {
            figure: round(float(np.mean([getattr(each, figure) for each in found])), 4) for figure in found[0]._fields
        }
        console.print(name, result["candidates"][name])
    show(result)
    write(result, json)


def _result(benchmark: str, data: Path, settings: dict[str, Any]) -> dict[str, Any]:
    result = {"benchmark": benchmark, **environment(settings)}
    return result | {"command": result["command"].replace(str(data), data.name)}


def _check(history: History, window: Window) -> None:
    """Raises BenchError for a window that the file does not hold, or that nothing can be learned from."""
    is_fraud = history.payments["is_fraud"].to_numpy()
    if not is_fraud[window.train].any() or not is_fraud[window.counted].any():
        raise BenchError(
            f"the file holds no frauds in the weeks from {window.start} to {window.end}",
            hint="choose --train-start so that the file has three weeks from there",
        )


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        raise BenchError(f"--train-start {text} is no date", hint="write it as 2018-07-25") from None


if __name__ == "__main__":
    run(main)
