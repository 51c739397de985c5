"""How good scores are, under imbalance: ranking, alerts and their worth, calibration, each kind of attack.

Precision depends on how rare fraud is, so it is also stated for one fraud in 10,000 payments, as

    recall * q / (recall * q + false positive rate * (1 - q))        q = 0.0001
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.calibration import slope_of
from models.scoring import Scores

FALSE_POSITIVE_RATES = (0.001, 0.005, 0.013)
TOP_PAYERS = 100
TOP_SHARE = 0.01
"""Of the payments, the highest-scored: where people look, so calibration is judged there by itself too."""
DAY_MS = 86_400_000
RARE = 1e-4

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluation:
    """Figures by name; NaN where one does not exist, as for a window without fraud."""

    metrics: dict[str, float]
    recall_by_kind: dict[str, float]
    """Share of each kind's frauds at or above the alert score."""


@dataclass(frozen=True)
class Roc:
    """What each threshold on distinct scores would do, from the highest down; arrays of one length, first (0, 0)."""

    false_positive_rate: Floats
    recall: Floats
    precision: Floats

    def recall_at(self, false_positive_rate: float) -> float:
        """Highest recall at no more than this false-positive rate, without interpolation."""
        return float(self.recall[np.searchsorted(self.false_positive_rate, false_positive_rate, side="right") - 1])

    def auc(self) -> float:
        """Area under recall over false-positive rate: how often a fraud outranks an honest payment."""
        return float(np.trapezoid(self.recall, self.false_positive_rate))

    def average_precision(self) -> float:
        """Mean precision over the frauds, each at its own threshold."""
        return float(np.sum(np.diff(self.recall) * self.precision[1:]))


def roc(score: NDArray[np.generic], is_fraud: Flags) -> Roc:
    """The curve of scores (n,) against outcomes (n,); both classes must be there."""
    order = np.argsort(-np.asarray(score, dtype=np.float64), kind="stable")
    ranked, frauds = np.asarray(score)[order], np.cumsum(is_fraud[order], dtype=np.int64)
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    caught, flagged = frauds[last], last + 1
    honest = is_fraud.size - frauds[-1]
    start = np.zeros(1)
    return Roc(
        np.concatenate([start, (flagged - caught) / honest]),
        np.concatenate([start, caught / frauds[-1]]),
        np.concatenate([start + 1, caught / flagged]),
    )


def evaluate(scores: Scores, payments: pl.DataFrame, alert_score: int) -> Evaluation:
    """Judge scores of n payments with columns event_time, payer, amount (paise), is_fraud, kind."""
    is_fraud = payments["is_fraud"].to_numpy()
    flagged = scores.score >= alert_score
    metrics = {"payments": float(is_fraud.size), "frauds": float(is_fraud.sum())}
    if is_fraud.any() and not is_fraud.all():
        metrics |= _ranking(scores, is_fraud)
        metrics |= _calibration(scores.probability, is_fraud)
        top = highest(scores.margin, TOP_SHARE)
        within = _calibration(scores.probability[top], is_fraud[top])
        metrics |= {f"{name}_top_1_percent": value for name, value in within.items()}
        metrics["card_precision_100"] = card_precision(scores.margin, payments)
    metrics |= _alerts(flagged, is_fraud, payments)
    return Evaluation(metrics, recall_by_kind(flagged, payments))


def highest(score: NDArray[np.generic], share: float) -> Flags:
    """Which of n scores belong to the highest `share`, at least one; those that tie with its last one do too."""
    count = max(1, round(share * score.size))
    flags: Flags = score >= np.partition(score, score.size - count)[score.size - count]
    return flags


def feature_auc(values: NDArray[np.floating], is_fraud: Flags) -> float:
    """AUC of one feature (n,) by itself, in the better direction; NaN counts as the lowest or the highest value,
    whichever tells more. Both classes must be there."""
    missing = np.isnan(values)
    if missing.all():
        return 0.5
    wide = values.astype(np.float64)
    ends = (np.nanmin(wide) - 1, np.nanmax(wide) + 1) if missing.any() else (0.0,)
    areas = [roc(np.where(missing, end, wide), is_fraud).auc() for end in ends]
    return max(max(area, 1 - area) for area in areas)


def card_precision(score: NDArray[np.generic], payments: pl.DataFrame, top: int = TOP_PAYERS) -> float:
    """Card precision@k: mean over days (UTC) of the share of defrauded payers among the `top` highest-scored ones.

    A payer's score is that of its highest payment of the day; one found is not looked at again on later days (Le Borgne
    et al., "Reproducible machine learning for credit card fraud detection", 2022).
    """
    daily = (
        payments.select("payer", "is_fraud", day=pl.col("event_time") // DAY_MS)
        .with_columns(score=pl.Series(np.asarray(score, dtype=np.float64)))
        .group_by("day", "payer")
        .agg(pl.col("score").max(), pl.col("is_fraud").max())
        .sort("day", "score", "payer", descending=[False, True, False])
    )
    found: set[str] = set()
    shares = []
    for today in daily.partition_by("day", maintain_order=True):
        looked_at = today.filter(~pl.col("payer").is_in(list(found))).head(top)
        caught = looked_at.filter("is_fraud")["payer"].to_list()
        found.update(caught)
        shares.append(len(caught) / top)
    return float(np.mean(shares))


def recall_by_kind(flagged: Flags, payments: pl.DataFrame) -> dict[str, float]:
    """Share of the frauds of each kind that is flagged."""
    frauds = payments.select("is_fraud", "kind").with_columns(flagged=pl.Series(flagged)).filter("is_fraud")
    shares = frauds.group_by("kind").agg(pl.col("flagged").mean()).sort("kind")
    return {kind or "unnamed": float(share) for kind, share in shares.iter_rows()}


def _ranking(scores: Scores, is_fraud: Flags) -> dict[str, float]:
    curve = roc(scores.margin, is_fraud)
    figures = {"auc": curve.auc(), "average_precision": curve.average_precision()}
    for rate in FALSE_POSITIVE_RATES:
        recall = curve.recall_at(rate)
        figures[f"recall_at_fpr_{rate}"] = recall
        figures[f"precision_at_fpr_{rate}"] = _precision(recall, rate, float(is_fraud.mean()))
        figures[f"precision_at_fpr_{rate}_1_in_10000"] = _precision(recall, rate, RARE)
    return figures


def _calibration(probability: NDArray[np.float32], is_fraud: Flags) -> dict[str, float]:
    """NaN where a figure does not exist, as the slope among payments that are all fraud."""
    clipped = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    share = float(is_fraud.mean())
    brier = float(np.mean((clipped - is_fraud) ** 2))
    both = 0 < share < 1
    return {
        "brier": brier,
        "brier_skill": 1 - brier / (share * (1 - share)) if both else float("nan"),
        "calibration_slope": slope_of(np.log(clipped) - np.log1p(-clipped), is_fraud) if both else float("nan"),
        "expected_over_observed": _share(float(clipped.mean()), share),
    }


def _alerts(flagged: Flags, is_fraud: Flags, payments: pl.DataFrame) -> dict[str, float]:
    times, rupees = payments["event_time"].to_numpy(), payments["amount"].to_numpy() / 100
    days = max(1.0, float(times.max() - times.min()) / DAY_MS) if times.size else 1.0
    caught = flagged & is_fraud
    recall, false = _share(caught.sum(), is_fraud.sum()), _share((flagged & ~is_fraud).sum(), (~is_fraud).sum())
    return {
        "alerts_per_day": float(flagged.sum()) / days,
        "alert_recall": recall,
        "alert_false_positive_rate": false,
        "alert_precision": _share(caught.sum(), flagged.sum()),
        "alert_precision_1_in_10000": _precision(recall, false, RARE),
        "value_saved_rupees": float(rupees[caught].sum()),
        "value_saved_share": _share(rupees[caught].sum(), rupees[is_fraud].sum()),
    }


def _precision(recall: float, false_positive_rate: float, prevalence: float) -> float:
    return _share(recall * prevalence, recall * prevalence + false_positive_rate * (1 - prevalence))


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
