"""The payments of a source judged again, given what was decided live: is it the same, and if not, why?

Of a decision are taken the entity risk, the model, and the entry of a list that it names, which all came from outside;
everything else is computed again. Payers' records do not depend on entity risk, so a partition is judged by itself.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.ahead import ahead
from backtest.decided import Frames, Matching, challengers_but, conformed, hits_of, in_shadow, risk_of
from backtest.differences import COMPARED, FAULTS, OF_CHALLENGER, SAME, Digest, of_challengers, reasons
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
    challengers_not_given: dict[str, int]
    """By name and sha256, of how many payments their probabilities were not compared."""
    live_sha256: str
    """Over what was decided about the payments whose model is given: features hash, status, scores, decision, and
    probabilities of the challengers that are given."""
    replayed_sha256: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all of them."""

    partitions: tuple[Partition, ...]
    payments: int
    same: int
    faults: int
    """Payments that came out differently, and nothing known says why."""
    reasons: dict[str, int]
    challengers_not_given: dict[str, int]
    live_sha256: str
    """Over the partitions' hashes."""
    replayed_sha256: str

    @classmethod
    def of(cls, partitions: Sequence[Partition]) -> "Verification":
        """Their sum."""
        counts, not_given = Counter[str](), Counter[str]()
        for each in partitions:
            counts.update(each.reasons)
            not_given.update(each.challengers_not_given)
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
            challengers_not_given=dict(sorted(not_given.items())),
            live_sha256=hashes[0],
            replayed_sha256=hashes[1],
        )


@dataclass(frozen=True)
class Verifier:
    """What a verification needs."""

    source: Source
    decided: Frames
    window: Window
    seats: Mapping[str, Seat]
    """The models that are given, by sha256."""
    tokeniser: Tokeniser
    past: Snapshot | None = None
    """What is known before the first payment."""

    def __call__(self, advance: Callable[[int], None], threads: int) -> tuple[Verification, pl.DataFrame]:
        """What became of every payment; and of those that differ the first, with what was decided live and now."""
        stop = threading.Event()

        def judged(partition: int) -> tuple[Partition, list[pl.DataFrame]]:
            try:
                return self._partition(partition, advance, stop)
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
            try:
                found = list(pool.map(judged, self.source.partitions))
            finally:
                stop.set()  # of Ctrl-C: the pool waits for its threads
        differences = [frame for _, frames in found for frame in frames]
        told = pl.concat(differences, how="diagonal") if differences else pl.DataFrame()
        return Verification.of([part for part, _ in found]), told

    def _partition(
        self, partition: int, advance: Callable[[int], None], stop: threading.Event
    ) -> tuple[Partition, list[pl.DataFrame]]:
        """What became of one partition, up to where it was told to stop."""
        decisions = ahead(lambda: self.decided(partition), DEPTH, f"decided-{partition}")
        matching, counts, differences = Matching(decisions), Counter[str](), list[pl.DataFrame]()
        hashes, not_given, models = (Digest(), Digest()), Counter[str](), list(self.seats)
        try:
            for live, replayed, why in self._judged(partition, matching, advance):
                if stop.is_set():
                    break
                counts.update(dict(why.value_counts().iter_rows()))
                compared = live["model"].is_in(models).fill_null(False)
                for decided, digest in zip((live, replayed), hashes, strict=True):
                    digest.update(decided.filter(compared))
                not_given.update(challengers_but(live, models))
                if room := MOST_DIFFERENCES - sum(map(len, differences)):
                    differences.append(_side_by_side(partition, live, replayed, why).head(room))
            without = matching.without_payment + matching.left()
        finally:
            decisions.close()
        about = Partition(
            partition=partition,
            payments=counts.total(),
            reasons=dict(counts.most_common()),
            repeats=matching.repeats,
            without_payment=without,
            challengers_not_given=dict(sorted(not_given.items())),
            live_sha256=hashes[0].hexdigest(),
            replayed_sha256=hashes[1].hexdigest(),
        )
        return about, differences

    def _judged(
        self, partition: int, matching: Matching, advance: Callable[[int], None]
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.Series]]:
        """Payments of the window as they were decided live and as they are now, and why they differ."""
        passage = self.past.passage(self.tokeniser, (partition,)) if self.past else Passage(self.tokeniser)
        policies = {seat.decider.version for seat in self.seats.values()}
        whole = self.source.whole(partition)
        for slab in self.source.read(partition, None, advance):
            if len(slab):
                live = matching.of(slab.offsets)
                features, status = passage.step_given(slab.batch, risk_of(live))
                live, replayed = self._in_shadow(live, self._decided_now(live, features, status), features)
                why = reasons(live, replayed, self.seats, policies, whole=whole)
                inside = pl.Series(self.window.holds(event_times(slab.batch.rows)))
                yield live.filter(inside), replayed.filter(inside), why.filter(inside)

    def _decided_now(self, live: pl.DataFrame, features: Matrix, status: NDArray[np.uint8]) -> pl.DataFrame:
        """`COMPARED` of payments (n,), each judged by the model that judged it live; nulls where it is not given."""
        hashes, hits, sha256 = fingerprints(features), hits_of(live), live["model"]
        parts = []
        for model, seat in (*self.seats.items(), (None, None)):
            mine = sha256 == model if model else ~sha256.is_in(list(self.seats)).fill_null(False)
            rows = np.flatnonzero(mine.fill_null(False).to_numpy())
            if not rows.size:
                continue
            frame = pl.DataFrame({"row": rows, "features_hash": hashes[rows], "status": status[rows]})
            if seat is not None:
                frame = frame.with_columns(seat.judged(features[rows], status[rows], hits[rows]))
            parts.append(frame)
        return conformed(pl.concat(parts, how="diagonal").sort("row"), COMPARED)

    def _in_shadow(
        self, live: pl.DataFrame, replayed: pl.DataFrame, features: Matrix
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Both with the probabilities of each model that is given and was a challenger of some of the payments (n,)."""
        for model, seat in self.seats.items():
            shadow, name = in_shadow(live, model), OF_CHALLENGER + seat.judge.name
            rows = shadow["there"].arg_true()
            if len(rows):
                now = pl.repeat(None, live.height, dtype=pl.Float32(), eager=True)
                now = now.scatter(rows, seat.scorer.score(features[rows.to_numpy()]).probability)
                live = live.with_columns(shadow["probability"].alias(name))
                replayed = replayed.with_columns(now.alias(name))
        return live, replayed


def _side_by_side(partition: int, live: pl.DataFrame, replayed: pl.DataFrame, why: pl.Series) -> pl.DataFrame:
    """Payments that differ: where they stand, why, and what was decided live and now."""
    now = replayed.select(pl.all().name.suffix("_now"))
    compared = (*COMPARED, *of_challengers(live))
    frame = live.select("transaction_id", "offset", "model", "policy_version", *compared).hstack(now.get_columns())
    return frame.with_columns(pl.lit(partition).alias("partition"), why.alias("reason")).filter(why != SAME)
