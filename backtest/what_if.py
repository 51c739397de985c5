"""What if lists, rules, thresholds or budgets had been others? The same scores, decided again, as a result of its own.

    again = what_if(Result.open(directory), Changes(alerts_per_day=200), out, command="…", created_at=now)

Everything else of the replay stays: payments, features, scores. What an alert sets off was not part of it either: a
payer who is called does not pay the same payee again, so later alerts on the same fraud may overstate the work.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl

from backtest.compare import reading
from backtest.compare.figures import NOTHING, Ladder
from backtest.compare.reading import DAY_MS
from backtest.deciding import Again, Rules, judges_of
from backtest.listed import NO_LISTS, Lists, read_lists
from backtest.result import FEATURES, LISTS, RUN, SCORES, Judge, Result, ResultError
from models.bundle import Bundle, Manifest
from models.calibration import MAX_SCORE
from models.policy import Decider, Policy
from models.tokens import Tokeniser


@dataclass(frozen=True)
class Changes:
    """What is to be other than it was; None and empty: nothing."""

    policy: Policy | None = None
    """Rules and thresholds; its thresholds hold for every judge, as would those of their bundles."""
    lists: Lists | None = None
    alert_scores: Mapping[str, int] = field(default_factory=dict)
    """Score from which a judge flags, by its name."""
    alerts_per_day: float | None = None
    """Each judge flags from the lowest score that makes no more alerts a day; a second opinion's moves with it."""


def what_if(result: Result, changes: Changes, directory: Path, *, command: str, created_at: int) -> Result:
    """Decide again and leave the result in `directory`; features are linked to.

    Raises ResultError for what cannot be decided from what was kept, for a judge whose model is gone, for a budget that
    lists and rules alone exceed, and where the directory holds a backtest already.
    """
    began = time.monotonic()
    features = directory / FEATURES
    if (directory / RUN).exists() or (features.exists() and not features.is_symlink()):
        raise ResultError(f"{directory} holds a backtest already", hint="choose another --out")
    if unknown := changes.alert_scores.keys() - {judge.name for judge in result.judges}:
        raise ResultError(
            f"there is no model {min(unknown)} in {result.directory}",
            hint="name one of " + ", ".join(judge.name for judge in result.judges),
        )
    former = _policy(result, changes.policy)
    policy = changes.policy or former
    manifests = {judge: _manifest(judge) for judge in result.judges}
    deciders = {judge: Decider(_policy_of(judge, former, changes), manifests[judge]) for judge in manifests}
    again = Again(deciders, _lists(result, changes), Rules.of(policy, result, former))
    if changes.alerts_per_day is not None:
        thresholds = _spending(again, result, changes.alerts_per_day)
        for judge, decider in deciders.items():
            deciders[judge] = Decider(_moved(decider, thresholds[judge]), manifests[judge])
    _write(result, again, directory)
    run = msgspec.structs.replace(
        result.run,
        command=f"{result.run.command} && {command}",
        created_at=created_at,
        judges=tuple(judges_of(again.deciders)),
        policy=policy,
        policy_version=policy.version,
        parent=str(result.directory.resolve()),
        notes=tuple(dict.fromkeys((*result.run.notes, *_notes(again)))),
        seconds=time.monotonic() - began,
    )
    (directory / RUN).write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    return Result.open(directory)


def _policy(result: Result, given: Policy | None) -> Policy:
    """The run's own. One that is not known is only needed where no other is given, or for what its rules had said."""
    run = result.run
    if run.policy is not None:
        return run.policy
    if run.policy_version == Policy().version:
        return Policy()
    if given is not None:
        return Policy(rules=())
    raise ResultError(
        f"{result.directory} did not keep its policy (version {run.policy_version})", hint="give it as --policy"
    )


def _manifest(judge: Judge) -> Manifest:
    bundle = Bundle.load(Path(judge.bundle))
    if bundle.sha256 != judge.sha256:
        raise ResultError(
            f"{judge.bundle} holds another model than the one whose scores are kept",
            hint=f"put back the bundle with the sha256 {judge.sha256}, or run the backtest again",
        )
    return bundle.manifest


def _policy_of(judge: Judge, former: Policy, changes: Changes) -> Policy:
    """The new policy, or the former one with the thresholds that the judge had; and a threshold given for it."""
    policy = changes.policy or _with_thresholds(former, judge.threshold, judge.second_threshold)
    if judge.name in changes.alert_scores:
        return msgspec.structs.replace(policy, alert_score=changes.alert_scores[judge.name])
    return policy


def _moved(decider: Decider, threshold: int) -> Policy:
    """A decider's policy with another threshold, the second opinion's moving by as many points."""
    second = decider.second_score
    moved = None if second is None else max(0, second + threshold - decider.alert_score)
    return _with_thresholds(decider.policy, threshold, None if moved is None or moved > MAX_SCORE else moved)


def _with_thresholds(policy: Policy, score: int, second: int | None) -> Policy:
    return msgspec.structs.replace(
        policy, alert_score=score, second_opinion=second is not None, second_opinion_score=second
    )


def _lists(result: Result, changes: Changes) -> Lists:
    if changes.lists is not None:
        return changes.lists
    path = result.directory / LISTS
    return read_lists(path, _no_tokeniser) if path.exists() else NO_LISTS


def _no_tokeniser() -> Tokeniser:
    raise AssertionError("lists are kept with tokens")


def _spending(again: Again, result: Result, alerts_per_day: float) -> dict[Judge, int]:
    """The lowest threshold of each judge with no more alerts, given how lists and rules decide.

    A watch list decides as at the thresholds before: where these rise, its own threshold catches some that they let go.
    """
    judges = judges_of(again.deciders)
    payments = reading.judged(again.scores(result), judges)
    time_ = pl.col("event_time")
    first, last = payments.select(first=time_.min(), last=time_.max()).collect(engine="streaming").row(0)
    days = max(1.0, (last - first) / DAY_MS)
    found = {}
    for before, judge in zip(again.deciders, judges, strict=True):
        ladder = Ladder.of(reading.histogram(payments, judge))
        found[before] = ladder.within(alerts_per_day * days)
        if found[before] >= NOTHING:
            raise ResultError(
                f"{judge.name} cannot make so few alerts: lists, rules and scores of {MAX_SCORE} alone make"
                f" {ladder.alerts[MAX_SCORE] / days:,.1f} a day",
                hint="give a larger --alerts-per-day, or fewer rules",
            )
    return found


def _write(result: Result, again: Again, directory: Path) -> None:
    """Scores, lists, and a link to the features."""
    directory.mkdir(parents=True, exist_ok=True)
    again.scores(result).sink_parquet(directory / SCORES, compression="zstd", compression_level=1)
    (directory / LISTS).unlink(missing_ok=True)
    if again.lists.entries:
        again.lists.write(directory / LISTS)
    link = directory / FEATURES
    link.unlink(missing_ok=True)  # that of a what-if that did not end
    if result.has_features:
        link.symlink_to((result.directory / FEATURES).resolve())


def _notes(again: Again) -> list[str]:
    notes = (
        [] if not again.rules.remembered else ["Features were not kept: rules hold where they had decided in the run."]
    )
    if again.lists.entries:
        notes.append(f"A what-if applied lists of {len(again.lists.entries):,} entities.")
    return notes
