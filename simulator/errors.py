"""The simulator's own error."""

from schemas.errors import FraudStreamError


class SimulatorError(FraudStreamError):
    """A simulation that cannot be run as asked."""
