"""What a run ought to have left: the source topic once more through the same pure engine, in memory, in one pass.

Nothing of the stream's own bookkeeping is used: no batches, offsets, changelogs or databases of it. Taken from the
run is only what came from outside of payment and payer: the entity risk that each decision recorded, and which model
it named. The entities' records follow from the activity that was committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.decided import risk_of
from kit.bank import Bank
from kit.readback import STATE, Found, messages
from models import entity_state
from models.activity import activity_of
from models.arena import GrowingArena
from models.batch import from_transactions
from models.bundle import Bundle
from models.engine import DUPLICATE, compute
from models.entity_state import ENTITY, ENTITY_KEY_BYTES
from models.fingerprint import fingerprints
from models.keys import as_bytes, of_tokens
from models.payer_state import PAYER, PAYER_CODEC
from models.policy import DECIDED_BY, Decider, Policy
from models.scoring import Scorer
from models.tokens import Tokeniser
from schemas.codec import decode_transactions
from schemas.entity_activity import ACTIVITY, FRAUD, decode_activity

BATCH = 1_009
"""Unlike that of any run."""
JUDGED = {
    "partition": pl.Int32,
    "offset": pl.Int64,
    "transaction_id": pl.String,
    "payer_token": pl.String,
    "features_hash": pl.UInt64,
    "probability": pl.Float32,
    "score": pl.Int16,
    "flagged": pl.Boolean,
    "decided_by": pl.String,
    "rule": pl.String,
    "status": pl.UInt8,
}
ENTITIES = {"partition": pl.Int32, "key": pl.Binary, "index": pl.Int64}
BAD = {"partition": pl.Int32, "offset": pl.Int64, "code": pl.String, "key": pl.Binary, "value": pl.Binary}


@dataclass(frozen=True)
class Expected:
    """What should be there."""

    judged: pl.DataFrame
    """Every payment that can be read, in order of partition and offset: `JUDGED`."""
    bad: pl.DataFrame
    """Every record that cannot: `BAD`."""
    payers: pl.DataFrame
    """Their records: `kit.readback.STATE`."""
    activity: NDArray[np.void]
    """What the payments say about entities: rows of ACTIVITY."""
    told: NDArray[np.void]
    """The same of the activity that was committed, without verdicts."""
    entities: pl.DataFrame
    """Where the record of each is in `entity_records`: `ENTITIES`."""
    entity_records: NDArray[np.void]
    ends: dict[str, dict[int, int]]
    """By agent and partition, the offset after the last record of its source."""


@dataclass
class _Chunk:
    """Records of one partition that wait to be judged together."""

    offsets: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


class Replay:
    """One pass over a bank's topics, given what was found to have been decided."""

    def __init__(self, bank: Bank, found: Found, bundles: Sequence[Path] = (), policy: Path | None = None) -> None:
        self._bank = bank
        self._tokeniser = Tokeniser.load(bank.world.key)
        scorers = [Scorer(Bundle.load(path)) for path in (bank.bundle, *bundles)]
        self.models = {scorer.bundle.sha256: scorer for scorer in scorers}
        rules = Policy.load(policy) if policy else Policy()
        self._deciders = {sha: Decider(rules, scorer.bundle.manifest) for sha, scorer in self.models.items()}
        self._usual = scorers[0].bundle.sha256
        first = found.decisions.unique(["partition", "offset"], keep="first", maintain_order=True)
        self._decided = {
            partition: frame.sort("offset")
            for (partition,), frame in first.partition_by("partition", as_dict=True).items()
        }
        self._told = found.activity
        self._nothing = found.decisions.clear()
        self._payers: dict[int, GrowingArena] = {}
        self._judged: list[pl.DataFrame] = []
        self._bad: list[tuple[int, int, str, bytes | None, bytes | None]] = []
        self._activity = [np.zeros(0, dtype=ACTIVITY)]
        self._ends: dict[str, dict[int, int]] = {"scoring": {}, "entities": {}}

    def run(self) -> Expected:
        self._source()
        told, entities, records = self._entities()
        judged = pl.concat([pl.DataFrame(schema=JUDGED), *self._judged]).sort("partition", "offset")
        return Expected(
            judged=judged,
            bad=pl.DataFrame(self._bad, schema=BAD, orient="row"),
            payers=pl.concat([pl.DataFrame(schema=STATE), *map(self._records_of, self._payers)]),
            activity=np.concatenate(self._activity),
            told=told,
            entities=entities,
            entity_records=records,
            ends=self._ends,
        )

    def _source(self) -> None:
        chunks: dict[int, _Chunk] = {}
        for message in messages(self._bank, self._bank.topics.transactions):
            chunk = chunks.setdefault(message.partition(), _Chunk())
            chunk.offsets.append(message.offset())
            chunk.keys.append(message.key())
            chunk.values.append(message.value())
            chunk.times.append(message.timestamp()[1])
            if len(chunk.offsets) == BATCH:
                self._judge(message.partition(), chunks.pop(message.partition()))
        for partition, chunk in chunks.items():
            self._judge(partition, chunk)

    def _judge(self, partition: int, chunk: _Chunk) -> None:
        self._ends["scoring"][partition] = chunk.offsets[-1] + 1
        transactions, rejected = decode_transactions(chunk.values, chunk.keys)
        self._bad += [(partition, chunk.offsets[i], code, chunk.keys[i], chunk.values[i]) for i, code, _ in rejected]
        where = np.delete(np.arange(len(chunk.offsets)), [reject.index for reject in rejected])
        offsets, times = np.array(chunk.offsets)[where], np.array(chunk.times)[where]
        payments = from_transactions(transactions, times, self._tokeniser)
        arena = self._payers.setdefault(partition, GrowingArena(PAYER))
        rows = arena.rows(of_tokens(payments.tokens("payer")))
        risk, shas = self._outside(partition, offsets)
        status = np.zeros(len(payments), dtype=np.uint8)
        features = compute(payments.rows, arena.records, rows, risk, status)
        new = np.flatnonzero(status & DUPLICATE == 0)
        self._activity.append(activity_of(payments.rows[new], status[new], risk[new]))
        for sha in np.unique(shas).tolist():
            mine = np.flatnonzero(shas == sha)
            scores = self.models[sha].score(features[mine])
            decider = self._deciders[sha]
            second = self.models[sha].second_score(features[mine])
            decisions = decider.decide(scores.score, features[mine], status[mine], second=second)
            columns = {
                "partition": np.full(mine.size, partition, dtype=np.int32),
                "offset": offsets[mine],
                "transaction_id": [payments.ids[i] for i in mine.tolist()],
                "payer_token": [token.hex() for token in payments.tokens("payer")[mine].tolist()],
                "features_hash": fingerprints(features[mine]),
                "probability": scores.probability,
                "score": scores.score,
                "flagged": decisions.flagged,
                "decided_by": pl.Series(DECIDED_BY).gather(decisions.decided_by),
                "rule": pl.Series(decider.rule_names, dtype=pl.String).gather(decisions.rule),
                "status": status[mine],
            }
            self._judged.append(pl.DataFrame(columns, schema=JUDGED))

    def _outside(self, partition: int, offsets: NDArray[np.int64]) -> tuple[NDArray[np.void], NDArray[np.str_]]:
        """Entity risk and model of the decisions on `offsets`; nothing known, and the usual model, where there is
        none."""
        decided = self._decided.get(partition, self._nothing)
        asked = pl.DataFrame({"offset": offsets}).join(decided, on="offset", how="left", maintain_order="left")
        risk = risk_of(asked)
        models = asked["model"].fill_null(self._usual)
        return risk, models.replace_strict({sha: sha for sha in self.models}, default=self._usual).to_numpy()

    def _records_of(self, partition: int) -> pl.DataFrame:
        arena = self._payers[partition]
        keys = as_bytes(arena.keys())
        values = PAYER_CODEC.encode(arena.records, np.arange(len(keys)))
        columns = {"partition": np.full(len(keys), partition, dtype=np.int32), "key": keys, "value": values}
        return pl.DataFrame(columns, schema=STATE)

    def _entities(self) -> tuple[NDArray[np.void], pl.DataFrame, NDArray[np.void]]:
        """What was told, and the records that follow from it, as the entities agent keeps them."""
        arenas: dict[int, GrowingArena] = {}
        told = [np.zeros(0, dtype=ACTIVITY)]
        for partition, offset, value in self._told:
            activity = decode_activity(value)
            arena = arenas.setdefault(partition, GrowingArena(ENTITY, ENTITY_KEY_BYTES))
            rows = arena.rows(entity_state.entity_keys(activity["kind"], activity["token"]))
            entity_state.update(activity, arena.records, rows)
            told.append(activity[activity["flags"] & FRAUD == 0])
            self._ends["entities"][partition] = offset + 1
        frames, records, known = [], [np.zeros(0, dtype=ENTITY)], 0
        for partition, arena in arenas.items():
            columns = {
                "partition": np.full(len(arena), partition, dtype=np.int32),
                "key": as_bytes(arena.keys()),
                "index": np.arange(known, known + len(arena)),
            }
            frames.append(pl.DataFrame(columns, schema=ENTITIES))
            records.append(arena.records[: len(arena)])
            known += len(arena)
        return (
            np.concatenate(told),
            pl.concat([pl.DataFrame(schema=ENTITIES), *frames]),
            np.concatenate(records),
        )
