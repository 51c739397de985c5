"""When payments have moved so far that a model should be trained again: the settings of `models.drift`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RetrainPolicy:
    """When a shift asks for retraining."""

    psi: float = 0.25
    """The limit, beyond what is usual, from which the score or a feature has shifted."""
    features: int = 6
    """So many shifted features ask for it; a shifted score does by itself."""
    payments: int = 2_000
    """Nothing is asked for by fewer payments than this."""
    hours: int = 20
    """Nor by payments of fewer different hours: a night is not like a day."""


POLICY = RetrainPolicy()
"""Where nothing else is set."""
