"""What payments and verdicts say about payees, devices and SIMs: rows of entity activity, live and offline."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.batch import tokens_of
from models.engine import CLAMPED, FIRST_PAYEE, NEW_DEVICE, NEW_SIM
from models.tokens import Tokeniser
from schemas.entity_activity import ACTIVITY, FIRST_TIME, FRAUD, LAYERED, OUTFLOW

ACCOUNT, DEVICE, SIM = 1, 2, 3


def activity_of(payments: NDArray[np.void], status: NDArray[np.uint8], risk: NDArray[np.void]) -> NDArray[np.void]:
    """Rows of `ACTIVITY` of n payments of PAYMENT, `status` and `risk` as they were judged. Duplicates were left out.

    Money received; money paid, by payers of whom entity risk is known, because only of an account that receives is it
    news that it pays; and the first use of a device or SIM by a payer. `models.chunk` applies the same offline.
    """
    clamped = (status & CLAMPED) != 0
    times = np.where(clamped, payments["published"], payments["event_time"]).astype(np.int64)
    layered = risk["payer_received_day_rupees"] >= payments["amount"] / 100  # not for an unknown payer, who has NaN
    received = np.where(status & FIRST_PAYEE, FIRST_TIME, 0) | np.where(layered, LAYERED, 0)
    parts: tuple[tuple[int, str, NDArray[np.int64], NDArray[Any] | int], ...] = (
        (ACCOUNT, "payee", np.arange(payments.size), received),
        (ACCOUNT, "payer", np.flatnonzero(~np.isnan(risk["payer_received_day_rupees"])), OUTFLOW),
        (DEVICE, "device", np.flatnonzero(status & NEW_DEVICE), FIRST_TIME),
        (SIM, "sim", np.flatnonzero(status & NEW_SIM), FIRST_TIME),
    )
    activity = np.zeros(sum(rows.size for _, _, rows, _ in parts), dtype=ACTIVITY)
    start = 0
    for kind, name, rows, flags in parts:
        if rows.size:
            part = activity[start : start + rows.size]
            part["kind"], part["flags"] = kind, flags
            part["token"] = tokens_of(payments, name)[rows]
            part["other"] = payments["payer"][rows]
            part["event_time"] = times[rows]
            part["amount"] = payments["amount"][rows]
            start += rows.size
    return activity


Texts = Sequence[str | None]


class Verdicts(NamedTuple):
    """Rows of `ACTIVITY`, and of which verdict each is."""

    activity: NDArray[np.void]
    of: NDArray[np.int64]


VERDICTS: tuple[tuple[str, int, int], ...] = (
    ("payee", ACCOUNT, FRAUD),
    ("device", DEVICE, FRAUD),
    ("payer", ACCOUNT, FRAUD | OUTFLOW),
)
"""What a verdict of fraud is about: the entity, its kind, the flags of its row."""


def activity_of_verdicts(tokeniser: Tokeniser, verdicts: Mapping[str, Texts], times: NDArray[np.int64]) -> Verdicts:
    """What n verdicts of fraud say, of `VERDICTS`' entities by name, None where one is not known; times epoch ms."""
    parts, of = [], []
    for name, kind, flags in VERDICTS:
        tokens = tokeniser.tokens([("device" if kind == DEVICE else "account", verdicts[name])])
        rows = np.zeros(times.size, dtype=ACTIVITY)
        rows["kind"], rows["flags"], rows["event_time"] = kind, flags, times
        rows["token"] = np.frombuffer(tokens, dtype="V16")
        known = np.flatnonzero([text is not None for text in verdicts[name]])
        parts.append(rows[known])
        of.append(known)
    return Verdicts(np.concatenate(parts), np.concatenate(of))


def activity_of_frauds(payments: NDArray[np.void]) -> Verdicts:
    """The same of payments of PAYMENT that turned out to be fraud."""
    parts, of = [], []
    for name, kind, flags in VERDICTS:
        tokens = tokens_of(payments, name)
        known = np.flatnonzero((payments[name] != 0) | (payments[f"{name}_low"] != 0))
        rows = np.zeros(known.size, dtype=ACTIVITY)
        rows["kind"], rows["flags"], rows["token"] = kind, flags, tokens[known]
        rows["event_time"] = payments["event_time"][known]
        parts.append(rows)
        of.append(known)
    return Verdicts(np.concatenate(parts), np.concatenate(of))
