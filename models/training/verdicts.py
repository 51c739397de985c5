"""How many frauds a known one stands for: verdicts on recent payments are still on their way.

Of frauds t days before the cutoff only those are known whose verdict took at most t days. The share G(t) of verdicts
that take no longer is estimated from the delays of those known, each seen only because it was at most its own age: the
product-limit estimator for right-truncated data (D. Lynden-Bell, "A method of allowing for known observational
selection in small samples", 1971), which goes through the delays from the longest down. A known fraud of age t then
stands for 1 / G(t) of them. Verdicts that would take longer than the history is long, or never come, are not in it.
"""

import numpy as np
from numpy.typing import NDArray

from models.history import History
from models.training.splitting import Split

Floats = NDArray[np.float64]

MOST = 4.0
"""A verdict stands for no more than so many: of the last days too few are known to say."""


def verdicts_due(history: History, parts: Split) -> Floats:
    """For every payment of the history, how many frauds it stands for: 0 for one not known as fraud at the cutoff."""
    known = parts.is_known_fraud
    times = history.payments["event_time"].to_numpy()[known]
    delay = history.payments["known_at"].to_numpy()[known] - times
    stands_for = np.zeros(known.size)
    stands_for[known] = np.minimum(1 / arrived(delay, parts.cutoff - times), MOST)
    return stands_for


def arrived(delay: NDArray[np.integer], age: NDArray[np.integer]) -> Floats:
    """Share (n,) of verdicts that arrive within each `age` (n,), from `delay` (n,) of those that did, each at most its
    age."""
    order = np.argsort(delay, kind="stable")
    sorted_delay, sorted_age = delay[order], np.sort(age)
    # At risk of having been delay d: what took at most as long, and was old enough to show it.
    at_most = np.searchsorted(sorted_delay, sorted_delay, side="right")
    too_young = np.searchsorted(sorted_age, sorted_delay, side="left")
    stays = 1 - 1 / np.maximum(at_most - too_young, 1)
    stays[at_most - too_young <= 1] = 1.0  # a single one says nothing of the rest
    beyond = np.append(np.cumprod(stays[::-1])[::-1], 1.0)  # product over delays of the k-th and later
    share: Floats = beyond[np.searchsorted(sorted_delay, age, side="right")]
    return share
