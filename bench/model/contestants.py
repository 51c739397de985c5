"""The models of the table: each is fitted on the same payments, features and labels, and gives margins in log-odds.

The champion is what `fraudstream train` makes, with its own calibration and alert score. The others' margins are
calibrated on the validation payments by the same function, and alert from the score that the same share of the honest
ones there reaches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.paper_rules import rule_score
from models import calibration
from models.calibration import Calibration
from models.catalogue import CATALOGUE
from models.forest import Matrix
from models.history import History
from models.training import Settings, Split, score_at, train

Margins = NDArray[np.float32]
Model = Callable[[Matrix], Margins]

LEAST_PROBABILITY = 1e-6
"""A forest whose trees all say never does not mean it."""


@dataclass(frozen=True)
class Fitted:
    """A model ready to be judged."""

    margins: Model
    calibration: Calibration
    alert_score: int


@dataclass(frozen=True)
class Material:
    """What is there to learn from, the same for all."""

    history: History
    parts: Split
    settings: Settings
    """The champion's; the split and the alert's false-positive rate are everybody's."""
    created_at: int
    """Epoch ms; goes into the champion's manifest."""

    def part(self, rows: NDArray[np.int64]) -> tuple[Matrix, NDArray[np.bool_]]:
        """Features and known frauds of some rows."""
        return self.history.features[rows], self.parts.is_known_fraud[rows]


def champion(material: Material, settings: Mapping[str, Any]) -> Fitted:
    """XGBoost by `models.training.train`; `settings` are in the material already."""
    import xgboost

    trained = train(material.history, material.settings, created_at=material.created_at)
    booster = xgboost.Booster()
    booster.load_model(bytearray(trained.model))
    return Fitted(
        lambda features: booster.inplace_predict(features, predict_type="margin"),
        trained.manifest.calibration,
        trained.manifest.alert_score,
    )


def paper_rules(material: Material, settings: Mapping[str, Any]) -> Fitted:
    """The paper's rules, added up; nothing is fitted but the calibration."""
    return _calibrated(lambda features: np.asarray(rule_score(features), dtype=np.float32), material)


def logistic_regression(material: Material, settings: Mapping[str, Any]) -> Fitted:
    """Scikit-learn's, on scaled logarithms with indicators of what is missing."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    model = make_pipeline(
        FunctionTransformer(compressed),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(random_state=material.settings.seed, **settings),
    )
    model.fit(*material.part(material.parts.train))
    return _calibrated(lambda features: model.decision_function(features).astype(np.float32), material)


def random_forest(material: Material, settings: Mapping[str, Any]) -> Fitted:
    """Scikit-learn's; the mean of its trees' shares as log-odds."""
    from sklearn.ensemble import RandomForestClassifier

    threads = material.settings.threads or -1
    model = RandomForestClassifier(random_state=material.settings.seed, n_jobs=threads, **settings)
    model.fit(*material.part(material.parts.train))
    return _calibrated(lambda features: _log_odds(model.predict_proba(features)[:, 1]), material)


def lightgbm(material: Material, settings: Mapping[str, Any]) -> Fitted:
    """LightGBM's trees, stopped by the log loss of validation as the champion's are."""
    import lightgbm as library

    given = {key: value for key, value in settings.items() if key not in ("num_boost_round", "early_stopping")}
    seed, threads = material.settings.seed, material.settings.threads
    fixed = {"objective": "binary", "metric": "binary_logloss", "deterministic": True, "force_row_wise": True}
    features, is_fraud = material.part(material.parts.train)
    fitted = library.Dataset(features, is_fraud)
    model = library.train(
        {**fixed, "verbosity": -1, "seed": seed, "num_threads": threads, **given},
        fitted,
        num_boost_round=settings["num_boost_round"],
        valid_sets=[library.Dataset(*material.part(material.parts.validation), reference=fitted)],
        callbacks=[library.early_stopping(settings["early_stopping"], verbose=False)],
    )
    return _calibrated(lambda features: model.predict(features, raw_score=True).astype(np.float32), material)


def compressed(features: Matrix) -> Matrix:
    """Features with `sign(x) log(1 + |x|)` in place of what is not a flag: amounts, times and counts span decades."""
    wide = np.array([feature.unit != "flag" for feature in CATALOGUE])
    return np.where(wide, np.copysign(np.log1p(np.abs(features)), features), features)


def _log_odds(probability: NDArray[np.float64]) -> Margins:
    clipped = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return (np.log(clipped) - np.log1p(-clipped)).astype(np.float32)


def _calibrated(model: Model, material: Material) -> Fitted:
    features, is_fraud = material.part(material.parts.validation)
    margins = model(features)
    fitted = calibration.fit(margins, is_fraud)
    score = calibration.score_of(fitted.log_odds(margins))
    return Fitted(model, fitted, score_at(score[~is_fraud], material.settings.alert_false_positive_rate))


CONTESTANTS: dict[str, tuple[str, Callable[[Material, Mapping[str, Any]], Fitted]]] = {
    "champion": ("FraudStream (XGBoost)", champion),
    "lightgbm": ("LightGBM", lightgbm),
    "random_forest": ("random forest", random_forest),
    "logistic_regression": ("logistic regression", logistic_regression),
    "paper_rules": ("the paper's rules", paper_rules),
}
"""By name: title and how it is fitted, in the table's order."""
