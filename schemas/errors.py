"""Errors that say what to do next: the base of every error FraudStream raises on purpose."""


class FraudStreamError(Exception):
    """Something in the world went wrong. `hint` is the reader's next action; "" when there is none."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class DecodeError(FraudStreamError):
    """Bytes that are not the record they should be: never retried, the record is set aside.

    `code` is one of `schemas.dead_letter.RejectCode`. The message names the field and the rule it broke,
    never the value: it goes to logs and dead letters, where personal data must not be.
    """

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NewerVersion(FraudStreamError):
    """Bytes that a newer build wrote: not damage, and this build must leave them alone."""

    def __init__(self, what: str, version: int, known: int) -> None:
        super().__init__(
            f"{what} has version {version}, this build reads up to {known}",
            hint="a newer build wrote it: start that one again; to go back to this one, it must have kept to the older "
            "--state-format: docs/operations.md, Upgrades",
        )
