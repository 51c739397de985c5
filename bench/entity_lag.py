"""How far entity features differ between a live worker and an offline replay of the same payments and verdicts.

    python -m bench.entity_lag --json bench/results/entity_lag.json

Entity risk travels: from the scoring agent over a topic to the entities agent, and over another one back. A payment is
judged with what has arrived by then, which depends on how busy everything is. Offline (training, replay) a payment
sees what the chunks of payments before its own have led to. So one history is published at a rate to a real worker,
each verdict when it became known, and what the worker used is compared with what offline features hold: feature by
feature, and in what it does to scores and alerts. Features that follow from payment and payer must not differ at all.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer

from bench import options
from bench.backlog import drain
from bench.entity_difference import compare_features, compare_scores
from bench.environment import environment
from bench.errors import BenchError, run
from bench.model.worlds import simulate
from bench.place import Place, Progress, broker, fresh_place
from bench.readback import decisions
from bench.rejudge import judged_again, source_of
from bench.replay import until_committed
from bench.results import write
from bench.tables import show
from bench.verdicts import publish_with_verdicts
from bench.worker import WorkerProcess
from bench.world import fraudstream
from fraudstream.progress import progress
from models.bundle import Bundle, write_bundle
from models.catalogue import FEATURE_NAMES
from models.engine import RISK
from models.fingerprint import fingerprints
from models.forest import Matrix
from models.history import History, featurise
from models.scoring import Scorer
from models.tokens import Tokeniser
from models.training import Settings, train
from simulator.config import SimulationConfig
from stream.local_broker import LocalBroker

RATES = (500.0, 2_000.0, 8_000.0)
COLUMNS = ("transaction_id", "features_hash", "probability", "score", "risk_")
ENTITY_FEATURES = tuple(name for name in RISK.names or () if name in FEATURE_NAMES)


def main(
    payments: options.Payments = 200_000,
    payers: options.Payers = 10_000,
    rate: Annotated[list[float] | None, typer.Option(min=1, help="Payments a second; may be repeated.")] = None,
    fraud_rate: Annotated[float, typer.Option(min=0.0005, max=0.2, help="Share of fraudulent payments.")] = 0.003,
    seed: options.Seed = 1,
    json: options.Json = None,
) -> None:
    """Publish a simulated history at each rate, and compare the worker's entity features with offline ones."""
    config = SimulationConfig(payments, payers, fraud_rate=fraud_rate, seed=seed)
    rates = rate or list(RATES)
    settings = {"payments": payments, "payers": payers, "days": config.days, "fraud_rate": fraud_rate, "seed": seed}
    result: dict[str, Any] = {"benchmark": "entity_lag", **environment(settings | {"rates": rates})}
    sent, labels = simulate(config)
    sent = sent.sort("event_time", "transaction_id")
    with progress("computing features offline", sent.height) as advance:
        offline = featurise(sent, labels, progress=advance)
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home, broker() as running:
        bundle = _trained(offline, Path(home) / "model", seed)
        fraudstream("config", "new-token-key", "--out", Path(home) / "token.key")
        result["runs"] = []
        for each in rates:
            result["runs"].append(one_rate(running, Path(home), bundle, (sent, labels, offline), each))
    show(result)
    write(result, json)
    if wrong := sum(figures["features"]["any_other_feature_differs"] for figures in result["runs"]):
        raise BenchError(f"{wrong:,} payments differ in features of payment and payer", hint="that must never be")


def one_rate(
    running: LocalBroker, home: Path, bundle: Bundle, history: tuple[pl.DataFrame, pl.DataFrame, History], rate: float
) -> dict[str, Any]:
    """One live run over payments and labels; `history` also holds their offline features. Returns its figures."""
    sent, labels, offline = history
    state = home / f"rate-{rate:g}"
    state.mkdir()
    tokeniser = Tokeniser.load(home / "token.key")
    given = {"model": bundle.path, "token-key-file": home / "token.key"}
    with fresh_place(running, f"rate{rate:g}") as place:
        with WorkerProcess(place, state, given) as worker:
            worker.wait_until_ready()
            published, told = publish_with_verdicts(place, sent, labels, rate)
            scoring = Progress(place, "scoring", place.topics.transactions)
            try:
                lag_at_end = scoring.lag()
                until_committed(worker, scoring, sent.height)
            finally:
                scoring.close()
            drain(place, worker, "entities", place.topics.entity_activity)
        live = live_features(place, tokeniser, sent)
    days = float(np.ptp(sent["event_time"].to_numpy())) / 86_400_000
    return {
        "rate": rate,
        "seconds": round(published.seconds, 1),
        "late": published.late,
        "lag_at_end": lag_at_end,
        "verdicts": told,
        "world_minutes_a_second": round(days * 1440 / published.seconds, 1),
        "features": compare_features(live.features, offline.features, ENTITY_FEATURES),
        "scores": _scores(live, offline, bundle),
    }


@dataclass(frozen=True)
class Live:
    """What a worker computed, in the order of the offline history."""

    features: Matrix
    """(n, 85)"""
    judged: pl.DataFrame
    """Its decisions."""


def live_features(place: Place, tokeniser: Tokeniser, sent: pl.DataFrame) -> Live:
    """Features with the entity risk that each decision recorded, recomputed from the topic's bytes.

    Raises BenchError unless each payment was decided once, with just these features by their fingerprint.
    """
    decided = decisions(place, *COLUMNS)
    if decided.height != sent.height or decided["transaction_id"].n_unique() != sent.height:
        raise BenchError(f"{decided.height:,} decisions about {sent.height:,} payments")
    parts = list(judged_again(source_of(place), decided, tokeniser))
    matrix = np.concatenate([features for _, _, features in parts])
    positions = pl.concat(
        [pl.DataFrame({"partition": partition, "offset": offsets}) for partition, offsets, _ in parts]
    ).with_columns(pl.col("partition").cast(pl.Int32))
    judged = positions.with_columns(again=pl.Series(fingerprints(matrix))).join(
        decided, on=["partition", "offset"], how="left", maintain_order="left"
    )
    if wrong := int(judged["again"].ne_missing(judged["features_hash"]).sum()):
        raise BenchError(f"{wrong:,} payments judged again have other features", hint="run bench.determinism")
    order = judged.with_row_index("row").select("row", "transaction_id")
    rows = sent.select("transaction_id").join(order, on="transaction_id", how="left", maintain_order="left")["row"]
    return Live(matrix[rows.to_numpy()], judged[rows])


def _scores(live: Live, offline: History, bundle: Bundle) -> dict[str, Any]:
    """Over the payments that the model was not trained on."""
    scorer = Scorer(bundle)
    test = np.flatnonzero(offline.payments["event_time"].to_numpy() >= bundle.manifest.cutoff)
    scores = scorer.score(offline.features[test])
    judged = live.judged[test]
    threshold = bundle.manifest.alert_score
    return compare_scores(
        judged["probability"].to_numpy(),
        scores.probability,
        judged["score"].to_numpy() >= threshold,
        scores.score >= threshold,
        offline.payments["is_fraud"].to_numpy()[test],
    )


def _trained(history: History, at: Path, seed: int) -> Bundle:
    with progress("training", None):
        trained = train(history, Settings(name="entity-lag", seed=seed), created_at=time.time_ns() // 1_000_000)
    return write_bundle(at, trained.manifest, trained.model)


if __name__ == "__main__":
    run(main)
