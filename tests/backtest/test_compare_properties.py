"""What holds of every comparison, whatever was scored: parts make up the whole, and thresholds agree."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.compare import CompareSettings, Comparison, compare
from backtest.compare.bootstrap import by_payer, resampled
from backtest.compare.quality import rank_agreement
from backtest.compare.reading import frauds_and_alerts, in_place, judged
from kit.backtested import CHAMPION, START, by_hand

SCORES = st.one_of(st.integers(0, 1000), st.sampled_from([0, 499, 500, 599, 600, 1000]))
PAYMENT = st.fixed_dictionaries(
    {
        "score": SCORES,
        "score_new": SCORES,
        "amount": st.integers(1, 20_000_000),
        "payer": st.integers(0, 9),
        "is_fraud": st.booleans(),
        "kind": st.sampled_from(["app_scam", "sim_swap"]),
        "event_time": st.integers(START, START + 5 * 86_400_000),
    }
)


def compared_by_hand(payments: list[dict]) -> Comparison:
    with tempfile.TemporaryDirectory() as home:
        return compare(by_hand(Path(home) / "result", payments), CompareSettings(draws=200, review_cost=10))


@settings(max_examples=60)
@given(st.lists(PAYMENT, min_size=1, max_size=40))
def test_parts_make_up_the_whole(payments):
    comparison = compared_by_hand(payments)
    for judge in comparison.judges.values():
        own = judge.own
        for groups in (judge.days, judge.hours, judge.amounts):
            assert sum(group.payments for group in groups) == comparison.payments
            assert sum(group.alerts for group in groups) == own.alerts
        for groups in (judge.days, judge.hours, judge.amounts, judge.kinds):
            assert sum(group.frauds for group in groups) == comparison.frauds
            assert sum(group.caught for group in groups) == own.caught
            assert sum(group.rupees_caught for group in groups) == pytest.approx(own.rupees_caught)
        assert sum(b.payments for b in judge.quality.bins) == comparison.payments
    overlap = comparison.contests["new"].own
    both, champion, candidate, neither = (share.payments for share in overlap.frauds)
    assert both + champion + candidate + neither == comparison.frauds
    assert both + champion == comparison.judges["champion"].own.caught
    assert both + candidate == comparison.judges["new"].own.caught
    for i, total in enumerate((both, champion, candidate, neither)):
        assert sum(four[i] for four in overlap.kinds.values()) == total


@settings(max_examples=60)
@given(st.lists(PAYMENT, min_size=1, max_size=40))
def test_the_sweep_agrees_with_figures_and_alerts_fall_with_the_threshold(payments):
    comparison = compared_by_hand(payments)
    for judge in comparison.judges.values():
        for figures in (judge.own, judge.equal, judge.capacity):
            at = figures.threshold
            assert judge.sweep.alerts_per_day[at] == figures.alerts_per_day
            assert judge.sweep.recall[at] == figures.recall
            assert judge.sweep.net_saved[at] == pytest.approx(figures.net_saved)
        assert list(judge.sweep.alerts_per_day) == sorted(judge.sweep.alerts_per_day, reverse=True)
        assert max(judge.sweep.net_saved) == judge.sweep.net_saved[judge.sweep.best]
    assert comparison.judges["new"].equal.alerts <= comparison.judges["champion"].own.alerts


@settings(max_examples=60)
@given(st.lists(PAYMENT, min_size=1, max_size=40))
def test_intervals_hold_their_estimate(payments):
    comparison = compared_by_hand(payments)
    contest = comparison.contests["new"]
    everywhere = [judge.own_intervals for judge in comparison.judges.values()]
    for intervals in (*everywhere, contest.own_difference, contest.equal_difference):
        for name in intervals.__struct_fields__:
            interval = getattr(intervals, name)
            if interval.estimate is not None:
                assert interval.low <= interval.estimate + 1e-9
                assert interval.estimate <= interval.high + 1e-9
    own = comparison.judges["new"].own
    assert everywhere[1].caught.estimate == own.caught
    assert everywhere[1].net_saved.estimate == pytest.approx(own.net_saved)
    assert everywhere[1].recall.estimate == own.recall or own.recall == pytest.approx(everywhere[1].recall.estimate)


def test_weights_of_one_reproduce_the_sums(replayed):
    payments = in_place(judged(replayed.scores(), replayed.judges), "UTC")
    rows = frauds_and_alerts(payments, {judge: judge.threshold for judge in replayed.judges})
    flags = [rows.flagged(judge) for judge in replayed.judges]
    sums = by_payer(rows, flags)
    [whole] = resampled(sums, np.ones((1, len(sums))))
    caught = flags[0] & rows.is_fraud
    assert whole[:2] == pytest.approx([rows.is_fraud.sum(), rows.rupees[rows.is_fraud].sum()])
    assert whole[2:5] == pytest.approx([flags[0].sum(), caught.sum(), rows.rupees[caught].sum()])


def test_the_same_seed_draws_the_same_payers_in_whatever_pieces(replayed, compared, monkeypatch):
    again = compare(replayed, compared.settings)
    assert again.judges["new"].own_intervals == compared.judges["new"].own_intervals
    monkeypatch.setattr("backtest.compare.bootstrap.MOST_WEIGHTS", 1)
    assert compare(replayed, compared.settings).judges["new"].own_intervals == compared.judges["new"].own_intervals


def test_intervals_are_as_wide_as_theory_says(tmp_path):
    """Of 400 payers with a fraud each, 100 caught: a recall of 0.25 has a standard error of 0.0217."""
    frauds = [{"is_fraud": True, "score": 700 if i % 4 == 0 else 0, "payer": i} for i in range(400)]
    result = by_hand(tmp_path / "result", frauds, [CHAMPION])
    interval = compare(result, CompareSettings(draws=4_000)).judges["champion"].own_intervals.recall
    assert interval.low == pytest.approx(0.25 - 1.96 * 0.0217, abs=0.005)
    assert interval.high == pytest.approx(0.25 + 1.96 * 0.0217, abs=0.005)


def test_frauds_of_one_payer_stand_or_fall_together(tmp_path):
    frauds = [{"is_fraud": True, "score": 700 if i < 200 else 0, "payer": i // 40} for i in range(400)]
    together = by_hand(tmp_path / "together", frauds, [CHAMPION])
    alone = by_hand(tmp_path / "alone", [fraud | {"payer": i} for i, fraud in enumerate(frauds)], [CHAMPION])
    wide, narrow = (
        compare(result, CompareSettings(draws=500)).judges["champion"].own_intervals.recall
        for result in (together, alone)
    )
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=60))
def test_rank_agreement_is_spearmans(scores):
    import polars as pl

    frame = pl.DataFrame(scores, schema={"one": pl.Int16, "other": pl.Int16}, orient="row")
    found = rank_agreement(frame.group_by("one", "other").agg(payments=pl.len()))
    expected = frame.select(pl.corr("one", "other", method="spearman")).item()
    if found is None:
        assert expected is None or np.isnan(expected)
    else:
        assert found == pytest.approx(expected, abs=1e-9)


def test_a_difference_of_a_model_with_itself_is_none_and_may_be_chance(tmp_path):
    payments = [{"is_fraud": True, "score": 700, "score_new": 700, "payer": i} for i in range(20)]
    contest = compare(by_hand(tmp_path / "result", payments), CompareSettings()).contests["new"]
    assert (contest.own_difference.caught.low, contest.own_difference.caught.high) == (0, 0)
    assert contest.own_difference.caught.beyond_chance is False
