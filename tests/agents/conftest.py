"""A small trained model, and the scoring agent with its real state and tables on disk, without Kafka around it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from agents.champion import Models
from agents.scoring import Scoring
from agents.tables import ListTable, RiskTable
from models.bundle import Bundle, write_bundle
from models.contrast import ContrastSettings
from models.history import featurise
from models.keys import as_bytes
from models.payer_state import PAYER_CODEC
from models.policy import Decider, Policy
from models.scoring import Scorer
from models.tokens import Tokeniser
from models.training import Settings, Trained, train
from schemas.alert import Alert
from schemas.codec import decode_alert, encode
from schemas.decision import DecisionMeta, decode_decisions
from schemas.entity_list import ListEntry
from schemas.entity_risk import EntityRisk
from schemas.transaction import Transaction
from simulator.config import SimulationConfig
from simulator.simulation import Simulation
from stream.batch import Batch
from stream.changelog import Checkpoint
from stream.keyed_state import KeyedState
from stream.settings import StateSettings
from stream.step import Outputs
from stream.topics import Topics

NOON_IN_INDIA = 1_760_077_800_000
"""2025-10-10 12:00 in India, epoch ms."""
NOBODY, EVERYBODY = 1000, 0
"""Alert scores with which the model flags as good as no payment, and every one."""
TOPIC_ID = bytes(16)
TOKENISER = Tokeniser(b"k" * 32)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Trained on 12,000 simulated payments through the same engine."""
    trained = small(Settings(name="small", trees=40, threads=1))
    return write_bundle(tmp_path_factory.mktemp("bundles") / "small", trained.manifest, trained.model, trained.extra)


def small(settings: Settings) -> Trained:
    """A model of 12,000 simulated payments."""
    slots = list(Simulation(SimulationConfig(payments=12_000, payers=600, fraud_rate=0.04, days=15, seed=11)).history())
    payments = pl.concat([slot.payments for slot in slots])
    labels = pl.concat([slot.labels for slot in slots])
    return train(featurise(payments, labels, tokeniser=TOKENISER), settings, created_at=NOON_IN_INDIA)


@pytest.fixture(scope="session")
def scorer(bundle: Bundle) -> Scorer:
    return Scorer(bundle)


@pytest.fixture
def payment() -> Callable[..., Transaction]:
    """A payment of ₹500 by one payer to one payee at noon; `after_s` seconds later, other fields as given."""
    count = iter(range(1_000_000))

    def make(after_s: float = 0, rupees: float = 500, **fields: Any) -> Transaction:
        fields.setdefault("transaction_id", f"t{next(count)}")
        fields.setdefault("payer", "asha@bank")
        fields.setdefault("payee", "ravi@bank")
        fields.setdefault("event_time", NOON_IN_INDIA + round(after_s * 1000))
        return Transaction(amount=round(rupees * 100), **fields)

    return make


@pytest.fixture(scope="session")
def token() -> Callable[..., str]:
    """`token("asha@bank")`, `token("phone-1", "device")`: as the agents see an identifier."""
    return TOKENISER.token


def batch_of(
    values: Sequence[bytes | None], keys: Sequence[bytes | None], offset: int = 0, partition: int = 0
) -> Batch:
    """Records of one partition from `offset` on, published at noon."""
    n = len(values)
    return Batch(
        list(values),
        list(keys),
        np.full(n, partition, dtype=np.int32),
        np.arange(offset, offset + n, dtype=np.int64),
        np.full(n, NOON_IN_INDIA, dtype=np.int64),
    )


@dataclass
class Step:
    """What a scoring step made, decoded."""

    outputs: Outputs
    topics: Topics

    @property
    def alerts(self) -> list[Alert]:
        return [decode_alert(record["value"]) for record in self.outputs.bulk.get(self.topics.alerts, [])]

    @property
    def decisions(self) -> list[tuple[DecisionMeta, pl.DataFrame]]:
        return [decode_decisions(record["value"]) for record in self.outputs.bulk.get(self.topics.decisions, [])]

    @property
    def rows(self) -> pl.DataFrame:
        return pl.concat([rows for _, rows in self.decisions])


@dataclass
class Desk:
    """The scoring agent; keeps what a step changed as the step runner would."""

    scoring: Scoring
    risk: RiskTable
    lists: ListTable
    offset: int = 0
    kept: dict[bytes, bytes] = field(default_factory=dict)
    """Each payer's record as last kept."""

    def judge(self, *payments: Transaction, redo_from: int | None = None, partition: int = 0) -> Step:
        """One step over payments keyed by their payers; with `redo_from`, again from that offset on."""
        return self.take(
            [encode(payment) for payment in payments],
            [payment.payer.encode() for payment in payments],
            redo_from=redo_from,
            partition=partition,
        )

    def take(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        redo_from: int | None = None,
        partition: int = 0,
    ) -> Step:
        """One step over any records."""
        start = self.offset if redo_from is None else redo_from
        state = self.scoring.state
        step = state.begin()
        outputs = self.scoring.compute(batch_of(values, keys, start, partition), {partition: self.offset})
        self.offset = max(self.offset, start + len(values))
        for where, (changed, rows) in outputs.changed.items():
            changes = list(zip(as_bytes(changed), state.encode(rows), strict=True))
            self.kept |= changes
            state.persist(where, changes, Checkpoint(self.offset, self.offset, TOPIC_ID))
        state.keep(step)
        return Step(outputs, self.scoring.topics)

    def put_on_list(self, name: str, kind: str, token: str, expires_at: int | None = None) -> None:
        entry = ListEntry(
            list=name,
            kind=kind,
            token=token,
            reason="test",
            added_at=NOON_IN_INDIA,
            added_by="test",
            expires_at=expires_at,
        )
        self.lists.apply(0, [(f"{kind}:{token}".encode(), encode(entry))], self.lists.next_offset(0) + 1)

    def learn_risk(self, *records: EntityRisk) -> None:
        self.risk.apply(0, [(f"{each.kind}:{each.token}".encode(), encode(each)) for each in records], len(records))


@pytest.fixture
def make_desk(scorer: Scorer, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """`make_desk(alert_score=NOBODY, champion=…, policy=…, challengers=…)`: with two partitions of state open."""
    desks: list[Desk] = []

    def make(
        alert_score: int = NOBODY, challengers: Sequence[Scorer] = (), champion: Scorer = scorer, **policy: Any
    ) -> Desk:
        home = tmp_path / f"desk-{len(desks)}"
        settings = StateSettings(home, arena_rows=2_000, write_buffer_bytes=1 << 20, block_cache_bytes=1 << 20)
        state = KeyedState(PAYER_CODEC, home / "scoring", settings)
        for partition in (0, 1):
            state.open(partition)
        risk, lists = RiskTable(home / "risk", TOPIC_ID, settings), ListTable()
        decider = Decider(Policy(alert_score=alert_score, **policy), champion.bundle.manifest)
        models = Models(champion, tuple(challengers), decider)
        scoring = Scoring(
            state=state,
            tokeniser=TOKENISER,
            models=lambda: models,
            risk=risk,
            lists=lists,
            topics=Topics(),
            activity_partitions=4,
            slot=3,
            clock_ms=lambda: NOON_IN_INDIA + 40,
        )
        desks.append(Desk(scoring, risk, lists))
        return desks[-1]

    yield make
    for desk in desks:
        desk.scoring.state.close_all()
        desk.risk.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """Its model flags as good as nothing; lists and rules do."""
    return make_desk()


@pytest.fixture(scope="session")
def second_scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """The same small model with a second opinion beside it."""
    opinion = ContrastSettings(payments=4_000, trees=20, false_positive_rate=0.01)
    trained = small(Settings(name="second", trees=40, threads=1, second_opinion=opinion))
    path = tmp_path_factory.mktemp("bundles") / "second"
    return Scorer(write_bundle(path, trained.manifest, trained.model, trained.extra))
