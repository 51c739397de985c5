"""Models of several folds, each measured on payments later than all it knew: figures with their spread.

    out-of-fold figures    mean and standard deviation over folds of what the settings give
    comparing treatments   the same folds under no treatment of the imbalance, weights and SMOTE
    searching              `models.training.tuning` grows trees on the same grounds with other parameters

`average_precision` is what is compared and searched for: it looks at the top of the ranking, where alerts are, and it
moves with every fraud's rank, where recall at a false-positive rate jumps by whole frauds. See docs/decisions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from models.bundle import Spread
from models.evaluation import FALSE_POSITIVE_RATES, roc
from models.forest import Matrix
from models.history import History
from models.training.fit import Ground, grow, prepare
from models.training.imbalance import TREATMENTS, treated
from models.training.matrix import margins_of
from models.training.settings import FOLDS_TO_COMPARE, Settings, Treatment
from models.training.splitting import Flags, Split, fold_splits, split
from models.training.spread import spread_of
from models.training.stages import Begin

OBJECTIVE = "average_precision"


@dataclass
class Fold:
    """A fold of a history, ready to grow trees on and to measure them."""

    features: Matrix
    parts: Split
    is_fraud: Flags
    """(n,) of the measured payments: frauds known at T."""
    ground: Ground = field(repr=False)

    def figures(self, settings: Settings) -> dict[str, float]:
        """Grow trees and measure them on the fold's later payments."""
        return ranking(margins_of(grow(self.ground, settings), self.features, self.parts.test), self.is_fraud)


def ranking(margins: NDArray[np.float32], is_fraud: Flags) -> dict[str, float]:
    """AUC, average precision and recall at the usual false-positive rates."""
    curve = roc(margins, is_fraud)
    figures = {"auc": curve.auc(), OBJECTIVE: curve.average_precision()}
    return figures | {f"recall_at_fpr_{rate}": curve.recall_at(rate) for rate in FALSE_POSITIVE_RATES}


@contextmanager
def folds_of(history: History, settings: Settings, treatment: Treatment, begin: Begin) -> Iterator[list[Fold]]:
    """The folds of a history, their payments binned; at least `FOLDS_TO_COMPARE` where none are asked for."""
    count = settings.folds or FOLDS_TO_COMPARE
    splits = fold_splits(history, settings, count)
    is_fraud = fold_outcomes(history, settings)
    advance = begin("binning the folds", count)
    with TemporaryDirectory(prefix="fraudstream-train-", dir=settings.scratch) as home:
        folds = []
        for number, parts in enumerate(splits):
            scratch = _made(Path(home) / str(number)) if settings.external_memory else None
            ground = prepare(treated(history.features, parts, treatment, settings.seed), settings, scratch)
            folds.append(Fold(history.features, parts, is_fraud[parts.test], ground))
            advance(1)
        yield folds
        folds.clear()


def fold_outcomes(history: History, settings: Settings) -> Flags:
    """What a fold's measured payments are judged by: for every payment, a fraud known at T."""
    return split(history, settings).is_known_fraud


def measured(folds: Sequence[Fold], settings: Settings, begin: Begin, what: str) -> dict[str, Spread]:
    """Each figure over the folds."""
    advance = begin(what, len(folds))
    figures = []
    for fold in folds:
        figures.append(fold.figures(settings))
        advance(1)
    return {name: spread_of([each[name] for each in figures]) for name in figures[0]}


def compared(history: History, settings: Settings, begin: Begin) -> dict[Treatment, dict[str, Spread]]:
    """Out-of-fold figures under each treatment of the imbalance."""
    figures = {}
    for treatment in TREATMENTS:
        with folds_of(history, settings, treatment, begin) as folds:
            figures[treatment] = measured(folds, settings, begin, f"measuring {treatment}")
    return figures


def best_treatment(figures: dict[Treatment, dict[str, Spread]]) -> Treatment:
    """The treatment with the highest mean objective; "none" unless another is better by more than a standard error.

    The error is that of the differences fold by fold: what makes a fold hard is the same for all.
    """
    plain = np.array(figures["none"][OBJECTIVE].values)
    best: Treatment = "none"
    gain = 0.0
    for treatment in TREATMENTS[1:]:
        differences = np.array(figures[treatment][OBJECTIVE].values) - plain
        error = differences.std(ddof=1) / np.sqrt(differences.size)
        if differences.mean() > max(gain, error):
            best, gain = treatment, float(differences.mean())
    return best


def _made(path: Path) -> Path:
    path.mkdir()
    return path
