"""What an attacker may adapt, each by itself: the rhythm of his hands, where he seems to be, how much, how fast.

Whether a campaign is adapted is a hash, not a draw: a larger share adapts more campaigns and leaves everything else
about the world as it was, so that the same attack can be compared with and without.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from simulator.arrays import Bools, uniform

Aspect = Literal["rhythm", "location", "amount", "timing"]
ASPECTS: tuple[Aspect, ...] = ("rhythm", "location", "amount", "timing")
_ADAPTED = 65


def adapted(shares: Mapping[str, float], seed: int, plan: int, kind: int, count: int) -> dict[Aspect, Bools]:
    """For each aspect, which of a plan's `count` campaigns of a kind are adapted in it."""
    campaign = np.arange(count)
    return {
        aspect: uniform(seed, _ADAPTED, number, plan, kind, campaign) < shares[aspect]
        for number, aspect in enumerate(ASPECTS)
    }
