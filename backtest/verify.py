"""The payments of a source judged again, given what was decided live: is it the same, and if not, why?

Of a decision are taken the entity risk, the model, and the entry of a list that it names, which all came from outside;
everything else is computed again. Payers' records do not depend on entity risk, so a partition is judged by itself.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.ahead import ahead
from backtest.decided import Frames, Matching, conformed, hits_of, risk_of
from backtest.differences import COMPARED, FAULTS, SAME, as_bytes, reasons
from backtest.judges import Seat
from backtest.snapshot import Snapshot
from backtest.source import Source, Window, event_times
from models.fingerprint import fingerprints
from models.forest import Matrix
from models.passage import Passage
from models.tokens import Tokeniser

DEPTH = 2
MOST_DIFFERENCES = 1_000
"""Kept of a partition."""


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one partition."""

    partition: int
    payments: int
    reasons: dict[str, int]
    """By reason, see `backtest.differences`, how many payments."""
    repeats: int
    """Decisions about payments that had been decided before."""
    without_payment: int
    """Decisions about payments that are not in the window, or not on the topic any more."""
    live_sha256: str
    """Over what was decided about the payments whose model is given: features hash, status, scores, decision."""
    replayed_sha256: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all of them."""

    partitions: tuple[Partition, ...]
    payments: int
    same: int
    faults: int
    """Payments that came out differently, and nothing known says why."""
    reasons: dict[str, int]
    live_sha256: str
    """Over the partitions' hashes."""
    replayed_sha256: str

    @classmethod
    def of(cls, partitions: Sequence[Partition]) -> "Verification":
        """Their sum."""
        counts: Counter[str] = Counter()
        for each in partitions:
            counts.update(each.reasons)
        hashes = [
            hashlib.sha256("".join(getattr(each, name) for each in partitions).encode()).hexdigest()
            for name in ("live_sha256", "replayed_sha256")
        ]
        return cls(
            partitions=tuple(partitions),
            payments=counts.total(),
            same=counts[SAME],
            faults=sum(counts[name] for name in FAULTS),
            reasons=dict(counts.most_common()),
            live_sha256=hashes[0],
            replayed_sha256=hashes[1],
        )


@dataclass(frozen=True)
class Verifier:
    """What a verification needs."""

    source: Source
    decided: Frames
    window: Window
    seats: Sequence[Seat]
    tokeniser: Tokeniser
    past: Snapshot | None = None
    """What is known before the first payment."""

    def __call__(self, advance: Callable[[int], None], threads: int) -> tuple[Verification, pl.DataFrame]:
        """What became of every payment; and of those that differ the first, with what was decided live and now."""
        with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
            found = list(pool.map(lambda partition: self._partition(partition, advance), self.source.partitions))
        differences = [frame for _, frames in found for frame in frames]
        return Verification.of([part for part, _ in found]), pl.concat(differences) if differences else pl.DataFrame()

    def _partition(self, partition: int, advance: Callable[[int], None]) -> tuple[Partition, list[pl.DataFrame]]:
        decisions = ahead(lambda: self.decided(partition), DEPTH, f"decided-{partition}")
        matching, counts, differences = Matching(decisions), Counter[str](), list[pl.DataFrame]()
        hashes = hashlib.sha256(), hashlib.sha256()
        models = [seat.judge.sha256 for seat in self.seats]
        try:
            for live, replayed, why in self._judged(partition, matching, advance):
                counts.update(dict(why.value_counts().iter_rows()))
                compared = live["model"].is_in(models).fill_null(False)
                for decided, digest in zip((live, replayed), hashes, strict=True):
                    digest.update(as_bytes(decided.filter(compared)))
                if sum(map(len, differences)) < MOST_DIFFERENCES:
                    differences.append(_side_by_side(partition, live, replayed, why).head(MOST_DIFFERENCES))
            without = matching.without_payment + matching.left()
        finally:
            decisions.close()
        about = Partition(
            partition=partition,
            payments=counts.total(),
            reasons=dict(counts.most_common()),
            repeats=matching.repeats,
            without_payment=without,
            live_sha256=hashes[0].hexdigest(),
            replayed_sha256=hashes[1].hexdigest(),
        )
        return about, differences

    def _judged(
        self, partition: int, matching: Matching, advance: Callable[[int], None]
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.Series]]:
        """Payments of the window as they were decided live and as they are now, and why they differ."""
        passage = self.past.passage(self.tokeniser, (partition,)) if self.past else Passage(self.tokeniser)
        models = [seat.judge.sha256 for seat in self.seats]
        policies = [seat.decider.version for seat in self.seats]
        whole = self.source.whole(partition)
        for slab in self.source.read(partition, None, advance):
            if len(slab):
                live = matching.of(slab.offsets)
                features, status = passage.step_given(slab.batch, risk_of(live))
                replayed = self._decided_now(live, features, status)
                why = reasons(live, replayed, models, policies, whole=whole)
                inside = pl.Series(event_times(slab.batch.rows) >= (self.window.start or 0))
                yield live.filter(inside), replayed.filter(inside), why.filter(inside)

    def _decided_now(self, live: pl.DataFrame, features: Matrix, status: NDArray[np.uint8]) -> pl.DataFrame:
        """`COMPARED` of payments (n,), each judged by the model that judged it live; nulls where it is not given."""
        hashes, hits, sha256 = fingerprints(features), hits_of(live), live["model"]
        parts = []
        for seat in (*self.seats, None):
            given = [each.judge.sha256 for each in self.seats]
            mine = sha256 == seat.judge.sha256 if seat else ~sha256.is_in(given).fill_null(False)
            rows = np.flatnonzero(mine.fill_null(False).to_numpy())
            if not rows.size:
                continue
            frame = pl.DataFrame({"row": rows, "features_hash": hashes[rows], "status": status[rows]})
            if seat is not None:
                frame = frame.with_columns(seat.judged(features[rows], status[rows], hits[rows]))
            parts.append(frame)
        return conformed(pl.concat(parts, how="diagonal").sort("row"), COMPARED)


def _side_by_side(partition: int, live: pl.DataFrame, replayed: pl.DataFrame, why: pl.Series) -> pl.DataFrame:
    """Payments that differ: where they stand, why, and what was decided live and now."""
    now = replayed.select(pl.all().name.suffix("_now"))
    frame = live.select("transaction_id", "offset", "model", "policy_version", *COMPARED).hstack(now.get_columns())
    return frame.with_columns(pl.lit(partition).alias("partition"), why.alias("reason")).filter(why != SAME)
