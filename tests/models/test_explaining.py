"""Explanations: they add up, they are SHAP's, and they can be read."""

import msgspec
import numpy as np
import pytest

from models.catalogue import CATALOGUE, position
from models.explaining import LEAST_CONTRIBUTION, MAX_REASONS, explain


@pytest.fixture
def suspicious(history, scorer):
    """The 60 payments of the history with the highest scores."""
    return history.features[np.argsort(-scorer.score(history.features).margin, kind="stable")[:60]]


def test_contributions_and_base_value_add_up_to_the_margin(history, scorer):
    features = history.features[:400]
    contributions = scorer.contributions(features)
    assert contributions.shape == (400, 86)
    np.testing.assert_allclose(contributions.sum(axis=1), scorer.score(features).margin, atol=1e-4)


def test_an_explanation_has_the_margin_of_the_score_and_the_models_base_value(suspicious, scorer):
    explanations = explain(scorer, suspicious)
    margins = [explanation.margin for explanation in explanations]
    np.testing.assert_allclose(margins, scorer.score(suspicious).margin, atol=1e-4)
    assert len({explanation.base_value for explanation in explanations}) == 1


def test_contributions_are_those_of_shap(suspicious, scorer):
    shap = pytest.importorskip("shap")
    explainer = shap.TreeExplainer(scorer.bundle.booster())
    contributions = scorer.contributions(suspicious)
    np.testing.assert_allclose(contributions[:, :-1], explainer.shap_values(suspicious), atol=1e-4)
    np.testing.assert_allclose(contributions[:, -1], explainer.expected_value, atol=1e-4)


def test_reasons_are_the_largest_positive_contributions(suspicious, scorer):
    contributions = scorer.contributions(suspicious)[:, :-1]
    for row, explanation in zip(contributions, explain(scorer, suspicious), strict=True):
        expected = sorted((float(c) for c in row if c >= LEAST_CONTRIBUTION), reverse=True)[:MAX_REASONS]
        assert [reason.contribution for reason in explanation.reasons] == pytest.approx(expected, abs=1e-6)
        assert explanation.reasons
        for reason in explanation.reasons:
            feature = CATALOGUE[position(reason.feature)]
            assert reason.group == feature.group
            assert row[position(reason.feature)] == pytest.approx(reason.contribution)


def test_company_does_not_change_an_explanation(suspicious, scorer):
    together = explain(scorer, suspicious)
    assert [explain(scorer, row[None])[0] for row in suspicious] == together


def test_what_is_usual_is_the_customers_own_or_else_everyones(scorer, monkeypatch):
    amount, own = position("amount_rupees"), position("amount_usual_rupees")
    features = np.zeros((2, 85), dtype=np.float32)
    features[:, amount], features[:, own] = 52_000, [800, np.nan]
    features[:, position("speed_kmh")] = 840
    contributions = np.zeros((2, 86), dtype=np.float32)
    contributions[:, amount], contributions[:, position("speed_kmh")] = 2.0, 1.0
    monkeypatch.setattr(scorer, "contributions", lambda _: contributions)

    known, unknown = explain(scorer, features)
    everyone = scorer.bundle.manifest.usual
    assert [reason.usual for reason in known.reasons] == [800, everyone[position("speed_kmh")]]
    assert unknown.reasons[0].usual == everyone[amount]
    assert known.reasons[0].sentence == "₹52,000 is paid (this customer usually: ₹800)"
    assert known.reasons[0].code == "AMOUNT_RUPEES"
    assert [known.reasons[1].value, known.reasons[1].group] == [840, "location"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_json_lacks_are_null_and_still_explained(scorer, value):
    explanation = explain(scorer, np.full((1, 85), value, dtype=np.float32))[0]
    for reason in explanation.reasons:
        assert reason.value is None
        assert reason.code.endswith("_UNKNOWN")
        assert reason.sentence
    assert b"NaN" not in msgspec.json.encode(explanation.reasons)


def test_numbers_in_reasons_are_written_as_short_as_they_are(scorer, monkeypatch):
    contributions = np.zeros((1, 86), dtype=np.float32)
    contributions[0, position("payee_risk")] = 0.1
    monkeypatch.setattr(scorer, "contributions", lambda _: contributions)
    reason = explain(scorer, np.full((1, 85), 0.7, dtype=np.float32))[0].reasons[0]
    assert (reason.value, reason.contribution) == (0.7, 0.1)


def test_nothing_to_explain_is_explained_by_nothing(history, scorer):
    assert explain(scorer, history.features[:0]) == []
