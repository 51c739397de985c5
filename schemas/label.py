"""A label: a verdict about a payment, and the moment it became known."""

from typing import Literal

import msgspec

from schemas.types import EventTime, Identifier, Name, TransactionId


class Label(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a payment turned out to be. Has no order against payments: it moves entity risk only."""

    transaction_id: TransactionId
    """The payment judged."""
    payer: Identifier
    """The payment's payer; also the record's key."""
    payee: Identifier
    """The payment's payee."""
    device_id: Identifier | None = None
    """The device it was made from, if the verdict tells."""
    event_time: EventTime
    """The payment's time, epoch ms."""
    is_fraud: bool
    """The verdict."""
    kind: Name = ""
    """Kind of attack; empty for an honest payment or an unknown kind."""
    known_at: EventTime
    """When the verdict became known, epoch ms: nothing may learn from it before."""
    source: Literal["analyst", "chargeback", "customer"] = "analyst"
    """Who said so."""
