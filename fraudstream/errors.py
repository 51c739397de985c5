"""Errors for the person at the terminal."""

from schemas.errors import FraudStreamError


class UserError(FraudStreamError):
    """What was asked cannot be done. The command line prints message and hint, and exits with 1."""
