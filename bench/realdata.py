"""Public data through the whole product: the Fraud Detection Handbook's 1.3 million simulated card payments.

    python -m bench.realdata --file payments.parquet --json bench/results/realdata.json

The data set (github.com/Fraud-Detection-Handbook/simulated-data-raw) is not part of this repository: fetch it, and make
one Parquet or CSV file of it. Verdicts become known seven days after a payment. The model learns from July, by what
was known on 8 August; what comes from then on it has not seen. Everything is then published and judged twice: at once,
without verdicts, for the rate; and day by day, with each day's verdicts on the topic `labels`, for the quality.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.place import Place, broker, fresh_place
from bench.quality import quality
from bench.readback import decisions
from bench.replay import publish_all, replay_at_once, replay_by_day
from bench.results import write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import fraudstream
from fraudstream.times import epoch_ms
from schemas.history import scan_labels, scan_transactions
from stream.local_broker import LocalBroker

TRAIN_FROM, TRAIN_TO, CUTOFF = "2018-07-01", "2018-08-01", "2018-08-08"
DELAY = "7d"
END_OF_TIME = 1 << 62
COLUMNS = ("transaction_id", "event_time", "probability", "flagged")


def main(
    file: Annotated[Path, typer.Option(help="The Handbook's payments: one Parquet or CSV file.")],
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Import the Handbook's payments, train on July, and judge all of them through the broker."""
    if not file.is_file():
        raise BenchError(
            f"there is no file {file}",
            hint="fetch the data of github.com/Fraud-Detection-Handbook/simulated-data-raw and give it as one file",
        )
    result: dict[str, Any] = {
        "benchmark": "realdata",
        **environment({"train_from": TRAIN_FROM, "train_to": TRAIN_TO, "cutoff": CUTOFF, "label_delay": DELAY}),
    }
    result["command"] = result["command"].replace(str(file), file.name)
    data, model, token_key = _prepared(file, cache)
    with broker() as running:
        for name, by_day in (("at_once", False), ("by_day", True)):
            result[name] = _run(running, data, {"model": model, "token-key-file": token_key}, by_day)
    show(result)
    write(result, json)


def _prepared(file: Path, cache: Path) -> tuple[Path, Path, Path]:
    """History directory, bundle and token key; the history is kept, the model is always trained anew."""
    with file.open("rb") as content:
        name = hashlib.file_digest(content, "sha256").hexdigest()[:12]
    home = cache.expanduser() / f"handbook-{name}"
    data, model, token_key = home / "history", home / "model", home / "token.key"
    if not (data / "labels.parquet").exists():  # written last
        shutil.rmtree(data, ignore_errors=True)
        fraudstream("import", "handbook", file, "--out", data, "--label-delay", DELAY)
    times = ("--from", TRAIN_FROM, "--train-to", CUTOFF, "--label-delay", DELAY)
    fraudstream("train", "--data", data, "--out", model, "--name", "handbook-july", "--overwrite", *times)
    if not token_key.exists():
        fraudstream("config", "new-token-key", "--out", token_key)
    return data, model, token_key


def _run(running: LocalBroker, data: Path, given: dict[str, object], by_day: bool) -> dict[str, Any]:
    count = int(scan_transactions(data).select(pl.len()).collect().item())
    figures: dict[str, Any] = {"payments_in": count}
    with (
        tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home,
        fresh_place(running, "byday" if by_day else "atonce") as place,
    ):
        if not by_day:
            publish_all(place, data, count)
        with WorkerProcess(place, Path(home), given) as worker:
            if by_day:
                worker.wait_until_ready()
                figures["verdicts"] = replay_by_day(place, worker, data, count)
            else:
                seconds = replay_at_once(place, worker, count)
                figures |= {"seconds": round(seconds, 2), "rate": round(count / seconds)}
            metrics = worker.metrics()
            used = worker.usage()
        assert metrics is not None
        judged = _judged(place, data)
    periods = {
        "everything": (0, END_OF_TIME),
        "trained on (July)": (epoch_ms(TRAIN_FROM), epoch_ms(TRAIN_TO)),
        "after training (from 8 August)": (epoch_ms(CUTOFF), END_OF_TIME),
    }
    return figures | {
        "decided": judged.height,
        "alerts_out": int(metrics.total("alerts_total")),
        "dead_letters": int(metrics.total("dead_letters_total")),
        "failed_steps": int(metrics.total("step_failures_total")),
        "worker_peak_rss_mib": used.peak_rss_mib,
        "periods": quality(judged, periods),
    }


def _judged(place: Place, data: Path) -> pl.DataFrame:
    """Decisions with the payer and the truth. Raises BenchError unless each payment was decided once."""
    decided = decisions(place, *COLUMNS)
    payers = scan_transactions(data).select("transaction_id", "payer").collect()
    labels = scan_labels(data).select("transaction_id", "is_fraud").collect()
    if decided.height != payers.height or decided["transaction_id"].n_unique() != payers.height:
        raise BenchError(f"{decided.height:,} decisions about {payers.height:,} payments")
    return decided.join(payers, on="transaction_id").join(labels, on="transaction_id").sort("event_time")


if __name__ == "__main__":
    run(main)
