"""Where the domain knows the direction: a model must not take more of these for less risk, whatever a sample says.

With few frauds a tree finds pockets in which a confirmed fraud or a wrong PIN seems to speak for a payment. No analyst
would believe the alert that is missing for it, and an attacker could make use of it. XGBoost refuses such splits. An
unknown value (NaN) is not bound: that a signal is missing may be better or worse than any value of it.

These are facts about a payment. Patterns and scores (the payee's risk, payers on a device, the network's own score) are
left free: holding them cost more than it gave, see docs/decisions.
"""

from models.catalogue import FEATURE_NAMES

DIRECTIONS: dict[str, int] = {
    # verdicts
    "payee_frauds": +1,
    "device_frauds": +1,
    # registries and other institutions
    "payee_mule_flag": +1,
    "payee_ffri": +1,
    "mobile_revoked": +1,
    # a manipulated device, someone else's hands
    "emulator": +1,
    "rooted": +1,
    "screen_shared": +1,
    "failed_pins": +1,
}
"""+1: more of the feature is never less risk; −1: never more."""


def check(directions: dict[str, int]) -> None:
    """Raise ValueError for a feature that the catalogue does not have, or for no direction."""
    if unknown := sorted(directions.keys() - set(FEATURE_NAMES)):
        raise ValueError(f"constraints on features that the catalogue does not have: {', '.join(unknown)}")
    if wrong := sorted(name for name, direction in directions.items() if direction not in (-1, 1)):
        raise ValueError(f"directions are +1 and -1; not so: {', '.join(wrong)}")


check(DIRECTIONS)


def as_parameter(directions: dict[str, int] = DIRECTIONS) -> str:
    """The directions as XGBoost takes them: one number a feature, in the catalogue's order."""
    return "(" + ",".join(str(directions.get(name, 0)) for name in FEATURE_NAMES) + ")"


def in_words(directions: dict[str, int] = DIRECTIONS) -> dict[str, str]:
    """The same for people: the features of each direction."""
    found = {
        "risk_rises_with": [name for name in FEATURE_NAMES if directions.get(name) == 1],
        "risk_falls_with": [name for name in FEATURE_NAMES if directions.get(name) == -1],
    }
    return {what: ", ".join(names) for what, names in found.items() if names}
