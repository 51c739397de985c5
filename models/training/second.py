"""The second opinion beside a model as it alerts: what `models.second_fit` needs to know of both."""

from collections.abc import Callable

import numpy as np

from models import calibration, second_fit
from models.history import History
from models.training.judging import Judgement
from models.training.matrix import Rows, rows_of
from models.training.settings import Settings
from models.training.splitting import Flags, Split


def second_opinion(
    history: History, parts: Split, model: Judgement, settings: Settings, after_tree: Callable[[], None]
) -> second_fit.Fitted | None:
    """None where none is asked for. In the test all verdicts count that are known by now."""
    if settings.second_opinion is None:
        return None

    def part(rows: Rows, is_fraud: Flags) -> second_fit.Part:
        margins = model.booster.inplace_predict(rows_of(history.features, rows), predict_type="margin")
        score = calibration.score_of(model.calibration.log_odds(margins))
        return second_fit.Part(rows, is_fraud[rows], score >= model.alert_score)

    nobody = np.zeros(parts.train.size, np.bool_)
    return second_fit.fit(
        history.features,
        second_fit.Part(parts.train, parts.is_known_fraud[parts.train], nobody),
        part(parts.validation, parts.is_known_fraud),
        part(parts.test, history.payments["is_fraud"].to_numpy()) if parts.test.size else None,
        settings.second_opinion,
        seed=settings.seed,
        threads=settings.threads,
        progress=lambda count: after_tree(),
    )
