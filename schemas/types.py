"""The limits that several records share, each with its unit."""

from typing import Annotated, Literal

from msgspec import Meta

EARLIEST_MS = 946_684_800_000
"""2000-01-01: no event time lies before it."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: no event time lies at or beyond it."""
AHEAD_MS = 300_000
"""A payment that claims a time further ahead of its publication is taken as made when it was published."""
MAX_AMOUNT_PAISE = 10**13
"""₹10,000 crore: far above any retail payment, low enough that sums stay exact in 64 bits."""

Identifier = Annotated[str, Meta(min_length=1, max_length=255)]
Name = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=255)]
MAX_SENTENCE = 500
Sentence = Annotated[str, Meta(min_length=1, max_length=MAX_SENTENCE)]
TransactionId = Annotated[str, Meta(min_length=1, max_length=64)]
EventTime = Annotated[int, Meta(ge=EARLIEST_MS, lt=LATEST_MS)]
Paise = Annotated[int, Meta(gt=0, le=MAX_AMOUNT_PAISE)]

# A pattern's `$` also matches before a final newline; the length beside it does not.
Token = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""Keyed hash of an identifier: 16 bytes in hex. The identifier itself never leaves the engine."""
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Topic = Annotated[str, Meta(min_length=1, max_length=249)]
Partition = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Score = Annotated[int, Meta(ge=0, le=1000)]
Sum = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A count, or an amount in paise, that grew over time."""

EntityKind = Literal["account", "device", "sim"]
ENTITY_KINDS: tuple[EntityKind, ...] = ("account", "device", "sim")
"""Numbered from 1 where bytes are short: account 1, device 2, sim 3."""
DecidedBy = Literal["list", "rule", "model", "second_opinion"]
