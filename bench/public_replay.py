"""Public data through `fraudstream backtest`: the Fraud Detection Handbook's card payments, verdicts 7, 3, 1 days late.

    python -m bench.public_replay --file payments.parquet --json bench/results/public_replay.json
    python -m bench.public_replay --file payments.parquet --choose --json bench/results/public_replay_choice.json

For each delay the product's own commands, each a process: import, training on April to June by the verdicts known on
1 July (nothing later is read), and a replay from 1 May to 14 August with April as the payers' past. Figures are over
all payments of a period, no card removed.

The second shows how the options of training were chosen: every candidate learns from April and May by the verdicts
known on 1 June and is measured on what follows, up to 7 August. What is tested, 8 to 14 August, is not read.
The data set (github.com/Fraud-Detection-Handbook/simulated-data-raw) is one Parquet or CSV file; it is not part of
this repository.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from backtest.result import Result
from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.processes import Spent
from bench.public_caught import caught
from bench.quality import quality
from bench.results import console, write
from bench.tables import show
from bench.world import fraudstream
from fraudstream.times import epoch_ms
from models.bundle import Bundle

DELAYS = ("7d", "3d", "1d")
CUTOFF, START, END = "2018-07-01", "2018-05-01", "2018-08-15"
TESTED = "8 to 14 August, tested"
PERIODS = {
    "May, trained on": (START, "2018-06-01"),
    "June, trained on": ("2018-06-01", CUTOFF),
    "July": (CUTOFF, "2018-08-01"),
    "1 to 7 August": ("2018-08-01", "2018-08-08"),
    TESTED: ("2018-08-08", END),
}
CHOICE_CUTOFF, CHOICE_END = "2018-06-01", "2018-08-08"
FIGURES = ("auc", "average_precision", "recall_at_fpr_0.013")

_FEW = ("--no-early-stopping", "--trees", "300", "--depth", "4", "--param", "colsample_bytree=0.5")
_MORE = (*_FEW, "--validation", "0.05")
CANDIDATES: dict[str, tuple[str, ...]] = {
    "the defaults": (),
    "300 trees of depth 4, half of the features": _FEW,
    "the same, 5 % for validation": _MORE,
    "the same, risk not held monotone": (*_MORE, "--no-constraints"),
    "the same as the third, from 15 April": (*_MORE, "--from", "2018-04-15"),
}
"""Options of `fraudstream train` by what they mean."""
CHOSEN = "the same, 5 % for validation"
ALWAYS = ("--no-second-opinion", "--no-report", "--seed", "1")


def main(
    file: Annotated[Path, typer.Option(help="The Handbook's payments: one Parquet or CSV file.")],
    choose: Annotated[bool, typer.Option("--choose", help="Compare ways of training on earlier payments.")] = False,
    json: options.Json = None,
) -> None:
    """Import, train and replay with each label delay; or compare ways of training."""
    if not file.is_file():
        raise BenchError(
            f"there is no file {file}",
            hint="fetch the data of github.com/Fraud-Detection-Handbook/simulated-data-raw and give it as one file",
        )
    if choose:
        name, settings, measure = "public_replay_choice", {"cutoff": CHOICE_CUTOFF, "end": CHOICE_END}, _choice
    else:
        name, settings, measure = (
            "public_replay",
            {"cutoff": CUTOFF, "from": START, "to": END, "tested": TESTED},
            _replays,
        )
    taken = environment({**settings, "chosen": CHOSEN, "train": [*ALWAYS, *CANDIDATES[CHOSEN]]})
    taken["command"] = taken["command"].replace(str(file), file.name)
    with tempfile.TemporaryDirectory(prefix="fraudstream-public-") as home:
        result = {"benchmark": name, **taken, **measure(file.resolve(), Path(home))}
    show(result)
    write(result, json)


def _replays(file: Path, home: Path) -> dict[str, Any]:
    return {"delays": {delay: _replay(file, home / delay, delay) for delay in DELAYS}}


def _replay(file: Path, home: Path, delay: str) -> dict[str, Any]:
    data, model, out = _imported(file, home, delay), home / "model", home / "replay"
    trained = _train(data, model, delay, CUTOFF, CUTOFF, CHOSEN)
    window = ("--from", START, "--to", END, "--label-delay", delay)
    spent = fraudstream("backtest", "--data", data, "--model", model, "--out", out, *window)
    replayed = Result.open(out).run
    payments = replayed.payments + replayed.warm_up_payments
    return {
        "train_s": trained.seconds,
        "payments": replayed.payments,
        "warm_up_payments": replayed.warm_up_payments,
        "seconds": replayed.seconds,
        "rate": round(payments / replayed.seconds),
        "wall_s": spent.seconds,
        "cpu_s": spent.cpu_s,
        "peak_rss_mib": spent.peak_rss_mib,
        **_judged(out),
    }


def _judged(replay: Path) -> dict[str, Any]:
    """Figures of a replay's scores."""
    columns = ("event_time", "payer", "payee", "probability", "flagged", "is_fraud", "kind", "known_at")
    scored = Result.open(replay).scores().select(columns).collect()
    periods = {name: (epoch_ms(start), epoch_ms(end)) for name, (start, end) in PERIODS.items()}
    return {"periods": quality(scored, periods), "caught": caught(scored, *periods[TESTED])}


def _choice(file: Path, home: Path) -> dict[str, Any]:
    candidates: dict[str, dict[str, dict[str, float]]] = {name: {} for name in CANDIDATES}
    for delay in DELAYS:
        data = _imported(file, home / delay, delay)
        for name, found in candidates.items():
            model = home / delay / "model"
            _train(data, model, delay, CHOICE_CUTOFF, CHOICE_END, name)
            metrics = Bundle.load(model).manifest.metrics
            found[delay] = {figure: round(metrics[figure] or 0.0, 4) for figure in FIGURES}
            console.print(delay, name, found[delay])
    return {"candidates": candidates}


def _imported(file: Path, home: Path, delay: str) -> Path:
    fraudstream("import", "handbook", file, "--out", home / "history", "--label-delay", delay)
    return home / "history"


def _train(data: Path, model: Path, delay: str, cutoff: str, end: str, candidate: str) -> Spent:
    times = ("--label-delay", delay, "--train-to", cutoff, "--to", end)
    return fraudstream("train", "--data", data, "--out", model, "--overwrite", *times, *ALWAYS, *CANDIDATES[candidate])


if __name__ == "__main__":
    run(main)
