"""Scored payments decided again by the code that decides live: lists, rules and thresholds as given, scores as kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import polars as pl

from backtest.listed import Lists
from backtest.result import JUDGED, Judge, Result, ResultError
from models.catalogue import FEATURE_NAMES, position
from models.forest import Matrix
from models.policy import DECIDED_BY, Decider, Policy, Rule

NAMES = pl.Series(DECIDED_BY, dtype=JUDGED["decided_by"])
FEATURE = "feature:"
"""Before the name of a feature's column beside the scores."""


@dataclass(frozen=True)
class Rules:
    """What a policy's rules look at: features as they were kept; or, where they were not, what the run's rules said.

    Without features a rule of the run's own policy is taken to hold where it decided: exact, but for payments on whose
    rules a list had the last word. Of features, such a payment then has those values that the rule asks for.
    """

    features: tuple[str, ...] = ()
    """Read from the result."""
    remembered: tuple[Rule, ...] = ()
    """Taken from what was decided."""

    @classmethod
    def of(cls, policy: Policy, result: Result, former: Policy) -> "Rules":
        """Raises ResultError for rules about features that nobody kept."""
        on_features = tuple(rule for rule in policy.rules if rule.when)
        if result.has_features:
            return cls(tuple(sorted({condition.feature for rule in on_features for condition in rule.when})))
        if new := [rule.name for rule in on_features if rule not in former.rules]:
            raise ResultError(
                f"the rule {new[0]} looks at features, which {result.directory} did not keep",
                hint="run the backtest with --keep-features, or leave out rules that it did not have",
            )
        return cls(remembered=on_features)

    def matrix(self, payments: pl.DataFrame, champion: Judge) -> Matrix:
        """(n, 85), NaN wherever no rule looks."""
        matrix = np.full((payments.height, len(FEATURE_NAMES)), np.nan, dtype=np.float32, order="F")
        for name in self.features:
            matrix[:, position(name)] = payments[FEATURE + name].to_numpy()
        decided = payments[champion.column("rule")]
        for rule in self.remembered:
            where = ((payments[champion.column("decided_by")] == "rule") & (decided == rule.name)).fill_null(False)
            for condition in rule.when:
                value = condition.at_most if condition.at_least is None else condition.at_least
                matrix[where.to_numpy(), position(condition.feature)] = value
        return matrix


@dataclass(frozen=True)
class Again:
    """A new way of deciding, for each judge."""

    deciders: dict[Judge, Decider]
    lists: Lists
    rules: Rules = field(default_factory=Rules)

    def scores(self, result: Result) -> pl.LazyFrame:
        """The result's scores, with what would have been decided; streamed, in the same order."""
        scores = result.scores()
        schema = scores.collect_schema()
        if self.rules.features:
            features = result.features().select(pl.col(name).alias(FEATURE + name) for name in self.rules.features)
            scores = pl.concat([scores, features], how="horizontal")
        return scores.map_batches(
            lambda batch: self._batch(batch).select(schema.names()), schema=schema, streamable=True
        )

    def _batch(self, payments: pl.DataFrame) -> pl.DataFrame:
        champion, status = next(iter(self.deciders)), payments["status"].to_numpy()
        features, hits = self.rules.matrix(payments, champion), self.lists.hits(payments)
        for judge, decider in self.deciders.items():
            second = payments[judge.column("second_score")]
            decisions = decider.decide(
                payments[judge.column("score")].to_numpy(),
                features,
                status,
                hits,
                second.to_numpy() if second.null_count() == 0 else None,
            )
            rules = pl.Series(decider.rule_names, dtype=pl.String)
            payments = payments.with_columns(
                pl.Series(judge.column("flagged"), decisions.flagged),
                NAMES.gather(decisions.decided_by).alias(judge.column("decided_by")),
                rules.gather(decisions.rule).alias(judge.column("rule")),
            )
        return payments


def judges_of(deciders: dict[Judge, Decider]) -> Sequence[Judge]:
    """The judges with the thresholds that their deciders have."""
    return [
        msgspec.structs.replace(judge, threshold=decider.alert_score, second_threshold=decider.second_score)
        for judge, decider in deciders.items()
    ]
