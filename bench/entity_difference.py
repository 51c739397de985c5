"""Features and scores of the same payments, live and offline, compared: pure functions over arrays.

Entity features depend on when entity risk reached the worker; all others follow from payment and payer, and must be the
same bit for bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.catalogue import FEATURE_NAMES
from models.evaluation import roc
from models.forest import Matrix

Flags = NDArray[np.bool_]
Floats = NDArray[np.float32]

FALSE_POSITIVE_RATES = (0.005, 0.013)


def compare_features(live: Matrix, offline: Matrix, entity: Sequence[str]) -> dict[str, Any]:
    """Each entity feature's differences, and how many payments differ in any other feature (0, or something is wrong).

    A feature that is not among `entity` and differs is listed too, under its own name.
    """
    different = _different(live, offline)
    others = np.array([name not in entity for name in FEATURE_NAMES])
    shown = [name for name in FEATURE_NAMES if name in entity or different[:, FEATURE_NAMES.index(name)].any()]
    return {
        "payments": len(live),
        "any_entity_feature_differs": int(different[:, ~others].any(axis=1).sum()),
        "any_other_feature_differs": int(different[:, others].any(axis=1).sum()),
        "features": {name: _difference(*_columns(live, offline, name)) for name in shown},
    }


def compare_scores(
    live: Floats, offline: Floats, live_flagged: Flags, offline_flagged: Flags, is_fraud: Flags
) -> dict[str, Any]:
    """What the differences do to probabilities, alerts and quality; all arrays (n,)."""
    difference = np.abs(live.astype(np.float64) - offline)
    return {
        "payments": live.size,
        "equal": float(np.mean(live == offline)),
        "difference_mean": float(difference.mean()),
        **{f"difference_p{percent:g}": float(np.percentile(difference, percent)) for percent in (99, 99.9)},
        "difference_max": float(difference.max()),
        "flagged_in_both": int((live_flagged & offline_flagged).sum()),
        "flagged_live_only": int((live_flagged & ~offline_flagged).sum()),
        "flagged_offline_only": int((offline_flagged & ~live_flagged).sum()),
        "quality": {
            "live": _quality(live, live_flagged, is_fraud),
            "offline": _quality(offline, offline_flagged, is_fraud),
        },
    }


def _quality(probability: Floats, flagged: Flags, is_fraud: Flags) -> dict[str, float | int | None]:
    frauds = int(is_fraud.sum())
    counts: dict[str, float | int | None] = {
        "frauds": frauds,
        "alerts": int(flagged.sum()),
        "frauds_alerted": int((flagged & is_fraud).sum()),
    }
    if not 0 < frauds < is_fraud.size:
        return counts
    curve = roc(probability, is_fraud)
    recalls = {f"recall_at_fpr_{rate}": curve.recall_at(rate) for rate in FALSE_POSITIVE_RATES}
    return counts | {"auc": curve.auc(), "average_precision": curve.average_precision(), **recalls}


def _different(live: Matrix, offline: Matrix) -> Flags:
    """Where two values are not the same; NaN is the same as NaN."""
    different: Flags = (live != offline) & ~(np.isnan(live) & np.isnan(offline))
    return different


def _columns(live: Matrix, offline: Matrix, name: str) -> tuple[Floats, Floats]:
    place = FEATURE_NAMES.index(name)
    return live[:, place], offline[:, place]


def _difference(live: Floats, offline: Floats) -> dict[str, float | None]:
    """How often equal, how often known on one side only, and how far apart where both are known."""
    both = ~np.isnan(live) & ~np.isnan(offline)
    apart = np.abs(live[both].astype(np.float64) - offline[both])
    known: dict[str, float | None] = dict.fromkeys(("mean", *(f"difference_{each}" for each in ("mean", "p99", "max"))))
    if both.any():
        known |= {
            "mean": float(offline[both].astype(np.float64).mean()),
            "difference_mean": float(apart.mean()),
            "difference_p99": float(np.percentile(apart, 99)),
            "difference_max": float(apart.max()),
        }
    return {
        "equal": float(np.mean(~_different(live, offline))),
        "known_live_only": float(np.mean(~np.isnan(live) & np.isnan(offline))),
        "known_offline_only": float(np.mean(np.isnan(live) & ~np.isnan(offline))),
        **known,
    }
