"""From a model's margin to a probability that means what it says, and to the score people read.

Beta calibration (M. Kull, T. Silva Filho, P. Flach, "Beta calibration", AISTATS 2017) of a margin m, in log-odds:

    c + b * softplus(m) - a * softplus(-m)        softplus(m) = log(1 + exp(m))

Three numbers bend a margin below and above even odds separately, where Platt's two bend both alike; isotonic regression
makes plateaus that take thresholds away just where fraud is rare. See docs/decisions for the measurement.

The score is a ruler on the log-odds, the same for every model: 500 is even odds, and 125 points are ten times the odds.
"""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

EVEN_ODDS = 500
POINTS_PER_TENFOLD = 125
MAX_SCORE = 1000
LEAST_SLOPE = 0.05
"""No slope falls below this: a higher margin is always a higher probability."""
PRIOR_WEIGHT = 10.0
"""How strongly slopes are held at 1, the margin as it is: some two hundred frauds say little about a slope above even
odds. See docs/decisions/0017-defaults.md."""
MAX_STEPS = 100

Floats = NDArray[np.float64]
Slope = Annotated[float, Meta(ge=LEAST_SLOPE, le=1e6)]


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the map above. The default leaves a margin as it is."""

    a: Slope = 1.0
    """Slope below even odds."""
    b: Slope = 1.0
    """Slope above even odds."""
    c: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0
    """Shift, in log-odds."""

    def log_odds(self, margin: NDArray[np.floating]) -> Floats:
        """Calibrated log-odds (n,) of margins (n,); increasing."""
        wide = np.asarray(margin, dtype=np.float64)
        log_odds: Floats = self.c + self.b * np.logaddexp(0.0, wide) - self.a * np.logaddexp(0.0, -wide)
        return log_odds


def probability_of(log_odds: Floats) -> NDArray[np.float32]:
    """Probability of fraud, 0 to 1."""
    return (0.5 * (1.0 + np.tanh(0.5 * log_odds))).astype(np.float32)


def score_of(log_odds: Floats) -> NDArray[np.int16]:
    """Score, 0 to 1000: `500 + 125 log10(odds)`, rounded down and clipped at odds of 1 to 10,000 and 10,000 to 1."""
    scores = np.floor(EVEN_ODDS + POINTS_PER_TENFOLD / math.log(10) * log_odds)
    return np.clip(scores, 0, MAX_SCORE).astype(np.int16)


def odds_at(score: int) -> float:
    """The odds of fraud from which a payment has at least `score`."""
    return float(10 ** ((score - EVEN_ODDS) / POINTS_PER_TENFOLD))


def fit(margin: NDArray[np.floating], frauds: NDArray[np.bool_ | np.floating]) -> Calibration:
    """Calibration with the highest likelihood on payments the model was not fitted on.

    `margin` and `frauds` are (n,). A known fraud may stand for more than one, 1 / g of it where only the share g of
    such frauds is known yet: the others are among the honest, and what they add to the loss there is taken off again.
    Raises ValueError when one of the two classes is absent.
    """
    if not (frauds > 0).any() or (frauds > 0).all():
        raise ValueError("calibration needs frauds and honest payments")
    wide = np.asarray(margin, dtype=np.float64)
    columns = np.stack([-np.logaddexp(0.0, -wide), np.logaddexp(0.0, wide), np.ones_like(wide)], axis=1)
    start, prior = np.array([1.0, 1.0, 0.0]), np.array([PRIOR_WEIGHT, PRIOR_WEIGHT, 0.0])
    free = np.array([True, True, True])
    theta = start
    for _ in range(2):
        theta = _maximise(columns, frauds.astype(np.float64), theta, start, prior, free)
        low = free[:2] & (theta[:2] < LEAST_SLOPE)
        if not low.any():
            break
        theta[:2][low] = LEAST_SLOPE
        free[:2][low] = False
    a, b, c = (float(value) for value in theta)
    return Calibration(a=max(a, LEAST_SLOPE), b=max(b, LEAST_SLOPE), c=c)


def slope_of(log_odds: Floats, is_fraud: NDArray[np.bool_]) -> float:
    """Slope of a logistic regression of the outcome on the log-odds: 1 is calibrated, below 1 overconfident."""
    columns = np.stack([np.asarray(log_odds, dtype=np.float64), np.ones(log_odds.size)], axis=1)
    start, prior, free = np.array([1.0, 0.0]), np.array([PRIOR_WEIGHT, 0.0]), np.array([True, True])
    return float(_maximise(columns, is_fraud.astype(np.float64), start, start, prior, free)[0])


def _maximise(
    columns: Floats, outcome: Floats, theta: Floats, centre: Floats, prior: Floats, free: NDArray[np.bool_]
) -> Floats:
    """Logistic regression with a Gaussian prior, by Newton's steps, halved until they help."""
    theta = theta.copy()
    loss = _loss(columns, outcome, theta, centre, prior)
    for _ in range(MAX_STEPS):
        fitted = 0.5 * (1.0 + np.tanh(0.5 * (columns @ theta)))
        gradient = columns.T @ (fitted - outcome) + prior * (theta - centre)
        curvature = (columns * (fitted * (1 - fitted))[:, None]).T @ columns + np.diag(prior + 1e-9)
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        size = 1.0
        while size > 1e-6 and _loss(columns, outcome, theta - size * step, centre, prior) > loss:
            size /= 2
        if size <= 1e-6:
            break
        theta -= size * step
        before, loss = loss, _loss(columns, outcome, theta, centre, prior)
        if before - loss < 1e-9 * (1 + abs(loss)):
            break
    return theta


def _loss(columns: Floats, outcome: Floats, theta: Floats, centre: Floats, prior: Floats) -> float:
    log_odds = columns @ theta
    likelihood = np.sum(np.logaddexp(0.0, log_odds) - outcome * log_odds)
    return float(likelihood + 0.5 * np.sum(prior * (theta - centre) ** 2))
