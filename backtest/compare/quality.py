"""How well a probability ranks and whether it means what it says; and how far two models agree in ranking."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.compare.comparison import Bin, Quality
from backtest.compare.figures import share
from backtest.result import Judge
from models.calibration import MAX_SCORE
from models.evaluation import roc
from models.report.findings.trust import LEAST_PAYMENTS, STEP


def quality(payments: pl.LazyFrame, judge: Judge, histogram: pl.DataFrame) -> Quality:
    """Of all payments: ranking needs their probabilities in memory, about 50 bytes each, the rest the histogram."""
    frauds = int(histogram.filter("is_fraud")["payments"].sum())
    count, expected = int(histogram["payments"].sum()), float(histogram["predicted"].sum())
    auc = average_precision = None
    if 0 < frauds < count:
        columns = payments.select(p=judge.column("probability"), is_fraud="is_fraud").collect(engine="streaming")
        curve = roc(columns["p"].to_numpy(), columns["is_fraud"].to_numpy())
        auc, average_precision = curve.auc(), curve.average_precision()
    return Quality(
        auc=auc,
        average_precision=average_precision,
        brier=share(float(histogram["squared"].sum()), count),
        expected_frauds=expected,
        expected_over_observed=share(expected, frauds),
        bins=_bins(histogram),
    )


def rank_agreement(pairs: pl.DataFrame) -> float | None:
    """Spearman's correlation from counts of pairs of scores, equal scores sharing their mean rank; None where one model
    gives all payments the same score."""
    count = pairs["payments"].to_numpy().astype(np.float64)
    one, other = (_ranks(pairs[name].to_numpy(), count) for name in ("one", "other"))
    spread = np.sqrt((count @ one**2) * (count @ other**2))
    return float(count @ (one * other) / spread) if spread > 0 else None


def _ranks(score: NDArray[np.int16], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of the scores less their mean."""
    each = np.bincount(score, count, MAX_SCORE + 1)
    middle = np.cumsum(each) - each / 2 - count.sum() / 2
    return middle[score]


def _bins(histogram: pl.DataFrame) -> tuple[Bin, ...]:
    """From the highest scores down; neighbours are joined until each has enough payments."""
    found = []
    score, payments = histogram["score"].to_numpy(), histogram["payments"].to_numpy()
    frauds, predicted = payments * histogram["is_fraud"].to_numpy(), histogram["predicted"].to_numpy()
    high = MAX_SCORE
    for low in range(MAX_SCORE // STEP * STEP, -1, -STEP):
        within = (score >= low) & (score <= high)
        count = int(payments[within].sum())
        if count < LEAST_PAYMENTS and low > 0:
            continue
        if count:
            mean = float(predicted[within].sum()) / count
            found.append(Bin(low=low, high=high, payments=count, frauds=int(frauds[within].sum()), predicted=mean))
        high = low - 1
    return tuple(found)
