"""Entity risk as records on the wire, as rows of `VALUES`, and as one payment sees it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.activity import ACCOUNT, DEVICE, SIM
from models.engine import RISK
from models.entity_state import VALUES, VERDICT_SECONDS
from models.features.common import fade
from models.jit import compiled
from schemas.entity_risk import EntityRisk
from schemas.types import ENTITY_KINDS

DAY_MS = 86_400_000


def to_records(kinds: NDArray[np.uint8], tokens: NDArray[np.void], values: NDArray[np.void]) -> list[EntityRisk]:
    """The records that publish entities' `VALUES`, all of length n; `kinds` as in entity activity."""
    seen_with = values["payers"].astype(np.int64)
    paise, floats = _paise, np.float64
    columns: dict[str, NDArray[Any]] = {
        "kind": _KINDS[kinds],
        "updated_at": values["updated_at"],
        "users": np.where(kinds != ACCOUNT, seen_with, 0),
        "payers": np.where(kinds == ACCOUNT, seen_with, 0),
        "first_seen": np.where(values["first_seen"] > 0, values["first_seen"], values["updated_at"]),
        "inflow_count_24h": values["inflow_count"].astype(np.int64),
        "inflow_amount_24h": paise(values["inflow_day"]),
        "outflow_amount_24h": paise(values["outflow_day"]),
        "inflow_amount_total": paise(values["received"]),
        "first_time_share": np.minimum(values["first_time_share"].astype(floats), 1.0),
        "frauds_known": values["frauds"].astype(np.int64),
        "last_fraud_at": _told(values["last_fraud"]),
        "frauds_recent": values["fraud_weight"].astype(floats),
        "fraud_since": _told(values["fraud_since"]),
        "fraud_share": values["fraud_share"].astype(floats),
        "losses_recent": values["loss_weight"].astype(floats),
        "last_loss_at": _told(values["last_loss"]),
        "silence_days": values["silence_days"].astype(floats),
        "layered_share": values["layered_share"].astype(floats),
        "risk": values["risk"].astype(floats),
    }
    names = ("token", *columns)
    tokens_hex = [token.hex() for token in tokens.tolist()]
    rows = zip(tokens_hex, *(column.tolist() for column in columns.values()), strict=True)
    return [EntityRisk(**dict(zip(names, row, strict=True))) for row in rows]


_KINDS = np.array([None, *ENTITY_KINDS], dtype=object)


def _told(times: NDArray[np.int64]) -> NDArray[Any]:
    """A time of 0 is none."""
    told = times.astype(object)
    told[times == 0] = None
    return told


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
            record.frauds_recent,
            record.fraud_since or 0,
            record.fraud_share,
            record.losses_recent,
            record.last_loss_at or 0,
            record.silence_days,
            record.layered_share,
            record.risk,
        )
        for record in records
    ]
    return np.array(rows, dtype=VALUES)


SEEN = (("payee", ACCOUNT), ("device", DEVICE), ("sim", SIM), ("payer", ACCOUNT))
"""The entities of a payment whose risk it sees, and their kinds."""


def assemble(known: Mapping[str, NDArray[np.void]], event_time: NDArray[np.float64]) -> NDArray[np.void]:
    """(n,) of `RISK` from the `VALUES` (n,) of each entity of `SEEN`; one without `updated_at` is not known.

    What was received within a day counts as nothing once that day has passed; verdicts fade until the payment.
    """
    risk = np.full(event_time.size, np.nan, dtype=RISK)
    _assemble(known["payee"], known["device"], known["sim"], known["payer"], event_time, risk)
    return risk


@compiled
def _assemble(payees: Any, devices: Any, sims: Any, payers: Any, times: Any, risk: Any) -> None:
    for i in range(times.size):
        see(risk[i], payees[i], devices[i], sims[i], payers[i], times[i])


@compiled
def see(r: Any, payee: Any, device: Any, sim: Any, payer: Any, now: Any) -> None:
    """Write one payment's risk, which is NaN so far."""
    if payee.updated_at > 0:
        inflow = payee.inflow_day if now - payee.updated_at < DAY_MS else np.float32(0)
        r.payee_payers = payee.payers
        r.payee_inflow_day_rupees = inflow
        r.payee_passthrough = min(payee.outflow_day / inflow, np.float32(1)) if inflow > 0 else np.float32(0)
        r.payee_first_time_share = payee.first_time_share
        r.payee_frauds = _faded(payee.fraud_weight, payee.last_fraud, now)
        r.payee_fraud_share = payee.fraud_share
        r.payee_fraud_days = (now - payee.fraud_since) / DAY_MS if payee.fraud_since > 0 else np.nan
        r.payee_silence_days = payee.silence_days
        r.payee_layered_share = payee.layered_share
        r.payee_risk = payee.risk
    if device.updated_at > 0:
        r.device_payers = device.payers
        r.device_frauds = _faded(device.fraud_weight, device.last_fraud, now)
    if sim.updated_at > 0:
        r.sim_payers = sim.payers
    if payer.updated_at > 0:
        r.payer_received_day_rupees = payer.inflow_day if now - payer.updated_at < DAY_MS else np.float32(0)
        r.payer_losses = _faded(payer.loss_weight, payer.last_loss, now)
        r.payer_risk = payer.risk


@compiled
def _faded(weight: Any, of_ms: Any, now: Any) -> Any:
    return weight * fade((now - of_ms) / 1000, VERDICT_SECONDS)
