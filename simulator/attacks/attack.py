"""One kind of attack, as a scenario file describes it: who is hit, in what rhythm, with whose device, paying whom.

A block is a name that `attacks.blocks` gives a meaning; docs/simulator.md has a table of all keys. A new kind is a
new entry in a YAML file.
"""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Victims = Literal["anyone", "prey", "saver"]
Hours = Literal["any", "day", "night"]
Device = Literal["own", "gang", "clone", "farm", "enrolled"]
Sim = Literal["own", "gang"]
Hands = Literal["own", "operator", "bot", "remote"]
Place = Literal["own", "gang"]
Payees = Literal["mule", "shop_mule", "aged_mule"]
Begun = Literal["mixed", "qr", "collect"]
Relay = Literal["none", "network", "dormant", "proceeds"]

Chance = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1, le=100)]
DayWeights = Annotated[tuple[NotNegative, ...], Meta(min_length=24, max_length=24)]


class Amounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log-normal amounts of a payment."""

    median_rupees: Annotated[float, Meta(ge=1, le=100_000)]
    spread: Annotated[float, Meta(ge=0, le=3)] = 1.1
    """Standard deviation of the logarithm."""
    adapts: bool = True
    """Whether an adapted campaign stays within what the victim usually pays."""


class Attack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind. Chances are per payment, from 0 to 1; the weights of a scenario's kinds are shares of its payments."""

    weight: NotNegative
    amounts: Amounts
    about: str = ""
    payments: tuple[Count, Count] = (1, 1)
    gap_minutes: Positive = 10.0
    victims: Victims = "anyone"
    hours: Hours | DayWeights = "any"
    device: Device = "own"
    sim: Sim = "own"
    hands: Hands = "own"
    place: Place = "own"
    payees: Payees = "mule"
    one_payee: Chance = 0.5
    begun: Begun = "mixed"
    on_call: Chance = 0.0
    screen_shared: Chance = 0.0
    pasted: Chance = 0.0
    failed_pins: Chance = 0.0
    revoked: Chance = 0.0
    session: Positive = 1.0
    relay: Relay = "none"
    known_days: Positive = 2.0
    never_known: Chance = 0.1
    begins: date | None = msgspec.field(default=None, name="from")
    until: date | None = None

    def __post_init__(self) -> None:
        if self.payments[0] > self.payments[1]:
            raise ValueError(f"payments are the fewest and the most of a campaign, not {list(self.payments)}")
        if self.begins and self.until and self.begins >= self.until:
            raise ValueError(f"from {self.begins} is not before until {self.until}")
        if not isinstance(self.hours, str) and not sum(self.hours):
            raise ValueError("hours need one of the 24 weights above zero")
