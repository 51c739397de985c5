"""What a report shows: figures that can be computed by hand, and those that the manifest claims already."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest

from models.catalogue import CATALOGUE, FEATURE_NAMES, position
from models.evaluation import FALSE_POSITIVE_RATES, roc
from models.forest import Forest
from models.report.findings import alerts, groups, importance, mistakes, ranking, trust
from models.report.findings.rates import Rate
from models.report.measured import DAY_MS, Measured, ReportError, measure
from models.scoring import band_starts, scores_of
from models.training import Settings, train

MIDNIGHT_IN_INDIA = 1_760_034_600_000
"""2025-10-10 00:00 in India, epoch ms."""


@pytest.fixture(scope="session")
def measured(history, trained) -> Measured:
    return measure(history, trained)


@pytest.fixture
def by_hand(trained):
    """Measured payments from (score, fraud) and columns as given; ₹100 each, an hour apart, of kind `k` if fraud."""

    def make(*payments, **columns):
        score = np.array([score for score, _ in payments], dtype=np.int16)
        is_fraud = np.array([fraud for _, fraud in payments])
        margin = ((score - 499.5) / 125 * math.log(10)).astype(np.float32)
        manifest = msgspec.structs.replace(
            trained.manifest, calibration=msgspec.convert({}, type(trained.manifest.calibration))
        )
        scores = replace(scores_of(margin, manifest.calibration, band_starts(manifest.bands)), score=score)
        frame = pl.DataFrame(
            {
                "transaction_id": [f"t{i}" for i in range(len(payments))],
                "event_time": [MIDNIGHT_IN_INDIA + 3_600_000 * i for i in range(len(payments))],
                "amount": [10_000] * len(payments),
                "is_fraud": is_fraud,
                "kind": np.where(is_fraud, "k", ""),
            }
        ).with_columns(**{name: pl.Series(values) for name, values in columns.items()})
        features = np.full((len(payments), len(FEATURE_NAMES)), np.nan, dtype=np.float32)
        forest = Forest.of(_booster(trained))
        return Measured(manifest, forest, features, frame, scores)

    return make


def _booster(trained):
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(trained.model))
    return booster


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_intervals_are_wilsons(hits, total, low, high):
    rate = Rate(hits, total)
    assert (rate.share, rate.low, rate.high) == pytest.approx((hits / total, low, high), abs=1e-4)


def test_a_share_of_nothing_is_unknown():
    assert all(math.isnan(value) for value in (Rate(0, 0).share, Rate(0, 0).low, Rate(0, 0).high))


def test_a_threshold_by_hand(by_hand):
    measured = by_hand(
        (100, False), (300, False), (300, True), (600, True), (900, True), amount=[100, 100, 20_000, 30_000, 50_000]
    )
    at = alerts.Ladder(measured).at(600)
    assert (at.alerts, at.recall, at.false_positive_rate, at.precision) == (2, pytest.approx(2 / 3), 0, 1)
    assert (at.saved_rupees, at.saved_share, at.flagged_share) == (800, 0.8, 0.4)
    low = alerts.Ladder(measured).at(300)
    assert (low.alerts, low.recall, low.false_positive_rate, low.precision) == (4, 1, 0.5, 0.75)
    assert low.rare_precision == pytest.approx(1e-4 / (1e-4 + 0.5 * (1 - 1e-4)))
    assert low.odds == pytest.approx(10**-1.6)


def test_thresholds_hold_the_models_own_and_none_that_flags_half_of_all(measured):
    found = {t.score: t for t in alerts.thresholds(measured)}
    manifest = measured.manifest
    assert {manifest.alert_score, *(band.from_score for band in manifest.bands[1:])} <= found.keys()
    own = {manifest.alert_score, *(band.from_score for band in manifest.bands)}
    assert all(t.flagged_share <= alerts.MOST_FLAGGED for score, t in found.items() if score not in own)
    alert = found[manifest.alert_score]
    assert alert.recall == pytest.approx(manifest.metrics["alert_recall"])
    assert alert.precision == pytest.approx(manifest.metrics["alert_precision"])
    assert alert.alerts_per_day == pytest.approx(manifest.metrics["alerts_per_day"])
    assert alert.saved_share == pytest.approx(manifest.metrics["value_saved_share"])


def test_bands_hold_every_payment_once(measured):
    found = alerts.bands(measured)
    assert sum(band.payments for band in found) == len(measured)
    assert sum(band.frauds for band in found) == measured.is_fraud.sum()
    assert [band.name for band in found] == ["low", "elevated", "high", "critical"]


def test_a_day_begins_at_midnight_in_india(by_hand):
    last, first = MIDNIGHT_IN_INDIA - 1, MIDNIGHT_IN_INDIA
    measured = by_hand((1000, True), (1000, False), (0, True), event_time=[last, first, first])
    periods = alerts.periods(measured)
    assert [(p.start, p.caught, p.wrong, p.missed) for p in periods] == [
        (MIDNIGHT_IN_INDIA - DAY_MS, 1, 0, 0),
        (MIDNIGHT_IN_INDIA, 0, 1, 1),
    ]


def test_a_long_window_is_counted_by_weeks(by_hand):
    times = [MIDNIGHT_IN_INDIA, MIDNIGHT_IN_INDIA + 6 * DAY_MS, MIDNIGHT_IN_INDIA + 100 * DAY_MS]
    periods = alerts.periods(by_hand((1000, True), (1000, True), (1000, True), event_time=times))
    assert [(p.days, p.caught) for p in periods] == [(7, 2), *[(7, 0)] * 13, (7, 1)]


def test_payments_flagged_at_a_rate_are_those_of_the_curve(measured):
    curve = roc(measured.scores.margin, measured.is_fraud)
    for limit in (0.0, *FALSE_POSITIVE_RATES, 0.2, 1.0):
        flagged = measured.flagged_at(limit)
        assert flagged[~measured.is_fraud].mean() <= limit
        assert flagged[measured.is_fraud].mean() == pytest.approx(curve.recall_at(limit))


def test_curves_are_thinned_but_exact_where_it_matters(measured):
    curves, whole = ranking.curves(measured), roc(measured.scores.margin, measured.is_fraud)
    assert curves.recall.size <= ranking.POINTS + 10 < whole.recall.size
    assert (curves.auc, curves.recall[0], curves.recall[-1]) == (whole.auc(), 0, 1)
    for limit in FALSE_POSITIVE_RATES:
        at = np.searchsorted(curves.false_positive_rate, limit, side="right") - 1
        assert curves.recall[at] == whole.recall_at(limit)
        assert curves.rare_precision[at] < curves.precision[at]


def test_a_feature_that_gives_fraud_away_is_seen_for_what_it_is(by_hand):
    measured = by_hand(*[(500, i < 4) for i in range(10)])
    measured.features[:, 3] = ~measured.is_fraud  # low for fraud
    measured.features[:, 5] = [np.nan] * 4 + [1, 2, 3, 4, 5, 6]  # not known for fraud
    measured.features[:, 8] = [1, 2, 3, 4, 4, 3, 2, 1, 1, 1]
    found = {single.name: single for single in ranking.singles(measured)}
    assert (found[FEATURE_NAMES[3]].auc, found[FEATURE_NAMES[3]].higher_is_riskier) == (1, False)
    assert found[FEATURE_NAMES[5]].auc == 1
    assert found[FEATURE_NAMES[8]].auc == pytest.approx((1.5 + 3.5 + 4.5 + 5.5) / 24)
    assert found[FEATURE_NAMES[0]].auc == 0.5
    assert len(found) == len(FEATURE_NAMES)


def test_calibration_is_that_of_the_manifest(measured):
    found, metrics = trust.trust(measured), measured.manifest.metrics
    assert found.brier == pytest.approx(metrics["brier"])
    assert found.brier_skill == pytest.approx(metrics["brier_skill"])
    assert found.slope == pytest.approx(metrics["calibration_slope"])
    assert found.expected_frauds / found.frauds == pytest.approx(metrics["expected_over_observed"])


def test_a_coin_that_is_called_a_coin_has_no_skill(by_hand):
    found = trust.trust(by_hand(*[(500, i % 2 == 0) for i in range(10)]))
    assert (found.brier, found.brier_skill) == pytest.approx((0.25, 0), abs=1e-4)


def test_the_top_of_the_scores_is_one_percent_and_those_equal_to_the_last(by_hand):
    measured = by_hand(
        *[(0, False)] * 190, *[(900, True)] * 4, *[(900, False)] * 3, (950, True), (960, False), (0, True)
    )
    found = trust.trust_at_the_top(measured)
    assert (found.payments, found.frauds) == (2, 1)
    lower = by_hand(*[(0, False)] * 190, *[(900, True)] * 4, *[(900, False)] * 5, (960, True))
    assert trust.trust_at_the_top(lower).payments == 10


def test_calibration_bins_hold_every_payment_once_and_none_is_small(measured):
    bins = trust.bins(measured)
    assert sum(b.observed.total for b in bins) == len(measured)
    assert sum(b.observed.hits for b in bins) == measured.is_fraud.sum()
    assert all(b.observed.total >= trust.LEAST_PAYMENTS for b in bins[:-1])
    assert [b.high + 1 for b in bins[1:]] == [b.low for b in bins[:-1]]


def test_recall_by_kind_is_that_of_the_manifest_and_the_worst_comes_first(measured):
    *found, everything = groups.kinds(measured)
    assert {kind.name: kind.at_alert.share for kind in found} == pytest.approx(measured.manifest.recall_by_kind)
    assert [kind.at_alert.share for kind in found] == sorted(kind.at_alert.share for kind in found)
    assert (everything.name, everything.at_alert.total) == ("all", measured.is_fraud.sum())
    shares = [rate.share for rate in everything.at_rates]
    assert shares == pytest.approx([measured.manifest.metrics[f"recall_at_fpr_{r}"] for r in FALSE_POSITIVE_RATES])


def test_segments_by_hand(by_hand):
    measured = by_hand(
        (1000, True), (0, True), (1000, False), (0, False), amount=[49_999, 50_000, 5_000_000, 4_999_999]
    )
    measured.features[:, position("payer_age_days")] = [1, 30, 29.5, np.nan]
    measured.features[:, position("typing_interval_ms")] = [170, np.nan, 170, np.nan]
    measured.features[:, position("gps_missing")] = [0, 1, 1, 0]
    found = {segment.name: segment for segment in groups.segments(measured)}
    assert {name: found[name].payments for name in found if "₹" in name} == {
        "under ₹500": 1,
        "₹500 to 2,000": 1,
        "₹10,000 to 50,000": 1,
        "₹50,000 and more": 1,
    }
    new = found["known for less than 30 days"]
    assert (new.payments, new.frauds, new.recall.share, new.false_positives.share, new.precision.share) == (
        2,
        1,
        1,
        1,
        0.5,
    )
    assert found["not known since when"].payments == 1
    telemetry = ("rhythm and position", "no typing rhythm", "no GPS position", "neither")
    assert [found[name].payments for name in telemetry] == [1, 1, 1, 1]
    assert found["night, 0 to 6"].payments == 4


def test_contributions_of_the_sample_are_the_models_and_groups_add_up(measured):
    sample = importance.sample(measured)
    assert sample.is_fraud.sum() == min(measured.is_fraud.sum(), importance.MOST_FRAUDS)
    assert (~sample.is_fraud).sum() == importance.MOST_HONEST
    margins = measured.forest.margin(sample.features)
    base = margins - sample.contributions.sum(axis=1)
    np.testing.assert_allclose(base, base[0], atol=1e-4)
    weights = [feature.weight for feature in importance.by_feature(sample)]
    assert weights == sorted(weights, reverse=True)
    transaction = [i for i, feature in enumerate(CATALOGUE) if feature.group == "transaction"]
    together = np.abs(sample.contributions[sample.is_fraud][:, transaction].sum(axis=1)).mean()
    groups_found = {group.name: group.on_frauds for group in importance.by_group(sample)}
    assert groups_found["transaction"] == pytest.approx(together)
    assert groups_found.keys() == {"device", "location", "transaction", "behaviour"}
    assert np.array_equal(importance.sample(measured).features, sample.features, equal_nan=True)


def test_errors_are_errors_in_order_and_have_reasons(measured):
    wrong, dear, low = (
        mistakes.wrong_alerts(measured), mistakes.dearest_misses(measured), mistakes.lowest_misses(measured)
    )  # fmt: skip
    alert = measured.manifest.alert_score
    assert all(m.score >= alert and not m.kind and m.speaks_for_fraud for m in wrong)
    assert all(m.score < alert and m.kind and m.speaks_against for m in (*dear, *low))
    assert [m.score for m in wrong] == sorted((m.score for m in wrong), reverse=True)
    assert [m.rupees for m in dear] == sorted((m.rupees for m in dear), reverse=True)
    assert [m.score for m in low] == sorted(m.score for m in low)
    assert len(low) == mistakes.SHOWN


def test_what_was_measured_is_scored_as_it_was_in_training(history, trained, measured):
    assert len(measured) == trained.manifest.test.payments
    assert measured.is_fraud.sum() == trained.manifest.test.frauds
    assert roc(measured.scores.margin, measured.is_fraud).auc() == pytest.approx(trained.manifest.metrics["auc"])


def test_without_a_test_window_validation_is_judged_by_what_was_known_then(history):
    end = int(history.payments["event_time"][-1]) + 1
    trained = train(history, Settings(trees=5, cutoff_ms=end), created_at=MIDNIGHT_IN_INDIA)
    assert measure(history, trained).is_fraud.sum() == trained.manifest.validation.frauds


def test_another_history_is_refused(history, trained):
    shorter = replace(
        history, payments=history.payments[:-5], features=history.features[:-5], status=history.status[:-5]
    )
    with pytest.raises(ReportError, match="2,995 payments") as raised:
        measure(shorter, trained)
    assert "all of it" in raised.value.hint
    with pytest.raises(ReportError, match="no labels"):
        measure(replace(history, payments=history.payments.drop("is_fraud")), trained)
