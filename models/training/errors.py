"""What can go wrong in training, for the person who started it."""

from schemas.errors import FraudStreamError


class TrainingError(FraudStreamError):
    """A history that no model can be trained on, or a wish that this machine cannot fulfil."""
