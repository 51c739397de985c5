"""Payments worth looking at, the highest amounts of each sort, with the reasons that their alerts would have given."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.compare.comparison import Example, Examples
from backtest.compare.overlap import sorts
from backtest.compare.reading import Flags, Rows
from backtest.compare.settings import CompareSettings
from backtest.result import Judge, Result
from models.bundle import Bundle, BundleError
from models.catalogue import FEATURE_NAMES
from models.explaining import explain
from models.scoring import Scorer

SHOWN_REASONS = 3


class Explainer:
    """Says in words why judges flagged; the judges' models are loaded when the first payment asks for it."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._scorers: dict[str, Scorer | None] = {}
        self.notes: list[str] = []
        if not result.has_features:
            self.notes.append(
                "Examples have no reasons: the features were not kept. Run the backtest with --keep-features."
            )

    def reasons(self, judge: Judge, rows: Sequence[int], by_second: NDArray[np.bool_]) -> list[tuple[str, ...]]:
        """Reasons of payments by their place in the scores; empty ones where features or the model are not there."""
        scorer = self._scorer(judge) if self._result.has_features and rows else None
        if scorer is None:
            return [()] * len(rows)
        features = self._result.features().select(FEATURE_NAMES)
        matrix = pl.concat([features.slice(row, 1) for row in rows]).collect().to_numpy().astype(np.float32)
        found = explain(scorer, matrix, by_second)
        return [tuple(reason.sentence for reason in why.reasons[:SHOWN_REASONS]) for why in found]

    def _scorer(self, judge: Judge) -> Scorer | None:
        if judge.name not in self._scorers:
            self._scorers[judge.name] = self._load(judge)
        return self._scorers[judge.name]

    def _load(self, judge: Judge) -> Scorer | None:
        try:
            bundle = Bundle.load(Path(judge.bundle))
        except BundleError as error:
            self.notes.append(f"Examples have no reasons of {judge.name}: {error}.")
            return None
        if bundle.sha256 != judge.sha256:
            self.notes.append(f"Examples have no reasons of {judge.name}: {judge.bundle} holds another model by now.")
            return None
        return Scorer(bundle)


def examples(
    rows: Rows, judges: Sequence[Judge], explainer: Explainer, settings: CompareSettings
) -> tuple[Examples, ...]:
    """Of a champion alone, or of a champion and one candidate."""
    chosen = {sort: _highest(rows, flags, settings.examples) for sort, flags in _sorts(rows, judges)}
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *chosen.values()]))
    said = {judge.name: _said(rows, judge, every, explainer) for judge in judges}
    return tuple(
        Examples(sort=sort, payments=tuple(_example(rows, i, judges, said) for i in places.tolist()))
        for sort, places in chosen.items()
    )


def decided_in_words(decided_by: str, rule: str | None, score: int, second: int | None, judge: Judge) -> str:
    """What decided: `the rule mule_registry`, `the block list, by payee`."""
    if decided_by == "list" and rule:
        name, _, entity = rule.partition(":")
        return f"the {name} list, by {entity}"
    if decided_by == "rule":
        return f"the rule {rule}"
    if decided_by == "second_opinion":
        return f"the second opinion: {second}, alerts from {judge.second_threshold}"
    return f"the model: {score}, alerts from {judge.threshold}"


def _sorts(rows: Rows, judges: Sequence[Judge]) -> Iterator[tuple[str, Flags]]:
    flagged = [rows.flagged(judge) for judge in judges]
    if len(judges) == 1:
        yield "Frauds it caught", rows.is_fraud & flagged[0]
        yield "Frauds it missed", rows.is_fraud & ~flagged[0]
        yield "False alerts", ~rows.is_fraud & flagged[0]
        return
    champion, candidate = (judge.name for judge in judges)
    both, first, second, neither = sorts(flagged[0], flagged[1])
    yield f"Frauds that only {candidate} caught", rows.is_fraud & second
    yield f"Frauds that only {champion} caught", rows.is_fraud & first
    yield "Frauds that both caught", rows.is_fraud & both
    yield "Frauds that neither caught", rows.is_fraud & neither
    yield f"False alerts of {candidate} alone", ~rows.is_fraud & second
    yield f"False alerts of {champion} alone", ~rows.is_fraud & first
    yield "False alerts of both", ~rows.is_fraud & both


def _highest(rows: Rows, chosen: Flags, count: int) -> NDArray[np.int64]:
    places = np.flatnonzero(chosen)
    return places[np.argsort(-rows.rupees[places], kind="stable")[:count]]


def _said(
    rows: Rows, judge: Judge, places: NDArray[np.int64], explainer: Explainer
) -> dict[int, tuple[str, tuple[str, ...]]]:
    """By place, what decided and the reasons, of those that the judge flagged."""
    places = places[rows.flagged(judge)[places]]
    frame = rows.frame[places]
    decided = frame[judge.column("decided_by")].cast(pl.String)
    reasons = explainer.reasons(judge, frame["row"].to_list(), (decided == "second_opinion").to_numpy())
    rules, scores, second = (frame[judge.column(name)].to_list() for name in ("rule", "score", "second_score"))
    words = [decided_in_words(*what, judge) for what in zip(decided.to_list(), rules, scores, second, strict=True)]
    return dict(zip(places.tolist(), zip(words, reasons, strict=True), strict=True))


def _example(
    rows: Rows, i: int, judges: Sequence[Judge], said: Mapping[str, Mapping[int, tuple[str, tuple[str, ...]]]]
) -> Example:
    row = rows.frame.row(i, named=True)
    flagged = {judge.name: said[judge.name][i] for judge in judges if i in said[judge.name]}
    return Example(
        transaction_id=row["transaction_id"],
        event_time=row["event_time"],
        rupees=row["amount"] / 100,
        kind=row["kind"],
        scores={judge.name: row[judge.column("score")] for judge in judges},
        decided_by={name: words for name, (words, _) in flagged.items()},
        reasons={name: reasons for name, (_, reasons) in flagged.items()},
    )
