"""Scoring: features in, margin, calibrated probability, score and band out. One call for a whole batch.

A payment's score does not depend on the batch it came in. The trees run compiled (`models.forest`): a small batch costs
no more a payment than a large one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.bundle import Band, Bundle, BundleError
from models.calibration import Calibration, probability_of, score_of
from models.drift import reference_of
from models.forest import Forest, Matrix
from models.second_opinion import score_of as rarity_of

if TYPE_CHECKING:
    from xgboost import Booster

PROBES = 64
"""Payments made of the trees' own thresholds, on which compiled trees have to agree with XGBoost."""
TOLERANCE = 1e-3
"""In log-odds; single precision leaves about 1e-5."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of n payments; every array is (n,)."""

    margin: NDArray[np.float32]
    """Raw output, log-odds before calibration."""
    probability: NDArray[np.float32]
    """Calibrated probability of fraud."""
    score: NDArray[np.int16]
    """0 to 1000, see `models.calibration`."""
    band: NDArray[np.uint8]
    """Index into the bundle's bands."""

    def __len__(self) -> int:
        return self.margin.size


def scores_of(margin: NDArray[np.float32], calibration: Calibration, band_starts: NDArray[np.int16]) -> Scores:
    """Calibrated scores of margins (n,); `band_starts` are the lowest scores of all bands but the first."""
    log_odds = calibration.log_odds(margin)
    score = score_of(log_odds)
    band = np.searchsorted(band_starts, score, side="right").astype(np.uint8)
    return Scores(margin, probability_of(log_odds), score, band)


def band_starts(bands: Sequence[Band]) -> NDArray[np.int16]:
    """The lowest scores of all bands but the first."""
    return np.array([band.from_score for band in bands[1:]], dtype=np.int16)


class Scorer:
    """A bundle's model in memory. Raises BundleError for a bundle whose trees it cannot reproduce."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.bands: tuple[str, ...] = tuple(band.name for band in bundle.manifest.bands)
        self.reference = reference_of(bundle)
        """What payments were like at its validation; None for a bundle that does not say."""
        self._forest = _compiled_forest(bundle, bundle.booster())
        second = bundle.second_booster()
        self._second = None if second is None else _compiled_forest(bundle, second)
        self._calibration = bundle.manifest.calibration
        self._band_starts = band_starts(bundle.manifest.bands)

    def score(self, features: Matrix) -> Scores:
        """Scores of features (n, 85), float32, NaN for unknown."""
        return scores_of(self._forest.margin(features), self._calibration, self._band_starts)

    def contributions(self, features: Matrix) -> NDArray[np.float64]:
        """SHAP contributions (k, 86) to the margins of features (k, 85); the last column is the base value."""
        return self._forest.contributions(features)

    def second_score(self, features: Matrix) -> NDArray[np.int16] | None:
        """The second opinion's scores (n,) of features (n, 85), see `models.second_opinion`; None without one."""
        about, margin = self.bundle.manifest.second_opinion, self.second_margin(features)
        return None if about is None or margin is None else rarity_of(margin, about.ruler)

    def second_margin(self, features: Matrix) -> NDArray[np.float32] | None:
        """The second opinion's margins (n,) of features (n, 85): finer than scores; None without one."""
        return None if self._second is None else self._second.margin(features)

    def second_contributions(self, features: Matrix) -> NDArray[np.float64]:
        """The same as `contributions`, of the second opinion. Only for a bundle that has one."""
        assert self._second is not None, "without a second opinion nothing is decided by it"
        return self._second.contributions(features)


def _compiled_forest(bundle: Bundle, booster: "Booster") -> Forest:
    """Trees of a bundle, compiled and compared with XGBoost's own predictions where they branch."""
    try:
        forest = Forest.of(booster)
    except ValueError as error:
        raise BundleError(
            f"the bundle {bundle.path} holds trees of a kind that cannot be compiled: {error}",
            hint="train it with fraudstream train",
        ) from error
    random = np.random.default_rng(0)
    probes = random.choice(forest.nodes["threshold"], (PROBES, forest.features))  # +inf among them, from the leaves
    probes[random.random(probes.shape) < 0.2] = np.nan
    theirs = booster.inplace_predict(probes, predict_type="margin")
    ours, explained = forest.margin(probes), forest.contributions(probes).sum(axis=1)
    if max(np.abs(ours - theirs).max(), np.abs(explained - theirs).max()) > TOLERANCE:
        raise BundleError(
            f"the compiled trees of the bundle {bundle.path} do not give XGBoost's margins",
            hint="report it, with the bundle and the version of XGBoost",
        )
    return forest
