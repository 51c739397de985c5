"""Entity risk as records on the wire, as rows of `VALUES`, and as one payment sees it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.engine import RISK
from models.entity_state import VALUES
from schemas.entity_risk import EntityRisk
from schemas.types import ENTITY_KINDS

DAY_MS = 86_400_000


def to_records(kinds: NDArray[np.uint8], tokens: NDArray[np.void], values: NDArray[np.void]) -> list[EntityRisk]:
    """The records that publish entities' `VALUES`, all of length n; `kinds` as in entity activity."""
    seen_with = values["payers"].astype(np.int64)
    columns = (
        values["updated_at"],
        np.where(kinds > 1, seen_with, 0),
        np.where(kinds == 1, seen_with, 0),
        np.where(values["first_seen"] > 0, values["first_seen"], values["updated_at"]),
        values["inflow_count"].astype(np.int64),
        _paise(values["inflow_day"]),
        _paise(values["outflow_day"]),
        _paise(values["received"]),
        np.minimum(values["first_time_share"].astype(np.float64), 1.0),
        values["frauds"].astype(np.int64),
        values["last_fraud"],
        values["risk"].astype(np.float64),
    )
    rows = zip(kinds.tolist(), tokens.tolist(), *(column.tolist() for column in columns), strict=True)
    return [
        EntityRisk(
            kind=ENTITY_KINDS[kind - 1],
            token=token.hex(),
            updated_at=now,
            users=users,
            payers=payers,
            first_seen=first,
            inflow_count_24h=count,
            inflow_amount_24h=inflow,
            outflow_amount_24h=outflow,
            inflow_amount_total=total,
            first_time_share=share,
            frauds_known=frauds,
            last_fraud_at=last or None,
            risk=risk,
        )
        for kind, token, now, users, payers, first, count, inflow, outflow, total, share, frauds, last, risk in rows
    ]


def _paise(rupees: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(rupees.astype(np.float64) * 100).astype(np.int64)


def from_records(records: Sequence[EntityRisk]) -> NDArray[np.void]:
    """(n,) of `VALUES`."""
    rows = [
        (
            record.updated_at,
            record.first_seen,
            record.last_fraud_at or 0,
            max(record.users, record.payers),
            record.inflow_count_24h,
            record.inflow_amount_24h / 100,
            record.outflow_amount_24h / 100,
            record.inflow_amount_total / 100,
            record.first_time_share,
            record.frauds_known,
            record.risk,
        )
        for record in records
    ]
    return np.array(rows, dtype=VALUES)


def assemble(
    payee: NDArray[np.void], device: NDArray[np.void], sim: NDArray[np.void], event_time: NDArray[np.float64]
) -> NDArray[np.void]:
    """(n,) of `RISK` from the three entities' `VALUES` of each payment; an entity without `updated_at` is not known.

    What a payee received within a day counts as nothing once that day has passed.
    """
    risk = np.full(payee.size, np.nan, dtype=RISK)
    known = payee["updated_at"] > 0
    fresh = event_time - payee["updated_at"] < DAY_MS
    inflow = np.where(fresh, payee["inflow_day"], 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        passed = np.where(inflow > 0, np.minimum(payee["outflow_day"] / inflow, 1), 0)
    for name, values in (
        ("payee_payers", payee["payers"]),
        ("payee_inflow_day_rupees", inflow),
        ("payee_passthrough", passed),
        ("payee_first_time_share", payee["first_time_share"]),
        ("payee_frauds", payee["frauds"]),
        ("payee_risk", payee["risk"]),
    ):
        risk[name][known] = values[known]
    used = device["updated_at"] > 0
    risk["device_payers"][used] = device["payers"][used]
    risk["device_frauds"][used] = device["frauds"][used]
    seen = sim["updated_at"] > 0
    risk["sim_payers"][seen] = sim["payers"][seen]
    return risk
