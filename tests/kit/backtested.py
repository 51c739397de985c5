"""Finished backtests: a dozen payments by hand, or simulated ones that real models judged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from backtest.result import FEATURES, JUDGED, RUN, SCORED, SCORES, Judge, Result, Run
from models.batch import from_frame
from models.bundle import Bundle, write_bundle
from models.catalogue import FEATURE_NAMES
from models.contrast import ContrastSettings
from models.history import History, featurise
from models.policy import DECIDED_BY, Decider, Policy
from models.scoring import Scorer
from models.tokens import Tokeniser
from models.training import Settings, train
from schemas.history import HistoryWriter, scan_labels, scan_transactions
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

START = 1_760_054_400_000
"""2025-10-10 00:00 UTC, epoch ms."""
TOKENISER = Tokeniser(b"k" * 32)
CHAMPION = Judge(
    name="champion", champion=True, bundle="none", model="old", sha256="0" * 64, threshold=600, second_threshold=None
)
CANDIDATE = Judge(
    name="new", champion=False, bundle="none", model="new", sha256="1" * 64, threshold=500, second_threshold=None
)


def by_hand(
    directory: Path,
    payments: Sequence[Mapping[str, Any]],
    judges: Sequence[Judge] = (CHAMPION, CANDIDATE),
    **run: Any,
) -> Result:
    """A backtest of payments of ₹1,000; what of them is not given is honest, unlisted, and scored 0."""
    plain: dict[str, Any] = {"partition": 0, "amount": 100_000, "payee": 1, "device": 1, "sim": 1, "status": 0}
    plain |= {"is_fraud": False, "kind": "", "known_at": None}
    for judge in judges:
        verdict = {"probability": 0.0, "score": 0, "flagged": None, "decided_by": "model", "rule": None}
        plain |= {judge.column(name): value for name, value in {**verdict, "second_score": None}.items()}
    rows = []
    for i, given in enumerate(payments):
        row = plain | {"transaction_id": f"t{i}", "offset": i, "event_time": START + 60_000 * i, "payer": i} | given
        for judge in judges:
            if row[judge.column("flagged")] is None:
                row[judge.column("flagged")] = row[judge.column("score")] >= judge.threshold
        rows.append(row)
    schema = SCORED | {judge.column(name): of for judge in judges for name, of in JUDGED.items()}
    return write_result(directory, pl.DataFrame(rows, schema=schema), judges, **run)


def write_result(directory: Path, scores: pl.DataFrame, judges: Sequence[Judge], **run: Any) -> Result:
    """The files of a backtest."""
    directory.mkdir(parents=True)
    scores.write_parquet(directory / SCORES)
    facts: dict[str, Any] = {
        "command": "fraudstream backtest --model old --candidate new --data history --out result",
        "created_at": START,
        "source": "the directory history",
        "start": None,
        "end": None,
        "warm_up_ms": 0,
        "label_delay_ms": None,
        "policy_version": Policy().version,
        "judges": tuple(judges),
        "payments": scores.height,
        "warm_up_payments": 0,
        "frauds": int(scores["is_fraud"].sum()),
        "unreadable": 0,
        "seconds": 1.0,
    }
    (directory / RUN).write_bytes(msgspec.json.encode(Run(**facts | run)))
    return Result.open(directory)


def simulated(directory: Path, payments: int = 30_000, seed: int = 4) -> Result:
    """Simulated payments, and what a champion of few trees and a candidate of more say of those it never learned from.

    Leaves the bundles `champion` and `new` and the backtest `result` in the directory, features kept.
    """
    with HistoryWriter(directory / "history") as writer:
        for slot in Simulation(SimulationConfig(payments, payments // 20, fraud_rate=0.02, seed=seed)).history():
            writer.write(slot.payments, slot.labels)
    transactions = scan_transactions(directory / "history").collect().sort("event_time", "transaction_id")
    history = featurise(transactions, scan_labels(directory / "history").collect(), tokeniser=TOKENISER)
    bundles = [
        _trained(history, directory / name, trees, second)
        for name, trees, second in (("champion", 8, None), ("new", 80, ContrastSettings()))
    ]
    start = bundles[0].manifest.cutoff
    rows = np.flatnonzero(history.payments["event_time"].to_numpy() >= start)
    tokens = from_frame(transactions[rows], TOKENISER).rows
    columns = {name: tokens[name] for name in ("payer", "payee", "device", "sim")}
    scores = history.payments[rows].drop("payer", "payee")
    scores = scores.with_columns(pl.lit(0).alias("partition"), pl.Series("offset", rows), **columns)
    scores = scores.with_columns(status=history.status[rows])
    judges = []
    for bundle in bundles:
        judge, said = judged(bundle, history.features[rows], history.status[rows])
        judges.append(judge)
        scores = scores.with_columns(**said)
    schema = SCORED | {judge.column(name): of for judge in judges for name, of in JUDGED.items()}
    result = write_result(
        directory / "result", scores.select(*schema).cast(schema), judges, start=start, policy=Policy()  # type: ignore[arg-type]  # names and types
    )  # fmt: skip
    (result.directory / FEATURES).mkdir()
    for part, piece in enumerate(np.array_split(history.features[rows], 3)):
        pl.DataFrame(piece, schema=list(FEATURE_NAMES)).write_parquet(result.directory / FEATURES / f"{part}.parquet")
    return result


def judged(bundle: Bundle, features: Any, status: Any, policy: Policy | None = None) -> tuple[Judge, dict[str, Any]]:
    """What a bundle says of payments, as columns of the scores."""
    scorer, decider = Scorer(bundle), Decider(policy or Policy(), bundle.manifest)
    name = bundle.path.name
    judge = Judge(
        name=name,
        champion=name == "champion",
        bundle=str(bundle.path),
        model=bundle.manifest.name,
        sha256=bundle.sha256,
        threshold=decider.alert_score,
        second_threshold=decider.second_score,
    )
    scores, second = scorer.score(features), scorer.second_score(features)
    decisions = decider.decide(scores.score, features, status, None, second)
    said = {
        "probability": scores.probability,
        "score": scores.score,
        "flagged": decisions.flagged,
        "decided_by": pl.Series([DECIDED_BY[code] for code in decisions.decided_by], dtype=pl.Enum(DECIDED_BY)),
        "rule": pl.Series([decider.rule_names[code] for code in decisions.rule], dtype=pl.String),
        "second_score": pl.lit(None, pl.Int16) if second is None else second,
    }
    return judge, {judge.column(what): values for what, values in said.items()}


def _trained(history: History, path: Path, trees: int, second: ContrastSettings | None) -> Bundle:
    settings = Settings(name=path.name, trees=trees, depth=4 if second is None else 6, second_opinion=second)
    made = train(history, settings, created_at=START)
    return write_bundle(path, made.manifest, made.model, made.extra)
