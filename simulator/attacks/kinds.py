"""The attacks, each a row of building blocks: who is hit, in what rhythm, with whose device, paying whom, how much.

A block is a name that `attacks.blocks` gives a meaning; a new kind is a new row. The weights are shares of
fraudulent payments; authorised scams are fewer payments than value, as in life.
"""

from dataclasses import dataclass
from typing import Literal

Victims = Literal["anyone", "elder", "saver", "prey"]
Hours = Literal["any", "day", "night"]
Device = Literal["own", "gang", "clone", "farm", "enrolled"]
Sim = Literal["own", "gang"]
Hands = Literal["own", "operator", "bot", "remote"]
Place = Literal["own", "gang"]
Payees = Literal["mule", "shop_mule"]
Amounts = Literal["drain", "scam", "retail", "test", "modest"]
Begun = Literal["manual", "qr", "collect", "mixed"]


@dataclass(frozen=True)
class Attack:
    """One kind of attack. Chances are per payment, from 0 to 1."""

    weight: float
    payments: tuple[int, int] = (1, 1)
    """Fewest and most payments of one campaign against one victim."""
    gap_minutes: float = 10.0
    """Mean time between them (exponential)."""
    victims: Victims = "anyone"
    hours: Hours = "any"
    device: Device = "own"
    sim: Sim = "own"
    hands: Hands = "own"
    place: Place = "own"
    payees: Payees = "mule"
    amounts: Amounts = "drain"
    begun: Begun = "mixed"
    on_call: float = 0.0
    screen_shared: float = 0.0
    pasted: float = 0.0
    failed_pins: float = 0.0
    revoked: float = 0.0
    session: float = 1.0
    """Factor on the session's length."""
    one_payee: float = 0.5
    """Chance that a campaign pays one payee only."""
    relay: Literal["", "network", "dormant"] = ""
    """How the money moves on, where the campaign is about mules' own payments."""
    known_days: float = 2.0
    """Median time until the fraud becomes known."""
    never_known: float = 0.1


ATTACKS: dict[str, Attack] = {
    "sim_swap": Attack(0.07, (2, 6), 12, device="gang", sim="gang", hands="operator", place="gang", hours="night",
                       pasted=0.3, failed_pins=0.15, revoked=0.02, known_days=0.7, never_known=0.03),
    "account_takeover": Attack(0.09, (1, 5), 15, device="gang", hands="operator", place="gang", pasted=0.3,
                               failed_pins=0.2, known_days=1.0, never_known=0.05),
    "device_clone": Attack(0.05, (1, 4), 25, device="clone", hands="operator", place="gang", pasted=0.25,
                           failed_pins=0.08, known_days=1.5, never_known=0.08),
    "emulator_farm": Attack(0.06, (1, 3), 6, device="farm", hands="bot", place="gang", amounts="retail", pasted=0.3,
                            session=0.6, known_days=2.5, never_known=0.15),
    "qr_phishing": Attack(0.12, (1, 2), 4, hours="day", payees="shop_mule", amounts="retail", begun="qr",
                          known_days=3.0, never_known=0.25),
    "collect_phishing": Attack(0.06, (1, 2), 5, hours="day", payees="shop_mule", amounts="retail",
                               begun="collect", on_call=0.25, known_days=2.0, never_known=0.2),
    "remote_access": Attack(0.07, (1, 4), 7, victims="prey", hours="day", hands="remote",
                            on_call=0.5, screen_shared=0.55, pasted=0.35, failed_pins=0.08, session=2.5,
                            known_days=1.0, never_known=0.06),
    "mule_network": Attack(0.10, (6, 12), 8, amounts="modest", relay="network", known_days=9.0, never_known=0.3),
    "dormant_mule": Attack(0.04, (5, 9), 10, amounts="modest", relay="dormant", known_days=8.0, never_known=0.25),
    "bot_burst": Attack(0.06, (6, 20), 0.4, device="gang", hands="bot", place="gang", payees="shop_mule",
                        amounts="test", session=0.3, one_payee=0.7, known_days=3.0, never_known=0.2),
    "app_scam": Attack(0.26, (1, 4), 300, victims="prey", hours="day", amounts="scam", on_call=0.35, pasted=0.2,
                       session=1.8, known_days=5.0, never_known=0.12),
    "insider_enrolment": Attack(0.02, (2, 6), 900, victims="saver", device="enrolled", hands="operator", place="gang",
                                amounts="modest", known_days=14.0, never_known=0.2),
}  # fmt: skip
KINDS: tuple[str, ...] = tuple(ATTACKS)
"""A payment's kind number is 1 + its position here; 0 is honest."""
