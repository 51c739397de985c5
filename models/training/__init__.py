"""Training: a history's features and what was known of them become a bundle's manifest and trees.

Everything is split by time, as if one stood at the cutoff T:

    start ── train ──┬── validation ──┐ T − label delay    T ┌── test ── end
                     │                │  (left out: verdicts │
             trees fitted on   stops the growing,   due yet) │  measured with all verdicts known by now
                               calibrates, bands

Up to T a payment counts as fraud only if its verdict was known by T; a fraud not known then counts as honest, as it
would have on that day. Features carry verdicts of other payments only from when they became known (`models.history`).

    run          the whole of it, in one function
    splitting    the parts above, and folds before the cutoff
    imbalance    weights and synthetic frauds
    matrix       features in memory or on disk, binned for XGBoost
    fit          growing trees; constraints: where risk must be monotone; device: on which processor
    folds        figures over folds, treatments compared
    tuning       the search for better parameters
    judging      calibration, bands, threshold, measurement; budget: the threshold in the bank's own terms
"""

from models.training.budget import DAY_MS, Budget, score_at
from models.training.errors import TrainingError
from models.training.run import Trained, train, usual_values
from models.training.settings import Settings
from models.training.splitting import LEAST_FRAUDS, Split, split
from models.training.tuning import Search

__all__ = [
    "DAY_MS",
    "LEAST_FRAUDS",
    "Budget",
    "Search",
    "Settings",
    "Split",
    "Trained",
    "TrainingError",
    "score_at",
    "split",
    "train",
    "usual_values",
]
