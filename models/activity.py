"""What payments and verdicts say about payees, devices and SIMs: rows of entity activity, live and offline."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.batch import tokens_of
from models.engine import CLAMPED, FIRST_PAYEE, NEW_DEVICE, NEW_SIM
from schemas.entity_activity import ACTIVITY, FIRST_TIME, FRAUD, LAYERED, OUTFLOW

ACCOUNT, DEVICE, SIM = 1, 2, 3


def activity_of(
    payments: NDArray[np.void], status: NDArray[np.uint8], payer_known: NDArray[np.bool_], risk: NDArray[np.void]
) -> NDArray[np.void]:
    """Rows of `ACTIVITY` of n payments of PAYMENT, `status` and `risk` as they were judged. Duplicates were left out.

    Money received; money paid, by payers that are known as entities (n,), because only of an account that receives
    is it news that it pays; and the first use of a device or SIM by a payer.
    """
    everything = np.arange(payments.size)
    clamped = (status & CLAMPED) != 0
    times = np.where(clamped, payments["published"], payments["event_time"]).astype(np.int64)

    def part(kind: int, name: str, rows: NDArray[np.int64], flags: NDArray[np.uint8] | int) -> NDArray[np.void]:
        part = np.zeros(rows.size, dtype=ACTIVITY)
        part["kind"], part["flags"] = kind, flags
        part["token"] = tokens_of(payments, name)[rows]
        part["other"] = payments["payer"][rows]
        part["event_time"] = times[rows]
        part["amount"] = payments["amount"][rows]
        return part

    layered = risk["payer_received_day_rupees"] >= payments["amount"] / 100  # not for an unknown payer, who has NaN
    received = np.where(status & FIRST_PAYEE, FIRST_TIME, 0) | np.where(layered, LAYERED, 0)
    new_device, new_sim = np.flatnonzero(status & NEW_DEVICE), np.flatnonzero(status & NEW_SIM)
    return np.concatenate(
        [
            part(ACCOUNT, "payee", everything, received.astype(np.uint8)),
            part(ACCOUNT, "payer", np.flatnonzero(payer_known), OUTFLOW),
            part(DEVICE, "device", new_device, FIRST_TIME),
            part(SIM, "sim", new_sim, FIRST_TIME),
        ]
    )


VERDICTS: tuple[tuple[str, int, int], ...] = (
    ("payee", ACCOUNT, FRAUD),
    ("device", DEVICE, FRAUD),
    ("payer", ACCOUNT, FRAUD | OUTFLOW),
)
"""What a verdict of fraud is about: the entity, its kind, the flags of its row."""


def activity_of_verdicts(tokens: Mapping[str, bytes], times: NDArray[np.int64]) -> NDArray[np.void]:
    """Rows of `ACTIVITY` for n verdicts of fraud: tokens of 16 bytes each of `VERDICTS`' entities, zeros for none."""
    parts = []
    for name, kind, flags in VERDICTS:
        rows = np.zeros(times.size, dtype=ACTIVITY)
        rows["kind"], rows["flags"], rows["event_time"] = kind, flags, times
        rows["token"] = np.frombuffer(tokens[name], dtype="V16")
        parts.append(rows[np.frombuffer(tokens[name], dtype="<u8").reshape(-1, 2).any(axis=1)])
    return np.concatenate(parts)
