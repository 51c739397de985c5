"""An entry of the lists fraud operations keep: entities to block, to allow or to watch."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.types import EntityKind, EventTime, Text, Token

ListName = Literal["block", "allow", "watch"]


class ListEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One entity on one list; key `kind:token` on a compacted topic, a tombstone removes it.

    The list it is on replaces any other: an entity is on one list at a time.
    """

    list: ListName
    """block: always flagged; allow: not flagged by rules or model; watch: flagged from a lower score."""
    kind: EntityKind
    """What the token stands for."""
    token: Token
    """The entity, tokenised: the identifier itself is never stored."""
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    """Why, for the audit; no personal data."""
    added_at: EventTime
    """When it was added, epoch ms."""
    added_by: Text
    """Who added it."""
    expires_at: EventTime | None = None
    """Epoch ms from which it no longer counts, by the payment's event time; null: never expires."""
