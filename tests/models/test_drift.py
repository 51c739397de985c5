"""Population stability: the index by hand, bins that fit what they are made of, and counts that are the same live."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.bundle import Bundle, BundleError, write_bundle
from models.catalogue import FEATURE_NAMES
from models.drift import FILE, Bins, Reference, assess, cut, encode, index, make_reference, reference_of
from models.drift_counts import COLUMNS, HOUR_MS, HOURS, SCORE, Window, count, in_sample
from models.engine import DUPLICATE, REDO
from models.retrain import RetrainPolicy

DAY_MS = 24 * HOUR_MS
START = 20_000 * DAY_MS
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
COLUMN = arrays.arrays(np.float32, st.integers(1, 200), elements=FLOATS | st.sampled_from([0.0, 1.0, -1.0]))
COUNTS = arrays.arrays(np.int64, st.integers(2, 11), elements=st.integers(0, 10_000))


def random_payments(n=5_000, seed=1, days=3):
    """Features, scores and times; some features are flags, some often missing."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, len(FEATURE_NAMES))).astype(np.float32)
    features[:, :20] = random.random((n, 20)) < 0.1
    features[:, 40:60][random.random((n, 20)) < 0.3] = np.nan
    score = random.integers(0, 1001, n).astype(np.int16)
    return features, score, START + np.sort(random.integers(0, days * DAY_MS, n))


def by_hand(column, bins):
    """Counts of one column, without compiled code."""
    missing = np.isnan(column)
    places = 1 + np.searchsorted(np.array(bins.edges, dtype=np.float32), column[~missing], side="right")
    return np.bincount(np.concatenate([np.zeros(missing.sum(), dtype=np.int64), places]), minlength=11)


def test_the_index_is_what_a_pocket_calculator_gives():
    # p = (30.5, 70.5) / 101, q = (60 + p0, 40 + p1) / 101
    p = np.array([30.5, 70.5]) / 101
    q = (np.array([60, 40]) + p) / 101
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert index((30, 70), np.array([60, 40])) == pytest.approx(expected)
    assert index((30, 70), np.array([60, 40])) == pytest.approx(0.37, abs=0.01)


def test_the_same_shares_have_no_index_to_speak_of():
    assert index((300, 700), np.array([3_000, 7_000])) < 1e-5


def test_a_value_never_seen_before_is_a_great_shift():
    edges = cut(np.zeros(1_000, dtype=np.float32))
    reference = by_hand(np.zeros(1_000, dtype=np.float32), Bins(edges=edges, counts=(0,) * (len(edges) + 2)))
    live = by_hand(np.r_[np.zeros(700), np.ones(300)].astype(np.float32), Bins(edges=edges, counts=(0,) * 4))
    assert index(tuple(reference[:4].tolist()), live) > 1


@given(COUNTS, st.data())
def test_the_index_is_never_negative_and_always_a_number(reference, data):
    live = data.draw(arrays.arrays(np.int64, reference.size, elements=st.integers(0, 10_000)))
    found = index(tuple(reference.tolist()), live)
    assert 0 <= found < math.inf


@given(COUNTS)
def test_nothing_counted_is_no_shift(reference):
    assert index(tuple(reference.tolist()), np.zeros(11, dtype=np.int64)) == pytest.approx(0, abs=1e-12)


def test_without_a_shift_the_index_is_what_chance_makes_of_it():
    random = np.random.default_rng(3)
    reference = tuple(random.multinomial(20_000, np.full(10, 0.1)).tolist())
    found = [index(reference, random.multinomial(2_000, np.full(10, 0.1))) for _ in range(200)]
    assert np.mean(found) == pytest.approx(9 * (1 / 2_000 + 1 / 20_000), rel=0.2)


@given(COLUMN)
def test_edges_rise_and_are_at_most_nine(column):
    edges = cut(column)
    assert len(edges) <= 9
    assert list(edges) == sorted(set(edges))
    assert all(np.isfinite(edges))
    assert all(np.float32(edge) == edge for edge in edges)


def test_deciles_split_evenly_and_a_frequent_value_stands_alone():
    values = np.r_[np.zeros(4_000), np.random.default_rng(1).gamma(2, 50, 6_000)].astype(np.float32)
    bins = Bins(edges=cut(values), counts=(0,) * (len(cut(values)) + 2))
    counts = by_hand(values, bins)
    assert counts[0] == counts[1] == 0
    assert counts[2] == 4_000  # the zeros, and nothing else
    assert all(900 <= n <= 1_100 for n in counts[4 : len(bins.edges) + 2])


def test_compiled_counting_is_that_by_hand():
    features, score, times = random_payments()
    reference = make_reference(features, score, times)
    counts = count(features, score, reference.edges())
    columns = [*features.T, score.astype(np.float32)]
    assert counts.tolist() == [by_hand(c, b).tolist() for c, b in zip(columns, reference.bins(), strict=True)]
    assert counts.sum(axis=1).tolist() == [len(score)] * COLUMNS
    assert reference.psi(counts).max() < 0.005  # of itself: what smoothing leaves


def test_live_counts_are_those_of_the_same_rows_offline_however_they_come_in_batches():
    features, score, times = random_payments(days=1)
    reference = make_reference(features, score, times)
    status = np.zeros(len(score), dtype=np.uint8)
    status[::7], status[3::7] = DUPLICATE, REDO
    offsets = np.arange(len(score)) + 10**9
    chosen = np.array([in_sample(offset) for offset in offsets]) & (status == 0)
    assert 0.05 < chosen.mean() < 0.13
    for size in (1, 97, 5_000):
        window = Window(reference.edges())
        for i in range(0, len(score), size):
            here = slice(i, i + size)
            window.see(features[here], score[here], times[here], status[here], offsets[here])
        assert (window.total() == count(features[chosen], score[chosen], reference.edges())).all()
        assert window.hours == HOURS


def test_the_window_holds_the_last_day_of_the_payments_own_time():
    features, score, _ = random_payments(4_000)
    edges = make_reference(features, score, np.arange(4_000)).edges()
    window, status = Window(edges), np.zeros(4_000, dtype=np.uint8)
    offsets = np.arange(4_000)

    def show(hour):
        window.see(features, score, np.full(4_000, hour * HOUR_MS), status, offsets)

    show(1_000)
    once = int(window.total()[SCORE].sum())
    show(1_023)
    assert (window.total()[SCORE].sum(), window.hours) == (2 * once, 2)
    show(1_024)  # the first hour goes
    assert (window.total()[SCORE].sum(), window.hours) == (2 * once, 2)
    show(1_000)  # too late to count
    assert window.total()[SCORE].sum() == 2 * once
    show(9_000)
    assert (window.total()[SCORE].sum(), window.hours) == (once, 1)


def test_what_a_day_of_the_reference_shows_is_usual():
    features, score, times = random_payments(days=4)
    features[:, 70] = (times - times[0]) // DAY_MS  # a day has one of four values
    reference = make_reference(features, score, times)
    bins = list(reference.bins())
    assert bins[70].usual > 1
    assert bins[71].usual < 0.1
    day = (times >= times[0] + DAY_MS) & (times < times[0] + 2 * DAY_MS)
    counts = count(features[day], score[day], reference.edges())
    assert reference.psi(counts)[70] > 1
    assert assess(reference, counts, RetrainPolicy(payments=100), 24).shifted == ()


def shifted_counts(reference, how_many, score_too=False):
    features, score, _ = random_payments(seed=2)
    features[:, 60 : 60 + how_many] += 2 * np.arange(1, how_many + 1, dtype=np.float32)
    return count(features, score // 4 if score_too else score, reference.edges())


@pytest.fixture(scope="module")
def reference():
    return make_reference(*random_payments())


def test_shifted_features_are_named_the_strongest_first(reference):
    found = assess(reference, shifted_counts(reference, 3), RetrainPolicy(), 24)
    assert found.shifted == tuple(FEATURE_NAMES[62:59:-1])
    assert found.features[FEATURE_NAMES[62]] > 0.25 > found.features[FEATURE_NAMES[63]]
    assert not found.retrain


def test_enough_features_or_the_score_ask_for_retraining(reference):
    enough = RetrainPolicy().features
    assert not assess(reference, shifted_counts(reference, enough - 1), RetrainPolicy(), 24).retrain
    assert assess(reference, shifted_counts(reference, enough), RetrainPolicy(), 24).retrain
    by_score = assess(reference, shifted_counts(reference, 0, score_too=True), RetrainPolicy(), 24)
    assert by_score.retrain
    assert (by_score.score_shifted, by_score.shifted) == (True, ())


@pytest.mark.parametrize(("policy", "hours"), [(RetrainPolicy(payments=5_001), 24), (RetrainPolicy(hours=20), 19)])
def test_too_few_payments_or_hours_ask_for_nothing(reference, policy, hours):
    found = assess(reference, shifted_counts(reference, 20), policy, hours)
    assert len(found.shifted) == 20
    assert not found.settled
    assert not found.retrain


def test_a_reference_travels_in_the_bundle(trained, kept_bundle):
    found = reference_of(kept_bundle)
    assert found is not None
    assert (found.start, found.payments) == (trained.manifest.validation.start, trained.manifest.validation.payments)
    assert encode(found) == trained.extra[FILE]
    assert tuple(found.features) == FEATURE_NAMES
    assert FILE in kept_bundle.manifest.files


def test_a_bundle_without_a_reference_is_as_good_as_before(trained, tmp_path):
    write_bundle(tmp_path / "old", trained.manifest, trained.model)
    assert reference_of(Bundle.load(tmp_path / "old")) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": {}}, "other features"),
        ({"format_version": 2}, "format_version"),
        ({"score": {"edges": [2, 1], "counts": [1, 1, 1, 1]}}, "edges do not rise"),
        ({"score": {"edges": [1], "counts": [1]}}, "counts are not one a bin"),
        ({"score": {"edges": [1], "counts": [1, -1, 1]}}, "counts"),
    ],
)
def test_a_reference_that_is_none_is_refused(trained, tmp_path, change, message):
    content = msgspec.json.encode({**msgspec.json.decode(trained.extra[FILE]), **change})
    bundle = write_bundle(tmp_path / "odd", trained.manifest, trained.model, {FILE: content})
    with pytest.raises(BundleError, match=message) as raised:
        reference_of(bundle)
    assert raised.value.hint


def test_a_reference_of_few_payments_can_be_made():
    features, score, times = random_payments(3)
    reference = make_reference(features, score, times)
    assert msgspec.json.decode(encode(reference), type=Reference) == reference
