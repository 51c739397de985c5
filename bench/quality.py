"""How good the scores of a run were, by period: decisions joined with labels."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from models.evaluation import card_precision, roc

FALSE_POSITIVE_RATE = 0.013


def quality(judged: pl.DataFrame, periods: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, float | int | None]]:
    """By period (from, to; epoch ms): payments, frauds, alerts, AUC and the like; None where a figure does not exist.

    `judged` has event_time, payer, probability, flagged, is_fraud.
    """
    return {
        name: _figures(judged.filter(pl.col("event_time").is_between(start, end, closed="left")))
        for name, (start, end) in periods.items()
    }


def _figures(judged: pl.DataFrame) -> dict[str, float | int | None]:
    is_fraud, flagged = judged["is_fraud"].to_numpy(), judged["flagged"].to_numpy()
    figures: dict[str, float | int | None] = {
        "payments": judged.height,
        "frauds": int(is_fraud.sum()),
        "alerts": int(flagged.sum()),
        "frauds_alerted": int((flagged & is_fraud).sum()),
    }
    if not is_fraud.any() or is_fraud.all():
        return figures | {"auc": None, "average_precision": None, "recall_at_fpr_0.013": None}
    probability = judged["probability"].to_numpy().astype(np.float64)
    curve = roc(probability, is_fraud)
    return figures | {
        "auc": round(curve.auc(), 4),
        "average_precision": round(curve.average_precision(), 4),
        f"recall_at_fpr_{FALSE_POSITIVE_RATE}": round(curve.recall_at(FALSE_POSITIVE_RATE), 4),
        "card_precision_100": round(card_precision(probability, judged), 4),
    }
