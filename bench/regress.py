"""What each part of the hot path costs, in units of a reference loop, beside the committed baseline.

    python -m bench.regress [--json bench/results/regress.json]

One process, no broker: payments are judged from memory with real state on disk. Every part is timed by processor time,
several times in turn with the reference loop, and the smallest ratio counts, so that a slow or busy machine does not
matter. Takes about a minute, after some for simulating and training the first time. A report: no figure fails it.
"""

import json as json_format
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

import numpy as np
import typer

from agents.champion import Models
from agents.entities import Entities
from agents.scoring import Scoring
from agents.tables import ListTable, RiskTable
from bench import options
from bench.environment import ROOT, environment
from bench.errors import run
from bench.place import PARTITIONS
from bench.results import console, read, write
from bench.tables import show
from bench.world import World, prepare
from models.batch import from_records
from models.bundle import Bundle
from models.catalogue import FEATURE_NAMES
from models.drift_counts import COLUMNS, MOST_EDGES, Window
from models.entity_state import ENTITY_CODEC, ENTITY_KEY_BYTES
from models.keys import as_bytes, of_tokens
from models.payer_state import PAYER_CODEC
from models.policy import Decider, Policy
from models.scoring import Scorer
from models.tokens import Tokeniser
from simulator.encode import encode
from stream.batch import Batch
from stream.changelog import Checkpoint
from stream.keyed_state import KeyedState
from stream.settings import StateSettings
from stream.step import Outputs
from stream.topics import Topics

BASELINE = ROOT / "bench" / "results" / "regress.json"
PAYMENTS, PAYERS = 160_000, 50_000
STEP, SMALL_STEP = 8_000, 100
ROUNDS = 5
TOPIC_ID = bytes(16)


@dataclass(frozen=True)
class Part:
    """A piece of work, and of how many payments it is; `prepare` makes what one round of it takes, untimed."""

    name: str
    payments: int
    work: Callable[[Any], object]
    prepare: Callable[[], Any] = lambda: None


def main(
    against: Annotated[Path, typer.Option(help="The baseline.")] = BASELINE,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure each part of the hot path against the reference loop and the baseline."""
    world = prepare(cache, PAYMENTS, PAYERS)
    before = read(against)["parts"] if against.exists() else {}
    result: dict[str, Any] = {
        "benchmark": "regress",
        **environment({"payments": PAYMENTS, "payers": PAYERS, "step": STEP, "small_step": SMALL_STEP}),
        "parts": {},
    }
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
        for part in parts(world, Path(home)):
            result["parts"][part.name] = measured(part) | {"baseline": before.get(part.name, {}).get("ratio")}
            console.print(f"{part.name}: {result['parts'][part.name]['us']:.2f} µs", highlight=False)
    show(result)
    write(result, json)


def measured(part: Part) -> dict[str, float]:
    """Microseconds a payment, and how many reference loops that is; of the round with the smallest ratio."""
    part.work(part.prepare())  # compiled, and in the caches
    rounds = []
    for _ in range(ROUNDS):
        given = part.prepare()
        loop = (_timed(reference) + _timed(reference)) / 2
        us = _timed(lambda given=given: part.work(given)) / part.payments * 1e6  # type: ignore[misc]
        rounds.append((us / (loop * 1e6), us))
    ratio, us = min(rounds)
    return {"us": round(us, 3), "ratio": float(f"{ratio:.4g}")}


def _timed(work: Callable[[], object]) -> float:
    """Processor seconds of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def reference() -> int:
    """Some interpreted code, some vector operations, some memory: about 10 ms of what the hot path is made of."""
    counts: dict[int, int] = {}
    for number in range(20_000):
        key = number * 2_654_435_761 % 4_096
        counts[key] = counts.get(key, 0) + 1
    numbers = np.arange(200_000, dtype=np.float64)
    numbers = np.sqrt(numbers[::-1] % 1_013).copy()
    text = json_format.dumps(numbers[:2_000].tolist())
    return len(counts) + int(np.argsort(numbers, kind="stable")[0]) + len(text)


def parts(world: World, home: Path) -> Iterator[Part]:
    """Everything that is measured."""
    desk = Desk(world, home)
    values, keys, times = desk.values[:STEP], desk.keys[:STEP], np.zeros(STEP, dtype=np.int64)
    judged, _ = from_records(values, keys, times, desk.tokeniser)
    yield Part("JSON to columns", STEP, lambda _: from_records(values, keys, times, desk.tokeniser))
    yield Part("a step of 8,000, computed", STEP, desk.judge, lambda: desk.batch(STEP))
    yield Part("a step of 100, computed", SMALL_STEP, desk.judge, lambda: desk.batch(SMALL_STEP))
    features = np.random.default_rng(1).random((STEP, len(FEATURE_NAMES)), dtype=np.float32)
    edges = np.sort(np.random.default_rng(2).random((COLUMNS, MOST_EDGES), dtype=np.float32))
    yield Part("margins", STEP, lambda _: desk.scorer.score(features))
    window, offsets, counted = Window(edges), np.arange(STEP), np.zeros(STEP, dtype=np.uint8)
    score = np.zeros(STEP, dtype=np.int16)
    yield Part("counting for drift", STEP, lambda _: window.see(features, score, times, counted, offsets))
    yield Part("the second opinion", STEP, lambda _: desk.scorer.second_score(features))
    yield Part("an explanation", 100, lambda _: desk.scorer.contributions(features[:100]))
    payers = of_tokens(judged.tokens("payer"))
    rows = desk.payers.rows(0, payers)
    yield Part("finding payers in memory", STEP, lambda _: desk.payers.rows(0, payers))
    yield Part("packing records", rows.size, lambda _: desk.payers.encode(rows))
    yield Part("a step's records to disk", STEP, desk.persist, lambda: desk.changes(STEP))
    yield Part("entities of a step of 8,000", STEP, desk.move_on, lambda: desk.activity(STEP))


class Desk:
    """The agents' pure parts, with state of their own."""

    def __init__(self, world: World, home: Path) -> None:
        frames = list(world.frames())
        self.values = [value for frame in frames for value in encode(frame)]
        self.keys = [payer.encode() for frame in frames for payer in frame["payer"]]
        self.tokeniser = Tokeniser.load(world.token_key)
        self.scorer = Scorer(Bundle.load(world.model))
        settings = StateSettings(home)
        self.payers = KeyedState(PAYER_CODEC, home / "payers", settings)
        self.entities = KeyedState(ENTITY_CODEC, home / "entities", settings, ENTITY_KEY_BYTES)
        for partition in range(PARTITIONS):
            self.payers.open(partition)
            self.entities.open(partition)
        decider = Decider(Policy.load(world.policy), self.scorer.bundle.manifest)
        models = Models(self.scorer, (), decider)
        risk = RiskTable(home / "risk", TOPIC_ID, settings)
        self.scoring = Scoring(
            self.payers, self.tokeniser, lambda: models, risk, ListTable(), Topics(), PARTITIONS, slot=0
        )
        self.counting = Entities(self.entities, Topics().entity_risk)
        self._at = 0

    def batch(self, count: int) -> Batch:
        """The next payments, over all partitions."""
        assert self._at + count <= len(self.values), "the same payments again would be duplicates"
        here = slice(self._at, self._at + count)
        self._at += count
        return _batch(self.values[here], self.keys[here])

    def judge(self, batch: Batch) -> Outputs:
        step = self.payers.begin()
        outputs = self.scoring.compute(batch, {})
        self.payers.keep(step)
        return outputs

    def changes(self, count: int) -> list[list[tuple[bytes, bytes | None]]]:
        """What a step's payments change, by partition, packed."""
        changed = self.judge(self.batch(count)).changed
        return [
            list(zip(as_bytes(keys), self.payers.encode(rows), strict=True))
            for keys, rows in (changed[partition] for partition in sorted(changed))
        ]

    def persist(self, changes: Sequence[list[tuple[bytes, bytes | None]]]) -> None:
        for partition, mine in enumerate(changes):
            self.payers.persist(partition, mine, Checkpoint(1, 1, TOPIC_ID))

    def activity(self, count: int) -> Batch:
        """What a step's payments say of entities."""
        records = self.judge(self.batch(count)).bulk[Topics().entity_activity]
        return _batch([record["value"] for record in records], [None] * len(records))

    def move_on(self, batch: Batch) -> None:
        step = self.entities.begin()
        self.counting.compute(batch, {})
        self.entities.keep(step)


def _batch(values: Sequence[bytes | None], keys: Sequence[bytes | None]) -> Batch:
    """Records on the partitions of their keys."""
    numbers = np.arange(len(values))
    partitions = np.array([crc32(key or b"") % PARTITIONS for key in keys], dtype=np.int32)
    return Batch(list(values), list(keys), partitions, numbers, np.full(len(values), 4_000_000_000_000))


if __name__ == "__main__":
    run(main)
