"""One sentence on what decided about a flagged payment, the first thing an analyst reads of its alert.

A rule is told by its conditions, each in its feature's own words for this payment; a rule's `say` goes first where the
policy has one. Only numbers and the policy's own text come in here, so no identifier can come out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.catalogue import position, within
from models.explaining import say
from models.policy import FIRST_RULE, LIST, RULE, SECOND_OPINION, Decider, Decisions, Rule
from schemas.types import MAX_SENTENCE

LISTED = {
    "payer": "The customer's account",
    "payee": "The payee's account",
    "device": "The device",
    "sim": "The SIM",
}
"""An entity that is on a list."""
STATUS = {"id_conflict": "this transaction id was used before, for another payment of this customer"}


def summarise(
    decider: Decider,
    decisions: Decisions,
    i: int,
    *,
    score: int,
    second: int | None,
    features: NDArray[np.float32],
    usual: Sequence[float | None],
) -> str:
    """What decided about the i-th payment of `decisions`, which was flagged: 1 to `MAX_SENTENCE` characters.

    `score` is the model's, `second` the second opinion's; features are the payment's (85,), `usual` what is usual at
    large, as for `models.explaining`.
    """
    by, rule, threshold = (int(column[i]) for column in (decisions.decided_by, decisions.rule, decisions.threshold))
    if by == RULE:
        return _rule(decider.policy.rules[rule - FIRST_RULE], features, usual)
    if by == SECOND_OPINION:
        return f"The payment is unlike honest ones: the second opinion's score {_reaches(second, decider.second_score)}"
    model = f"model's score {_reaches(score, threshold)}"
    if by == LIST:
        name, _, entity = str(decider.rule_names[rule]).partition(":")
        lowered = f", which lowers the threshold: the {model}" if name == "watch" else ""
        return f"{LISTED[entity]} is on the {name} list{lowered}"
    return f"The {model}"


def _reaches(score: int | None, threshold: int | None) -> str:
    return f"is {score} of 1000, at or above the threshold {threshold}"


def _rule(rule: Rule, features: NDArray[np.float32], usual: Sequence[float | None]) -> str:
    """The rule's own words, or its name, then what made it hold, as far as there is room."""
    lead = rule.say.rstrip(" .:;") if rule.say else f"The rule “{rule.name.replace('_', ' ')}” holds"
    said = [STATUS[rule.status]] if rule.status else []
    named = dict.fromkeys(condition.feature for condition in rule.when)  # two conditions may share one
    said += [within(say(position(name), features, usual).sentence) for name in named]
    return f"{lead}: {_fitting(list(dict.fromkeys(said)), MAX_SENTENCE - len(lead) - 2)}"


def _fitting(causes: list[str], room: int) -> str:
    """As many of the causes as `room` holds characters; the first always fits."""
    text, left = causes[0], len(causes) - 1
    for cause in causes[1:]:
        longer = f"{text}; {cause}"
        if len(longer + _more(left - 1)) > room:
            break
        text, left = longer, left - 1
    return text + _more(left)


def _more(left: int) -> str:
    return f"; and {left} more" if left else ""
