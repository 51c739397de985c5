"""Figures that were measured several times: their mean, how far they scatter, and between what the mean lies."""

import math
from collections.abc import Sequence

import numpy as np

from models.bundle import Spread

_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t at 97.5 % for 1 to 10 degrees of freedom; beyond, 2.23 is a little more than needed."""


def spread_of(values: Sequence[float]) -> Spread:
    """Mean, standard deviation and 95 % interval of the mean (Student's t); no interval around a single value.

    Values that do not exist (NaN) are left out.
    """
    known = [float(value) for value in values if not math.isnan(value)]
    if not known:
        return Spread(mean=None, sd=None, low=None, high=None, values=())
    mean = float(np.mean(known))
    if len(known) == 1:
        return Spread(mean=mean, sd=None, low=None, high=None, values=tuple(known))
    sd = float(np.std(known, ddof=1))
    half = _T_95[min(len(known) - 2, len(_T_95) - 1)] * sd / math.sqrt(len(known))
    return Spread(mean=mean, sd=sd, low=mean - half, high=mean + half, values=tuple(known))
