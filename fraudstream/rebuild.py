"""`fraudstream state rebuild`: the changelogs of both agents anew from their sources, wired in one function."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agents import rebuilding
from agents.entities import ENTITIES_PER_PAYER
from fraudstream.errors import UserError
from fraudstream.settings import Settings
from models.entity_state import ENTITY_KEY_BYTES
from models.state_format import codecs
from models.tokens import Tokeniser
from stream.admin import partitions_of
from stream.keyed_state import DirectoryLock, KeyedState
from stream.rebuild import Folding, Rebuild, wait_until_nobody_runs
from stream.scan import Scan
from stream.step import Compute
from stream.topics import topic_specs

AGENTS = ("scoring", "entities")
GROUPS = (*AGENTS, "labels")
PAYMENTS_AT_ONCE = 4_000
ACTIVITY_AT_ONCE = 5
"""A record of entity activity holds a whole step's rows."""

Plan = dict[str, list[Folding]]
Progress = Callable[[str, int], Callable[[int], None]]
"""Given what begins and its total, a function that is told how much of it was done."""


@dataclass(frozen=True)
class Rebuilt:
    """What came of it."""

    records: dict[str, int]
    """By agent."""
    databases: int
    """Local databases that were deleted."""


def rebuild(
    settings: Settings,
    tokeniser: Tokeniser,
    agents: Sequence[str],
    *,
    agreed: Callable[[Plan], bool],
    progress: Progress,
    say: Callable[[str], None],
) -> Rebuilt | None:
    """Do it; None when the plan was not agreed to.

    1. nobody runs: the groups are empty, no state directory is locked
    2. plan, and ask
    3. read the sources once more; until here nothing was changed
    4. delete the local databases, then make each changelog again
    """
    kafka, home = settings.kafka_settings(), settings.state_dir
    session_s = settings.session_timeout_ms / 1000
    with _locked(home), _place(home / "rebuild") as place:
        wait_until_nobody_runs(kafka, GROUPS, session_s, say)  # 1
        rebuilds = {agent: _made(agent, settings, tokeniser, place) for agent in agents}
        plan = {agent: each.plan() for agent, each in rebuilds.items()}  # 2
        if not agreed(plan):
            return None
        for agent, each in rebuilds.items():  # 3
            each.fold(plan[agent], progress(f"reading for {agent}", sum(folding.records for folding in plan[agent])))
        wait_until_nobody_runs(kafka, GROUPS, 0, say)
        databases = sum(_delete_databases(home, agent) for agent in agents)  # 4
        records = {}
        for agent, each in rebuilds.items():
            records[agent] = each.replace(plan[agent], progress(f"publishing for {agent}", each.estimated_records()))
        return Rebuilt(records, databases)


def _made(agent: str, settings: Settings, tokeniser: Tokeniser, place: Path) -> Rebuild:
    kafka, topics = settings.kafka_settings(), settings.topics()
    payer_codec, entity_codec = codecs(settings.state_format)
    source, changelog = {
        "scoring": (topics.transactions, topics.scoring_changelog),
        "entities": (topics.entity_activity, topics.entities_changelog),
    }[agent]
    partitions = partitions_of(kafka, source)[source]
    spec = next(spec for spec in topic_specs(topics, partitions) if spec.name == changelog)
    limits = settings.state_settings()
    if agent == "scoring":
        state = KeyedState(payer_codec, place / agent, limits)
        compute: Compute = rebuilding.payers(state, tokeniser)
        return Rebuild(kafka, agent, source, spec, state, compute, batch=PAYMENTS_AT_ONCE)
    limits = replace(limits, arena_rows=ENTITIES_PER_PAYER * limits.arena_rows)
    state = KeyedState(entity_codec, place / agent, limits, ENTITY_KEY_BYTES)
    published = rebuilding.Published()
    with Scan(kafka, topics.entity_risk) as scan:
        for message in scan:
            published.take(message.key() or b"", message.value())
    compute = rebuilding.entities(state)
    return Rebuild(kafka, agent, source, spec, state, compute, batch=ACTIVITY_AT_ONCE, finish=published.finish)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Every slot's directory, so that no worker starts on one meanwhile."""
    with ExitStack() as locks:
        for lock in sorted(home.glob("*/lock")):
            locks.callback(DirectoryLock(lock.parent).release)
        yield


@contextmanager
def _place(path: Path) -> Iterator[Path]:
    """A directory for the work, gone afterwards; what an interrupted one left is gone first."""
    shutil.rmtree(path, ignore_errors=True)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{path} cannot be made: {error.strerror}", hint="name a --state-dir to write to") from None
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _delete_databases(home: Path, agent: str) -> int:
    """Local state of the old changelog; a worker elsewhere replaces its own when it starts."""
    databases = [path.parent for path in home.glob(f"[0-9]*/{agent}/*/CURRENT")]
    for path in databases:
        shutil.rmtree(path)
    return len(databases)
