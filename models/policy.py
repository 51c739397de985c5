"""What happens to a scored payment: lists, rules and the model's threshold, in a fixed order.

The first line that holds decides:

    1. duplicate      the same payment again: never flagged twice; nor is a redo, a payment that the state holds
                      already: what followed from it was published before the state was written
    2. block list     flagged
    3. firm rules     flagged, even where an allow list speaks for the payment
    4. allow list     not flagged
    5. rules          flagged
    6. model          flagged from the alert threshold; decided by the model
    7. watch list     flagged from the lower watch threshold; decided by the list
    8. second opinion flagged from its own threshold, where the bundle has one and the policy wants it; decided by the
                      second opinion (`models.second_opinion`)

A payment keeps its model score whatever decides. A policy is frozen and known by the hash of its content. It is
written as TOML, every key optional:

    alert_score = 640                  # the bundle's alert threshold, if left out
    watch_score = 560                  # where the bundle's band `elevated` begins, if left out
    second_opinion = false             # it flags nothing; its scores are still recorded. true, if left out
    second_opinion_score = 800         # the bundle's threshold of the second opinion, if left out
    [[rules]]                          # replaces the default rules
    name = "mule_registry"
    when = [{feature = "payee_mule_flag", at_least = 1}, {feature = "amount_rupees", at_least = 2000}]
    say = "Hold it and call the customer"   # leads the alert's summary, if given: see `models.summary`
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.bundle import Manifest
from models.catalogue import FEATURE_NAMES, position
from models.engine import DUPLICATE, ID_CONFLICT, REDO
from models.forest import Matrix
from schemas.errors import FraudStreamError
from schemas.types import DecidedBy, Score

BLOCK, ALLOW, WATCH = 1, 2, 4
"""Bits of the lists in `hits`."""
LISTS = ((BLOCK, "block"), (ALLOW, "allow"), (WATCH, "watch"))
ENTITIES = ("payer", "payee", "device", "sim")
"""Columns of `hits`."""
FIRST_RULE = 1 + len(LISTS) * len(ENTITIES)
"""The policy's first rule among a decider's `rule_names`."""
DECIDED_BY: tuple[DecidedBy, ...] = ("model", "list", "rule", "second_opinion")
MODEL, LIST, RULE, SECOND_OPINION = range(4)
MAX_RULES = 200
MAX_POLICY_BYTES = 1 << 20
ONE_LINE = r"\A(?![\s.:;])[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\Z"
"""Text without line breaks and other control characters that begins with more than a space or a full stop."""

Codes = NDArray[np.uint8]


class PolicyError(FraudStreamError):
    """A policy that cannot be used."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Holds when the feature is known and within the bounds, both included."""

    feature: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if self.feature not in FEATURE_NAMES:
            raise ValueError(f"there is no feature {self.feature!r}")
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"the condition on {self.feature} has neither at_least nor at_most")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Flags a payment for which all of it holds."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
    when: tuple[Condition, ...] = ()
    status: Literal["id_conflict"] | None = None
    """What the engine said of the record."""
    firm: bool = False
    """Goes before the allow list."""
    say: Annotated[str, Meta(pattern=ONE_LINE, max_length=200)] | None = None
    """What an analyst is told first when it holds; everyone who reads alerts will see it."""

    def __post_init__(self) -> None:
        if not self.when and not self.status:
            raise ValueError(f"the rule {self.name} has no condition")


DEFAULT_RULES = (
    # Another payment under an id seen before must not pass because someone trusts the payee.
    Rule(name="id_conflict", status="id_conflict", firm=True),
    Rule(name="mobile_revoked", when=(Condition(feature="mobile_revoked", at_least=1),)),
    Rule(
        name="mule_registry",
        when=(Condition(feature="payee_mule_flag", at_least=1), Condition(feature="amount_rupees", at_least=2000)),
    ),
)


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds and rules. Equal content is the same version."""

    alert_score: Score | None = None
    """Score from which the model flags; None: the bundle's."""
    watch_score: Score | None = None
    """The same for payments of an entity on the watch list; None: where the bundle's band `elevated` begins."""
    second_opinion: bool = True
    """Whether the second opinion flags; without one in the bundle it does not."""
    second_opinion_score: Score | None = None
    """Second opinion's score from which it flags; None: the bundle's."""
    rules: Annotated[tuple[Rule, ...], Meta(max_length=MAX_RULES)] = DEFAULT_RULES

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError("two rules have the same name")

    @property
    def version(self) -> str:
        """The first 16 hex digits of the sha256 of the policy's content."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy from TOML. Raises PolicyError."""
        try:
            with Path(path).open("rb") as file:
                raw = file.read(MAX_POLICY_BYTES + 1)
            if len(raw) > MAX_POLICY_BYTES:
                raise ValueError(f"it is larger than {MAX_POLICY_BYTES:,} bytes")
            return msgspec.convert(tomllib.loads(raw.decode()), cls)
        except OSError as error:
            raise PolicyError(
                f"the policy {path} cannot be read ({error.strerror})", hint="give --policy a file"
            ) from error
        except ValueError as error:  # TOML's, UTF-8's and msgspec's errors are all ValueErrors
            raise PolicyError(f"the policy {path} is not valid: {error}", hint="correct the file") from error


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided of n payments; every array is (n,)."""

    flagged: NDArray[np.bool_]
    decided_by: Codes
    """Index into `DECIDED_BY`."""
    rule: Codes
    """Index into the decider's `rule_names`: the list or rule that decided; 0, None, for the models."""
    threshold: NDArray[np.int16]
    """Score from which the model would flag this payment."""


class Decider:
    """A policy made ready for one model: `decide` is a pure function of its arguments."""

    def __init__(self, policy: Policy, manifest: Manifest) -> None:
        self.policy = policy
        self.version = policy.version
        alert, elevated = policy.alert_score, manifest.bands[1].from_score
        self.alert_score = manifest.alert_score if alert is None else alert
        self.watch_score = min(self.alert_score, elevated if policy.watch_score is None else policy.watch_score)
        self.second_score = _second_score(policy, manifest)
        """Second opinion's score from which it flags; None: it does not."""
        lists = [f"{name}:{entity}" for _, name in LISTS for entity in ENTITIES]
        self.rule_names: tuple[str | None, ...] = (None, *lists, *(rule.name for rule in policy.rules))

    def decide(
        self,
        score: NDArray[np.int16],
        features: Matrix,
        status: Codes,
        hits: Codes | None = None,
        second: NDArray[np.int16] | None = None,
    ) -> Decisions:
        """Decide n payments: score (n,), features (n, 85), the engine's status (n,), list bits `hits` (n, 4) or None,
        the second opinion's score (n,) or None.

        A column of `hits` stands for an entity of `ENTITIES`; bits are BLOCK, ALLOW and WATCH.
        """
        n = score.size
        threshold = np.full(n, self.alert_score, dtype=np.int16)
        by_model = score >= threshold
        decisions = Decisions(by_model.copy(), np.zeros(n, np.uint8), np.zeros(n, np.uint8), threshold)
        listed = hits if hits is not None and hits.any() else None
        # From the weakest to the strongest: what comes later has the last word.
        if second is not None and self.second_score is not None:
            unlike = ~by_model & (second >= self.second_score)
            decisions.flagged[unlike] = True
            decisions.decided_by[unlike] = SECOND_OPINION
        if listed is not None:
            watched = _on(listed, WATCH)
            threshold[watched] = self.watch_score
            self._list(decisions, listed, WATCH, watched & ~by_model & (score >= self.watch_score), True)
        self._rules(decisions, features, status, firm=False)
        if listed is not None:
            self._list(decisions, listed, ALLOW, _on(listed, ALLOW), False)
        self._rules(decisions, features, status, firm=True)
        if listed is not None:
            self._list(decisions, listed, BLOCK, _on(listed, BLOCK), True)
        decisions.flagged[(status & (DUPLICATE | REDO)) != 0] = False
        return decisions

    def _list(self, decisions: Decisions, hits: Codes, bit: int, where: NDArray[np.bool_], flag: bool) -> None:
        """Let a list decide `where`; it is named with the first entity that is on it."""
        entity = np.argmax((hits[where] & bit) > 0, axis=1)
        place = [of for of, _ in LISTS].index(bit)
        decisions.flagged[where] = flag
        decisions.decided_by[where] = LIST
        decisions.rule[where] = 1 + place * len(ENTITIES) + entity

    def _rules(self, decisions: Decisions, features: Matrix, status: Codes, *, firm: bool) -> None:
        """Let rules decide; of several the first one in the policy is named."""
        for i, rule in reversed(list(enumerate(self.policy.rules))):
            if rule.firm == firm:
                where = _holds(rule, features, status)
                decisions.flagged[where] = True
                decisions.decided_by[where] = RULE
                decisions.rule[where] = FIRST_RULE + i


def _second_score(policy: Policy, manifest: Manifest) -> int | None:
    if manifest.second_opinion is None or not policy.second_opinion:
        return None
    own = policy.second_opinion_score
    return manifest.second_opinion.alert_score if own is None else own


def _on(hits: Codes, bit: int) -> NDArray[np.bool_]:
    """Whether any entity of a payment is on a list, (n,)."""
    return np.asarray(np.bitwise_or.reduce(hits & bit, axis=1) != 0)


def _holds(rule: Rule, features: Matrix, status: Codes) -> NDArray[np.bool_]:
    """Whether a rule holds, (n,); a comparison with an unknown value does not."""
    holds: NDArray[np.bool_] = np.ones(status.size, dtype=np.bool_)
    if rule.status == "id_conflict":
        holds &= (status & ID_CONFLICT) != 0
    for condition in rule.when:
        column = features[:, position(condition.feature)]
        if condition.at_least is not None:
            holds &= column >= np.float32(condition.at_least)
        if condition.at_most is not None:
            holds &= column <= np.float32(condition.at_most)
    return holds
