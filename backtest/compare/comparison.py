"""The result of a comparison: what `metrics.json` holds, every figure of the page under the name it has here.

Money is rupees, times are epoch ms, shares lie between 0 and 1; None stands for what cannot be told, as the recall of
a window without fraud.
"""

import msgspec

from backtest.compare.settings import CompareSettings


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one threshold does, lists and rules deciding as they did in the run."""

    threshold: int
    """Score from which the model flags; 1001: it flags nothing. The second opinion's moves by as many points."""
    alerts: int
    alerts_per_day: float
    caught: int
    """Frauds with an alert."""
    missed: int
    false_alerts: int
    recall: float | None
    precision: float | None
    false_positive_rate: float | None
    rupees_caught: float
    rupees_missed: float
    saved_share: float | None
    """Rupees caught times `recovered_share`, of all rupees of fraud."""
    reviews_cost: float
    net_saved: float
    """Rupees caught times `recovered_share`, less `reviews_cost`."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The payments of a kind, amount, hour or day, at the model's own threshold."""

    name: str
    payments: int | None
    """None for kinds: an honest payment has none."""
    frauds: int
    caught: int
    alerts: int | None
    """None for kinds."""
    rupees: float
    """Of its frauds."""
    rupees_caught: float
    recall: float | None
    low: float | None
    """Wilson's 95 % interval of the recall."""
    high: float | None


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """Every threshold from 0 to 1001; lists of one length. See `Figures`."""

    threshold: tuple[int, ...]
    alerts_per_day: tuple[float, ...]
    recall: tuple[float | None, ...]
    precision: tuple[float | None, ...]
    rupees_caught: tuple[float, ...]
    net_saved: tuple[float, ...]
    best: int
    """The threshold of the highest net saving; of several the highest."""


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Payments with scores from `low` to `high`, both included."""

    low: int
    high: int
    payments: int
    frauds: int
    predicted: float
    """Mean probability given."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Of the model's probability by itself, whatever lists and rules said."""

    auc: float | None
    average_precision: float | None
    brier: float | None
    """Mean squared error of the probability."""
    expected_frauds: float
    """Sum of the probabilities."""
    expected_over_observed: float | None
    bins: tuple[Bin, ...]


class Episodes(msgspec.Struct, frozen=True, kw_only=True):
    """Defrauded payers: an alert on any of a payer's frauds may end them all."""

    payers: int
    """With a fraud in the window."""
    alerted: int
    """With an alert on at least one of them."""
    alerted_share: float | None
    rupees_before: float
    """Rupees of the frauds before each payer's first that had an alert; all, where none had."""
    rupees_before_per_payer: float | None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate and the middle 95 % of its resamples."""

    estimate: float | None
    low: float | None
    high: float | None

    @property
    def beyond_chance(self) -> bool | None:
        """Of a difference: zero lies outside. None where it cannot be told."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """Figures, or differences of them, with what chance in the choice of payers could make of them."""

    recall: Interval
    precision: Interval
    saved_share: Interval
    net_saved: Interval
    caught: Interval
    rupees_caught: Interval


class JudgeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said of one model."""

    own: Figures
    """At the thresholds of the run."""
    equal: Figures
    """At the lowest threshold with no more alerts than the champion's at its own."""
    capacity: Figures
    """At the lowest threshold with no more alerts a day than can be looked at."""
    own_intervals: Intervals
    equal_intervals: Intervals
    settled: Figures
    """At its own threshold, without the payments of the label delay before the window's end."""
    quality: Quality
    episodes: Episodes
    kinds: tuple[Group, ...]
    amounts: tuple[Group, ...]
    hours: tuple[Group, ...]
    days: tuple[Group, ...]
    sweep: Sweep


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Some payments, and their rupees."""

    name: str
    payments: int
    rupees: float


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """Who flags what: of frauds and of honest payments."""

    frauds: tuple[Share, Share, Share, Share]
    """both, champion, candidate (each of them alone), neither."""
    false_alerts: tuple[Share, Share, Share]
    """both, champion, candidate."""
    kinds: dict[str, tuple[int, int, int, int]]
    """Frauds of each kind: both, champion, candidate, neither."""
    jaccard: float | None
    """Payments flagged by both over those flagged by either."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One payment."""

    transaction_id: str
    event_time: int
    rupees: float
    kind: str
    """Empty for an honest payment."""
    scores: dict[str, int]
    decided_by: dict[str, str]
    """In words, of the models that flagged it."""
    reasons: dict[str, tuple[str, ...]]
    """In words, of the models that flagged it, the strongest first; empty where features were not kept."""


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Payments of one sort, the highest amounts first."""

    sort: str
    payments: tuple[Example, ...]


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate against the champion."""

    own: Overlap
    """Both at their own thresholds."""
    equal: Overlap
    """The candidate at `equal`."""
    own_difference: Intervals
    """Candidate less champion."""
    equal_difference: Intervals
    rank_agreement: float | None
    """Spearman's correlation of the two scores over all payments."""
    examples: tuple[Examples, ...]


class LabelDelay(msgspec.Struct, frozen=True, kw_only=True):
    """What may not be known yet."""

    delay_ms: int
    source: str
    """Where the delay comes from, in words."""
    payments: int
    """In the last `delay_ms` of the window: frauds among them may not be known yet, and count as honest."""
    frauds: int
    """Those that are known."""
    known_within: dict[str, float]
    """Share of the frauds whose verdict came within this time of the payment."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A champion and its candidates over the same payments."""

    version: int = 1
    settings: CompareSettings
    payments: int
    """Judged; a payment that came again counts once."""
    repeats: int
    """Duplicates and redone payments, which are left out."""
    frauds: int
    rupees_of_fraud: float
    start: int
    end: int
    """First and last event time."""
    days: float
    """Between them, at least 1: what counts a day are divided by."""
    label_delay: LabelDelay
    judges: dict[str, JudgeFigures]
    """The champion first."""
    contests: dict[str, Contest]
    """By candidate."""
    examples: tuple[Examples, ...]
    """Of the champion alone, where there is no candidate."""
    notes: tuple[str, ...]
    """What a reader must know."""
