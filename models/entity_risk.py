"""Entity risk as records on the wire, as rows of `VALUES`, and as one payment sees it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.engine import RISK
from models.entity_state import VALUES
from schemas.entity_risk import EntityRisk
from schemas.types import ENTITY_KINDS

DAY_MS = 86_400_000


def to_record(kind: int, token: bytes, values: Sequence[float]) -> EntityRisk:
    """The record that publishes one entity's `VALUES`, as `tolist` gives them; `kind` as in entity activity."""
    updated_at, first_seen, last_fraud, payers, count, inflow, outflow, received, first_time, frauds, risk = values
    return EntityRisk(
        kind=ENTITY_KINDS[kind - 1],
        token=token.hex(),
        updated_at=int(updated_at),
        users=int(payers) if kind > 1 else 0,
        payers=int(payers) if kind == 1 else 0,
        first_seen=int(first_seen or updated_at),
        inflow_count_24h=int(count),
        inflow_amount_24h=round(inflow * 100),
        outflow_amount_24h=round(outflow * 100),
        inflow_amount_total=round(received * 100),
        first_time_share=min(1.0, first_time),
        frauds_known=int(frauds),
        last_fraud_at=int(last_fraud) or None,
        risk=risk,
    )


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
