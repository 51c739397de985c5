"""The rule baseline of the paper: five rules added up to a score.

    from bench.paper_rules import rule_score
    score = rule_score(history.features)

What a bank has before it has a model, and what the paper compares its own with: a speed no traveller reaches, a
typist faster than a person, a large amount in the middle of the night, a new device, a first payment to an account on
the mule list. Each counts 1. Payments with the same count are worked off from the largest amount down, as an analyst
would: the amount adds less than 1 and never outweighs a rule.
"""

import numpy as np
from numpy.typing import NDArray

from models.catalogue import position

SPEED_KMH = 150.0
TYPING_MS = 100.0
NIGHT_RUPEES = 50_000.0
NIGHT_ENDS_HOUR = 5
TIE_RUPEES = 50_000.0
"""The amount that adds a half."""


def rule_score(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score (n,) of a feature matrix (n, 85): 0 to just under 6. What is not known breaks no rule."""
    rupees = _column(features, "amount_rupees")
    return fired(features).sum(axis=1) + rupees / (rupees + TIE_RUPEES)


def fired(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n, 5): which of the rules each payment breaks, in the order of the module's docstring."""
    return np.column_stack(
        [
            _column(features, "speed_kmh") > SPEED_KMH,
            _column(features, "typing_interval_ms") < TYPING_MS,
            (_column(features, "amount_rupees") >= NIGHT_RUPEES) & (_column(features, "hour_of_day") < NIGHT_ENDS_HOUR),
            _column(features, "device_new") > 0,
            (_column(features, "payee_first") > 0) & (_column(features, "payee_mule_flag") > 0),
        ]
    )


def _column(features: NDArray[np.float32], name: str) -> NDArray[np.float64]:
    """A feature's column; NaN, which compares as false, where it is not known."""
    return features[:, position(name)].astype(np.float64)
