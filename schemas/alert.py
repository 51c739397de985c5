"""An alert: a flagged payment, with what decided, why, and where it came from."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.types import (
    DecidedBy,
    EventTime,
    Name,
    Offset,
    Paise,
    Partition,
    Probability,
    Score,
    Sentence,
    Sha256,
    Text,
    Token,
    Topic,
    TransactionId,
)


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One feature that pushed the score up, in numbers and in words."""

    code: Name
    """Short stable code of the reason, for rules and statistics."""
    feature: Name
    """The feature's name in the catalogue."""
    group: Literal["device", "location", "transaction", "behaviour"]
    """The catalogue's group."""
    value: float | None = None
    """The feature's value for this payment, in the catalogue's unit; null when missing."""
    usual: float | None = None
    """What is usual for this payer, or else for payers at large; null when unknown."""
    contribution: float
    """SHAP contribution to the margin (log-odds)."""
    sentence: Sentence
    """What an analyst reads."""


class ModelRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which model spoke."""

    name: Name
    """The bundle's name."""
    sha256: Sha256
    """Hash of the bundle's manifest, which holds the hash of every other file."""


class Source(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The payment's record on the transactions topic."""

    topic: Topic
    """Topic's name."""
    partition: Partition
    """Partition's number."""
    offset: Offset
    """Record's offset."""
    timestamp: Annotated[int, Meta(ge=-1, le=2**63 - 1)]
    """When the record was published, epoch ms; -1 when the broker has none."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A flagged payment. Carries tokens only: no VPA, device id or phone number."""

    alert_id: Annotated[str, Meta(min_length=1, max_length=300)]
    """`topic-partition-offset` of the payment: the same each time it is judged, so repeats can be dropped."""
    transaction_id: TransactionId
    """The payment's id."""
    event_time: EventTime
    """The payment's time, epoch ms."""
    decided_at: EventTime
    """When the decision was taken, epoch ms of the worker's clock."""
    payer_token: Token
    """Payer, tokenised."""
    payee_token: Token
    """Payee, tokenised."""
    amount: Paise
    """Paise."""
    probability: Probability
    """Calibrated probability of fraud."""
    score: Score
    """0 to 1000; the bands cut it."""
    band: Name
    """Score band of the bundle."""
    summary: Sentence | None = None
    """What decided, in one sentence for an analyst; null in alerts of builds that did not say it."""
    decided_by: DecidedBy
    """What decided: a list, a rule, the model or the second opinion."""
    rule: Text | None = None
    """Name of the list or rule that decided; null when a model did."""
    threshold: Score
    """Score from which the model flags."""
    reasons: list[Reason]
    """Largest positive contributions first."""
    explains: Literal["model", "second_opinion"] = "model"
    """Whose margin the reasons explain: the second opinion's where it decided, else the model's."""
    base_value: float
    """SHAP base value: base plus all contributions is the margin."""
    margin: float
    """Raw output (log-odds) of what is explained."""
    second_score: Score | None = None
    """The second opinion's score: how unlike any honest payment this one is; null without one."""
    second_threshold: Score | None = None
    """Score from which the second opinion flags; null where it does not."""
    flags: list[Name]
    """What was odd about the record: duplicate, id_conflict, late, clamped, …"""
    model: ModelRef
    """The champion that scored it."""
    policy_version: Name
    """Version of the decision policy."""
    list_version: Name
    """Version of the entity lists at decision time."""
    catalogue_hash: Sha256
    """Hash of the feature catalogue's names, groups and units."""
    source: Source
    """Where the payment stands on the transactions topic."""


def alert_id(topic: str, partition: int, offset: int) -> str:
    """The alert's id: made of the payment's place only, so that judging it again gives the same one."""
    return f"{topic}-{partition}-{offset}"
