"""A run judges as training does, goes on where it stopped, and does not depend on partitions, slabs or luck."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtest import run as running
from backtest.checkpoint import Checkpoint
from backtest.history import HistorySource
from backtest.judges import seated
from backtest.result import FEATURES, SCORES
from backtest.run import Interrupted, Request, Run
from backtest.source import Source, Window
from backtest.verdicts import frauds_of
from models.bundle import Bundle
from models.catalogue import FEATURE_NAMES
from models.history import featurise
from models.policy import Decider, Policy
from models.scoring import Scorer
from schemas.history import scan_labels

Make = Callable[..., Request]
EVERYTHING = Window()


@pytest.fixture
def request_of(world, candidate, tokeniser) -> Make:
    frauds = frauds_of(scan_labels(world.history), None)

    def make(source: Source, window: Window = EVERYTHING, **options: bool) -> Request:
        seats = seated(world.bundle, [candidate], Policy())
        return Request("identity", source, window, seats, frauds, tokeniser, **options)

    return make


def run(request: Request, out: Path, stop: threading.Event | None = None, advance=lambda count: None) -> Run:
    one = Run(request, out, stop or threading.Event(), advance)
    one()
    return one


def rows(out: Path) -> pl.DataFrame:
    """Scores and features, in order of payments."""
    features = pl.concat([pl.read_parquet(part) for part in sorted((out / FEATURES).glob("*.parquet"))])
    return pl.read_parquet(out / SCORES).hstack(features).sort("event_time", "transaction_id")


def test_a_history_comes_out_as_training_and_scoring_would_have_it(world, request_of, tokeniser, tmp_path):
    run(request_of(HistorySource(world.history, tokeniser, Window())), tmp_path)
    found = rows(tmp_path)
    labels = scan_labels(world.history).collect()
    history = featurise(world.payments, labels, tokeniser=tokeniser)
    assert found.select(FEATURE_NAMES).to_numpy().tobytes() == np.ascontiguousarray(history.features).tobytes()
    assert found["status"].to_numpy().tobytes() == history.status.tobytes()
    assert found["transaction_id"].equals(history.payments["transaction_id"])
    assert found["is_fraud"].equals(history.payments["is_fraud"])
    assert found["kind"].equals(history.payments["kind"])
    scorer = Scorer(Bundle.load(world.bundle))
    scores, second = scorer.score(history.features), scorer.second_score(history.features)
    decider = Decider(Policy(), scorer.bundle.manifest)
    decided = decider.decide(scores.score, history.features, history.status, None, second)
    assert found["probability"].to_numpy().tobytes() == scores.probability.tobytes()
    assert found["score"].to_list() == scores.score.tolist()
    assert found["flagged"].to_list() == decided.flagged.tolist()
    assert found["flagged"].any()


def test_partitions_and_slabs_make_no_difference(world, request_of, scripted, tmp_path):
    payments = world.payments
    luck = random.Random(5)
    found = []
    for name, options in {
        "one": {"count": 1},
        "three": {"count": 3, "sizes": lambda: 997},
        "seven": {"count": 7, "sizes": lambda: luck.randint(1, 3_000)},
    }.items():
        # Of one moment, partitions pass in the order of their numbers; no two payments here are of one moment.
        source = scripted(payments.unique("event_time", keep="first", maintain_order=True), **options)
        run(request_of(source), tmp_path / name)
        found.append(rows(tmp_path / name).drop("partition", "offset"))
    assert found[0].equals(found[1], null_equal=True)
    assert found[0].equals(found[2], null_equal=True)


def test_it_goes_on_after_interruptions_as_if_there_were_none(world, request_of, scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("backtest.merge.AT_ONCE", 500)
    run(request_of(scripted(world.payments)), tmp_path / "whole")
    stops = 0
    while True:
        stop, left = threading.Event(), [3_000]

        def advance(count: int, stop=stop, left=left) -> None:
            left[0] -= count
            if left[0] < 0:
                stop.set()

        try:
            done = run(request_of(scripted(world.payments)), tmp_path / "stopped", stop, advance)
            break
        except Interrupted:
            stops += 1
            assert Checkpoint.load(tmp_path / "stopped") is not None
    assert stops > 2
    assert rows(tmp_path / "stopped").equals(rows(tmp_path / "whole"), null_equal=True)
    assert done.counts.payments == world.payments.height
    assert done.counts.frauds == rows(tmp_path / "whole")["is_fraud"].sum()


def test_it_goes_on_after_a_death_between_checkpoints(world, request_of, scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("backtest.merge.AT_ONCE", 500)
    monkeypatch.setattr(running, "CHECKPOINT_S", 0.0)
    run(request_of(scripted(world.payments)), tmp_path / "whole")

    class Death(BaseException):
        pass

    judge, count = Run._judge, [0]

    def dying(self, *given):
        count[0] += 1
        if count[0] == 12:
            raise Death
        return judge(self, *given)

    monkeypatch.setattr(Run, "_judge", dying)
    with pytest.raises(Death):
        run(request_of(scripted(world.payments)), tmp_path / "died")
    left_behind = sorted((tmp_path / "died" / "parts").glob("*"))
    assert left_behind
    run(request_of(scripted(world.payments)), tmp_path / "died")
    assert rows(tmp_path / "died").equals(rows(tmp_path / "whole"), null_equal=True)


def test_a_history_goes_on_too(world, request_of, tokeniser, tmp_path, monkeypatch):
    monkeypatch.setattr("backtest.merge.AT_ONCE", 500)
    monkeypatch.setattr("backtest.history.SLAB", 800)
    source = HistorySource(world.history, tokeniser, Window())
    run(request_of(source), tmp_path / "whole")
    stop, left = threading.Event(), [6_000]

    def advance(count: int) -> None:
        left[0] -= count
        if left[0] < 0:
            stop.set()

    with pytest.raises(Interrupted):
        run(request_of(source), tmp_path / "stopped", stop, advance)
    run(request_of(HistorySource(world.history, tokeniser, Window())), tmp_path / "stopped")
    assert rows(tmp_path / "stopped").equals(rows(tmp_path / "whole"), null_equal=True)


def test_a_warm_up_is_the_past_of_what_is_judged(world, request_of, tokeniser, tmp_path):
    times = world.payments["event_time"]
    start = int(times[times.len() * 2 // 3])
    run(request_of(HistorySource(world.history, tokeniser, Window())), tmp_path / "whole")
    expected = rows(tmp_path / "whole").filter(pl.col("event_time") >= start)

    warm = Window(start=start, warm_up_ms=None)
    done = run(request_of(HistorySource(world.history, tokeniser, warm), warm), tmp_path / "warm")
    assert rows(tmp_path / "warm").equals(expected, null_equal=True)
    assert done.counts.warm_up == world.payments.height - expected.height

    cold = Window(start=start, warm_up_ms=0)
    run(request_of(HistorySource(world.history, tokeniser, cold), cold), tmp_path / "cold")
    assert rows(tmp_path / "cold")["transaction_id"].equals(expected["transaction_id"])
    assert not rows(tmp_path / "cold").equals(expected, null_equal=True)


def test_features_are_kept_only_if_wanted(world, request_of, scripted, tmp_path):
    run(request_of(scripted(world.payments), keep_features=False), tmp_path)
    assert not (tmp_path / FEATURES).exists()
    assert pl.read_parquet(tmp_path / SCORES).height == world.payments.height


def test_what_was_judged_but_not_reported_is_not_read_again(world, request_of, scripted, tmp_path):
    run(request_of(scripted(world.payments)), tmp_path)
    expected = rows(tmp_path)
    (tmp_path / SCORES).unlink()
    empty = scripted(world.payments.clear())
    done = run(request_of(empty), tmp_path)
    assert rows(tmp_path).equals(expected, null_equal=True)
    assert done.counts.payments == world.payments.height
