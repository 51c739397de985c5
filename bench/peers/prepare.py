"""The reduced job's model, threshold and expected alerts, made once and kept beside the payments.

The model learns from the features that our compiled code gives for the history, over which it agrees with the plain
Python (tests/bench/test_peers.py). What is expected of a participant comes from the plain Python alone.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.peers import features, reference
from bench.world import World, made
from fraudstream.progress import progress
from models.arena import GrowingArena
from schemas.history import read_transactions, scan_labels

TREES, DEPTH, LEARNING_RATE = 200, 5, 0.1
FLAGGED_SHARE = 0.007
NEAR = 0.1
"""How far from that share, as a part of it, the threshold may lie: it takes the widest gap there is between two scores,
so that no rounding moves one across it."""
CHUNK = 50_000
FIELDS = ("transaction_id", "payer", *features.NUMBERS, *features.DIGESTS, "payee_type")


@dataclass(frozen=True)
class Expected:
    """What is to come out."""

    model: Path
    threshold: float
    scores: dict[str, float]
    """By transaction id, the score of every payment due an alert."""


def expected(world: World) -> Expected:
    """From the cache, or made now."""
    home = world.payments.parent / f"reduced-{_code()}"
    model, scored = home / "model.json", home / f"{world.payments.name}.parquet"
    made(model, lambda at: _train(world.history, at))
    made(scored, lambda at: _score(world, model).write_parquet(at))
    flagged, threshold = flag(pl.read_parquet(scored))
    scores = dict(zip(flagged["id"].to_list(), flagged["score"].to_list(), strict=True))
    return Expected(model, threshold, scores)


def flag(scored: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """The payments (id, score) due an alert, and the threshold, in the widest gap near the share to be flagged."""
    ordered = np.sort(scored["score"].to_numpy())[::-1]
    wanted = FLAGGED_SHARE * len(ordered)
    near = ordered[int(wanted * (1 - NEAR)) : int(wanted * (1 + NEAR)) + 2]
    gap = int(np.argmax(near[:-1] - near[1:]))
    threshold = float(near[gap] + near[gap + 1]) / 2
    return scored.filter(pl.col("score") >= threshold), threshold


def _code() -> str:
    """Names the version of what decides the outcome."""
    digest = hashlib.sha256()
    for module in (features, reference):
        digest.update(Path(module.__file__ or "").read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:12]


def _train(history: Path, out: Path) -> None:
    import xgboost

    arena = GrowingArena(features.RECORD, width=8)
    parts: list[NDArray[np.float32]] = []
    payments = pl.concat([frame.select(FIELDS) for frame in read_transactions(history)])
    with progress("learning the reduced job", payments.height) as advance:
        for part in payments.iter_slices(CHUNK):
            rows = features.rows_of([features.Payment(**each) for each in part.iter_rows(named=True)])
            at = arena.rows(part["payer"].hash(0).to_numpy().view(np.uint8).reshape(-1, 8))
            parts.append(features.judge(rows, arena.records, at))
            advance(part.height)
    known = scan_labels(history).filter(pl.col("is_fraud") & (pl.col("known_at") <= payments["event_time"].max()))
    fraud = payments["transaction_id"].is_in(known.collect()["transaction_id"].implode()).to_numpy()
    model = xgboost.XGBClassifier(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=LEARNING_RATE, tree_method="hist", random_state=1
    )
    model.fit(np.concatenate(parts), fraud)
    model.get_booster().save_model(out)


def _score(world: World, model: Path) -> pl.DataFrame:
    """id and score of every payment, by the plain Python."""
    import xgboost

    booster = xgboost.Booster(model_file=model)
    records: dict[str, reference.Record] = {}
    parts = []
    with progress("judging in plain Python", world.count) as advance:
        for part in _slices(world):
            matrix = np.array([_judged(payment, records) for payment in part.iter_rows(named=True)], dtype=np.float32)
            scores = booster.inplace_predict(matrix)
            parts.append(pl.DataFrame({"id": part["transaction_id"], "score": scores.astype(np.float64)}))
            advance(part.height)
    return pl.concat(parts)


def _slices(world: World) -> Iterator[pl.DataFrame]:
    for frame in world.frames():
        yield from frame.select(FIELDS).iter_slices(CHUNK)


def _judged(payment: dict[str, Any], records: dict[str, reference.Record]) -> list[float]:
    record = records.setdefault(payment["payer"], reference.new_record())
    return reference.judge(payment, record)
