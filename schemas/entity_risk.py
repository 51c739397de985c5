"""An entity's risk: what is known about a payee, device or SIM across all payers."""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.types import EntityKind, EventTime, Probability, Sum, Token


class EntityRisk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The latest risk of one entity; key `kind:token` on a compacted topic."""

    kind: EntityKind
    """What the token stands for."""
    token: Token
    """The entity, tokenised."""
    updated_at: EventTime
    """Event time of the last activity or verdict that is in it, epoch ms."""
    users: Sum = 0
    """Distinct payers seen with it (devices, SIMs), estimated."""
    payers: Sum = 0
    """Distinct payers that paid it (accounts), estimated."""
    first_seen: EventTime
    """Event time of its first activity, epoch ms."""
    inflow_count_24h: Sum = 0
    """Payments received in the last 24 hours."""
    inflow_amount_24h: Sum = 0
    """Paise received in the last 24 hours."""
    outflow_amount_24h: Sum = 0
    """Paise paid out in the last 24 hours."""
    inflow_amount_total: Sum = 0
    """Paise received since first seen."""
    first_time_share: Probability = 0.0
    """Share of payments that were their payer's first to it."""
    frauds_known: Sum = 0
    """Fraud verdicts known so far."""
    last_fraud_at: EventTime | None = None
    """Event time of the latest payment judged fraud, epoch ms."""
    frauds_recent: Annotated[float, Meta(ge=0)] = 0.0
    """Fraud verdicts at `last_fraud_at`, each counting less the longer before that its payment was."""
    fraud_since: EventTime | None = None
    """Event time of the first payment judged fraud in the present episode, epoch ms."""
    fraud_share: Probability = 0.0
    """Verdicts over payments received, both counting less with age."""
    losses_recent: Annotated[float, Meta(ge=0)] = 0.0
    """As `frauds_recent`, of payments that the account made as a victim, at `last_loss_at`."""
    last_loss_at: EventTime | None = None
    """Event time of the latest such payment, epoch ms."""
    silence_days: Annotated[float, Meta(ge=0)] = 0.0
    """The longest silence that payments of the week before ended, in days."""
    layered_share: Probability = 0.0
    """Share of the money of about a day that came from accounts that had themselves just received as much."""
    risk: Probability = 0.0
    """All of it in one number, 0 to 1."""


def entity_key(kind: str, token: str) -> bytes:
    """Record key of an entity, the same on entity-risk and entity-lists."""
    return f"{kind}:{token}".encode()
