"""What can go wrong in training, for the person who started it."""

import importlib
from typing import Any

from schemas.errors import FraudStreamError


class TrainingError(FraudStreamError):
    """A history that no model can be trained on, or a wish that this machine cannot fulfil."""


def required(module: str, what: str) -> Any:
    """A library that only some ways of training need. Raises TrainingError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise TrainingError(
            f"{what} needs {module.partition('.')[0]}, which is not installed", hint="pip install 'fraudstream[train]'"
        ) from None
