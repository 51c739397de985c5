"""The second opinion: its ruler, how it is learned, and a bundle that has one."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import SECOND_MODEL, Bundle, BundleError, write_bundle
from models.contrast import ContrastSettings, make, rarity
from models.explaining import UNLIKE, explain
from models.families import families_of
from models.scoring import Scorer
from models.second_fit import Part, threshold
from models.second_opinion import MARKS, SecondOpinion, ruler_of, score_of
from models.training import Settings, Trained, train

CREATED_AT = 1_760_077_800_000
SMALL = ContrastSettings(payments=4_000, trees=20, false_positive_rate=0.005)


@pytest.fixture(scope="module")
def both(history) -> Trained:
    """A model and its second opinion."""
    return train(history, Settings(name="both", trees=30, threads=1, second_opinion=SMALL), created_at=CREATED_AT)


@pytest.fixture(scope="module")
def bundle(both, tmp_path_factory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "both", both.manifest, both.model, both.extra)


@pytest.fixture(scope="module")
def second(bundle) -> Scorer:
    return Scorer(bundle)


def test_a_score_tells_how_rare_a_margin_is_among_honest_payments():
    honest = np.random.default_rng(1).normal(size=100_000)
    ruler = ruler_of(honest)
    for score, share in ((250, 0.1), (500, 0.01), (750, 0.001)):
        margin = np.quantile(honest, 1 - share)
        assert score_of(np.array([margin]), ruler)[0] == pytest.approx(score, abs=3)


def test_what_is_rarer_than_can_be_measured_follows_from_what_is_measured():
    ruler = ruler_of(np.random.default_rng(1).exponential(size=1_000))  # 250 points are log(10) of margin, everywhere
    assert ruler[-1] - ruler[-6] == pytest.approx(np.log(10), rel=0.5)
    assert list(ruler) == sorted(ruler)


def test_too_few_honest_payments_make_no_ruler():
    with pytest.raises(ValueError, match="100"):
        ruler_of(np.zeros(99))


@given(margins=st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=50), flat=st.booleans())
def test_a_higher_margin_never_has_a_lower_score(margins, flat):
    ruler = tuple(0.0 if flat and 3 < i < 9 else float(mark) / 50 - 6 for i, mark in enumerate(MARKS))
    score = score_of(np.sort(np.array(margins, dtype=np.float32)), tuple(sorted(ruler)))
    assert score.dtype == np.int16
    assert 0 <= score.min() <= score.max() <= 1000
    assert (np.diff(score) >= 0).all()


def test_features_that_go_together_are_a_family_and_constant_ones_are_alone():
    random = np.random.default_rng(0)
    shared, x = random.normal(size=2_000), random.normal(size=(2_000, 5)).astype(np.float32)
    x[:, 1], x[:, 3] = shared, np.exp(-shared)
    x[:, 2] = 7
    x[:100, [0, 4]] = np.nan  # missing together
    families = [family.tolist() for family in families_of(x, 0.3)]
    assert sorted(map(sorted, families)) == [[0], [1, 3], [2], [4]]
    x[:900, [0, 4]] = np.nan
    assert [0, 4] in [family.tolist() for family in families_of(x, 0.3)]


def test_the_rarest_value_is_the_farthest_out_and_a_missing_one_is_as_rare_as_it_is_missing():
    column = np.concatenate([np.arange(98), [np.nan, np.nan]]).astype(np.float32)
    rare = rarity(column[:, None])[:, 0]
    assert rare[0] == rare[97] == pytest.approx(-np.log10(1 / 98), abs=1e-4)
    assert rare[48] < 0.31
    assert rare[98] == pytest.approx(-np.log10(0.02), abs=1e-6)


@pytest.mark.parametrize("known_parts", [0.0, 1.0])
def test_a_made_payment_takes_whole_families_from_where_it_should(known_parts):
    honest = np.random.default_rng(0).normal(size=(500, 85)).astype(np.float32)
    frauds = honest[:20] + 1_000
    settings = replace(SMALL, known_parts=known_parts, part_families=(2, 4), rare_families=(2, 4))
    made = make(honest, frauds, settings, np.random.default_rng(1))
    assert made.shape == honest.shape
    parts = (made > 500).sum(axis=1)
    if known_parts:
        assert 2 <= parts.min() <= parts.max() <= 4  # of one feature each: none of these go together
        sources = [set(np.argmin(np.abs(frauds - row), axis=0)[row > 500].tolist()) for row in made]
        assert {len(source) for source in sources} == {1}
    else:
        assert parts.max() == 0
        assert np.abs(made).mean() > np.abs(honest).mean()


def test_without_known_frauds_it_is_learned_from_what_is_rare():
    honest = np.random.default_rng(0).normal(size=(500, 85)).astype(np.float32)
    made = make(honest, honest[:0], SMALL, np.random.default_rng(1))
    assert np.isin(made, honest).all()
    assert not np.array_equal(made, honest)


def test_the_budget_is_spent_on_honest_payments_that_the_model_leaves():
    score = np.arange(1000, dtype=np.int16)
    by_model, is_fraud = score >= 990, (score % 100) == 99
    part = Part(np.arange(1000), is_fraud, by_model)
    at = threshold(score, part, replace(SMALL, false_positive_rate=0.01))
    added = (score >= at) & ~by_model & ~is_fraud
    assert added.sum() == 9  # of 990 honest ones no more than one in a hundred
    assert threshold(score, Part(part.rows, is_fraud, np.ones(1000, dtype=np.bool_)), SMALL) == 0


def test_its_share_of_honest_payments_is_within_its_budget_and_can_be_recomputed(history, both, second):
    about = both.manifest.second_opinion
    assert about is not None
    assert about.trees == SMALL.trees
    assert 0 < about.false_positive_rate <= SMALL.false_positive_rate
    test = history.payments.with_row_index().filter(history.payments["event_time"] >= both.manifest.cutoff)
    rows = test["index"].to_numpy()
    features, is_fraud = history.features[rows], test["is_fraud"].to_numpy()
    by_model = second.score(features).score >= both.manifest.alert_score
    added = ~by_model & (second.second_score(features) >= about.alert_score)
    assert about.added_recall == pytest.approx(added[is_fraud].mean())
    assert about.added_false_positive_rate == pytest.approx(added[~is_fraud].mean())


def test_the_same_seed_learns_the_same(history, both):
    again = train(history, Settings(name="both", trees=30, threads=1, second_opinion=SMALL), created_at=CREATED_AT)
    assert again.extra == both.extra
    assert again.manifest == both.manifest


def test_the_model_is_the_same_with_and_without_it(history, both):
    alone = train(history, Settings(name="both", trees=30, threads=1), created_at=CREATED_AT)
    assert (alone.model, alone.manifest.second_opinion) == (both.model, None)
    assert SECOND_MODEL not in alone.extra


def test_contributions_and_base_value_add_up_to_its_margin(history, second):
    features = history.features[:300]
    contributions = second.second_contributions(features)
    booster = second.bundle.second_booster()
    np.testing.assert_allclose(
        contributions.sum(axis=1), booster.inplace_predict(features, predict_type="margin"), atol=1e-4
    )


def test_what_it_decided_is_explained_by_its_own_contributions(history, second):
    features = history.features[np.argsort(-second.second_score(history.features), kind="stable")[:4]]
    by_second = np.array([True, False, True, False])
    explained = explain(second, features, by_second)
    alone = explain(second, features)
    assert [why.explains for why in explained] == ["second_opinion", "model", "second_opinion", "model"]
    assert [explained[1], explained[3]] == [alone[1], alone[3]]
    contributions = second.second_contributions(features)
    for i in (0, 2):
        assert explained[i].margin == pytest.approx(contributions[i].sum())
        assert explained[i].reasons[0].contribution == pytest.approx(contributions[i, :-1].max(), abs=1e-6)
        assert explained[i].reasons[0].sentence.startswith(UNLIKE)
        assert not any(reason.sentence.startswith(UNLIKE) for reason in explained[i].reasons[1:])


def test_the_batch_a_payment_came_in_never_changes_its_score(history, second):
    together = second.second_score(history.features[:200])
    alone = np.concatenate([second.second_score(history.features[i : i + 1]) for i in range(200)])
    assert np.array_equal(alone, together)


def test_a_bundle_without_one_has_no_second_score(history, scorer):
    assert scorer.second_score(history.features[:5]) is None
    assert scorer.bundle.second_booster() is None


def test_a_manifest_of_the_first_format_is_still_read(bundle_path):
    path = bundle_path / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    assert manifest.pop("second_opinion") is None
    path.write_bytes(msgspec.json.encode({**manifest, "format_version": 1}))
    loaded = Bundle.load(bundle_path)
    assert (loaded.manifest.format_version, loaded.manifest.second_opinion) == (1, None)
    assert loaded.second_booster() is None


def test_manifest_and_trees_of_a_second_opinion_come_together(both, tmp_path):
    with pytest.raises(BundleError, match="not both"):
        write_bundle(tmp_path / "no-trees", both.manifest, both.model)
    with pytest.raises(BundleError, match="not both"):
        write_bundle(
            tmp_path / "no-word", msgspec.structs.replace(both.manifest, second_opinion=None), both.model, both.extra
        )


@pytest.mark.parametrize("content", [b"", b"{}", b"no trees"])
def test_what_is_no_second_opinion_cannot_be_written(both, tmp_path, content):
    with pytest.raises(BundleError, match=SECOND_MODEL):
        write_bundle(tmp_path / "bundle", both.manifest, both.model, {SECOND_MODEL: content})


def test_trees_that_are_not_all_there_are_refused(both, tmp_path):
    about = msgspec.structs.replace(both.manifest.second_opinion, trees=SMALL.trees + 1)
    manifest = msgspec.structs.replace(both.manifest, second_opinion=about)
    with pytest.raises(BundleError, match=f"{SECOND_MODEL} are not as many"):
        write_bundle(tmp_path / "bundle", manifest, both.model, both.extra)


@pytest.mark.parametrize(
    ("ruler", "message"), [((0.0,) * 20, "21 margins"), ((*map(float, range(20)), 0.0), "not in order")]
)
def test_a_ruler_that_measures_nothing_is_refused(ruler, message):
    with pytest.raises(ValueError, match=message):
        SecondOpinion(trees=1, ruler=ruler, alert_score=700, false_positive_rate=0.0, parameters={})


@pytest.mark.parametrize(
    "wrong", [{"false_positive_rate": 0}, {"known_parts": 1.5}, {"part_families": (0, 2)}, {"rare_families": (3, 2)}]
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"lies between|at least one"):
        replace(SMALL, **wrong)
