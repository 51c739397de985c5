"""The models that are compared, each with its decisions, over the same features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.listed import Lists
from backtest.result import JUDGED, Judge
from backtest.slab import Slab
from models.bundle import Bundle
from models.catalogue import FEATURE_NAMES
from models.forest import Matrix
from models.policy import DECIDED_BY, Decider, Policy
from models.scoring import Scorer


@dataclass(frozen=True)
class Seat:
    """One model, ready to judge."""

    judge: Judge
    scorer: Scorer
    decider: Decider

    def judged(
        self, features: Matrix, status: NDArray[np.uint8], hits: NDArray[np.uint8] | None = None
    ) -> pl.DataFrame:
        """`JUDGED` of payments (n,) with features (n, 85), the engine's status (n,), list bits (n, 4) or None."""
        scores = self.scorer.score(features)
        second = self.scorer.second_score(features)
        decisions = self.decider.decide(scores.score, features, status, hits, second)
        frame = pl.DataFrame(
            {
                "probability": scores.probability,
                "score": scores.score,
                "flagged": decisions.flagged,
                "decided_by": pl.Series(DECIDED_BY).gather(decisions.decided_by),
                "rule": pl.Series(self.decider.rule_names, dtype=pl.String).gather(decisions.rule),
                "second_score": pl.Series(second) if second is not None else pl.repeat(None, len(status), eager=True),
            }
        )
        return frame.cast(JUDGED)  # type: ignore[arg-type]


def seated(champion: Path, candidates: Sequence[Path], policy: Policy) -> tuple[Seat, ...]:
    """The models of these bundles, the champion first. Raises BundleError."""
    names: set[str] = set()
    seats = []
    for place, path in enumerate((champion, *candidates)):
        scorer = Scorer(Bundle.load(path))
        bundle, decider = scorer.bundle, Decider(policy, scorer.bundle.manifest)
        judge = Judge(
            name=_distinct(bundle.manifest.name, names),
            champion=place == 0,
            bundle=str(path),
            model=bundle.manifest.name,
            sha256=bundle.sha256,
            threshold=decider.alert_score,
            second_threshold=decider.second_score,
        )
        seats.append(Seat(judge, scorer, decider))
    return tuple(seats)


def _distinct(model: str, taken: set[str]) -> str:
    """A model's name as letters, digits and underscores, with a number where it is taken."""
    plain = re.sub(r"\W+", "_", model, flags=re.ASCII).strip("_").lower() or "model"
    name = next(name for k in range(1, 1_000) if (name := plain if k == 1 else f"{plain}_{k}") not in taken)
    taken.add(name)
    return name


def scored(
    slab: Slab, features: Matrix, status: NDArray[np.uint8], frauds: pl.DataFrame, seats: Sequence[Seat], lists: Lists
) -> pl.DataFrame:
    """The rows of `backtest.result.SCORED` and every seat's `JUDGED` of a slab; `frauds` see `backtest.verdicts`."""
    rows = slab.batch.rows
    payments = pl.DataFrame(
        {
            "transaction_id": slab.batch.ids,
            "event_time": rows["event_time"].astype(np.int64),
            "partition": slab.partitions,
            "offset": slab.offsets,
            "amount": rows["amount"].astype(np.int64),
            **{name: np.ascontiguousarray(rows[name]) for name in ("payer", "payee", "device", "sim")},
            "status": status,
        }
    ).join(frauds, on="transaction_id", how="left", maintain_order="left")
    known = pl.col("is_fraud").fill_null(False), pl.col("kind").fill_null("")
    payments = payments.with_columns(*known)
    hits = lists.hits(payments) if lists.entries else None
    for seat in seats:
        payments = payments.hstack(seat.judged(features, status, hits).rename(seat.judge.column))
    return payments


def feature_frame(features: Matrix) -> pl.DataFrame:
    """Features (n, 85) as a column each."""
    columns = np.ascontiguousarray(features.T)
    return pl.DataFrame({name: columns[k] for k, name in enumerate(FEATURE_NAMES)})
