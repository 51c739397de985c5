"""Payments by hand for the engine's tests, and a small trained model for those that need one."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.arena import GrowingArena
from models.batch import from_transactions
from models.bundle import Bundle, write_bundle
from models.catalogue import FEATURE_NAMES
from models.engine import RISK, compute
from models.history import History
from models.keys import as_keys, of_tokens
from models.payer_state import PAYER
from models.scoring import Scorer
from models.tokens import Tokeniser
from models.training import Settings, Trained, train
from schemas.transaction import Transaction

NOON_IN_INDIA = 1_760_077_800_000
"""2025-10-10 12:00 in India, epoch ms."""


@dataclass
class Judge:
    """Runs payments through the engine and remembers the payers."""

    tokeniser: Tokeniser = field(default_factory=lambda: Tokeniser(b"k" * 32))
    payers: GrowingArena = field(default_factory=lambda: GrowingArena(PAYER))
    status: int = 0

    def matrix(self, payments: Sequence[Transaction], published: int | None = None, redo: int = 0) -> np.ndarray:
        times = np.array([published or payment.event_time for payment in payments])
        batch = from_transactions(payments, times, self.tokeniser)
        rows = self.payers.rows(of_tokens(batch.tokens("payer")))
        status = np.full(len(batch), redo, dtype=np.uint8)
        risk = np.full(len(batch), np.nan, dtype=RISK)
        features = compute(batch.rows, self.payers.records, rows, risk, status)
        self.status = int(status[-1])
        return features

    def __call__(self, *payments: Transaction, **options: Any) -> dict[str, float]:
        """Features of the last of `payments` by name."""
        return dict(zip(FEATURE_NAMES, self.matrix(payments, **options)[-1].tolist(), strict=True))

    def record(self, payer: str = "asha@bank") -> np.void:
        return self.payers.records[self.payers.rows(as_keys([bytes.fromhex(self.tokeniser.token(payer))]))[0]]


@pytest.fixture
def judge() -> Judge:
    return Judge()


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


DAY_MS = 86_400_000
DAYS = 30


def make_history(payments: int = 20_000, seed: int = 1, fraud_share: float = 0.01) -> History:
    """Payments over 30 days whose fraud shows in some features, and in pairs of them, but never for certain.

    Nine verdicts in ten become known after six hours, the others never.
    """
    random = np.random.default_rng(seed)
    times = np.sort(NOON_IN_INDIA + random.integers(0, DAYS * DAY_MS, payments))
    features = random.normal(size=(payments, len(FEATURE_NAMES))).astype(np.float32)
    signal = features[:, :10].sum(axis=1) + 2 * features[:, 0] * features[:, 11]
    noise = random.normal(size=payments)
    is_fraud = signal + noise > np.quantile(signal + noise, 1 - fraud_share)
    features[random.random(features.shape) < 0.1] = np.nan
    known = is_fraud & (random.random(payments) < 0.9)
    frame = pl.DataFrame(
        {
            "transaction_id": [f"t{i}" for i in range(payments)],
            "event_time": times,
            "payer": [f"payer{i}" for i in random.integers(0, payments // 10, payments)],
            "payee": [f"payee{i}" for i in random.integers(0, payments // 20, payments)],
            "amount": random.integers(100, 10_000_000, payments),
            "is_fraud": is_fraud,
            "kind": np.where(is_fraud, np.where(random.random(payments) < 0.5, "app_scam", "sim_swap"), ""),
            "known_at": [int(time) + DAY_MS // 4 if k else None for time, k in zip(times, known, strict=True)],
        },
        schema_overrides={"known_at": pl.Int64, "kind": pl.String},
    )
    return History(features, frame, np.zeros(payments, dtype=np.uint8))


@pytest.fixture(scope="session")
def history_of() -> Callable[..., History]:
    """`history_of(payments=6_000, seed=1, fraud_share=0.04)`, as `make_history` makes it."""
    return make_history


@pytest.fixture(scope="session")
def history() -> History:
    return make_history()


@pytest.fixture(scope="session")
def trained(history: History) -> Trained:
    return train(history, Settings(name="test", trees=60), created_at=NOON_IN_INDIA)


@pytest.fixture(scope="session")
def kept_bundle(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One bundle for all tests; they must not change it."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "kept", trained.manifest, trained.model, trained.extra)


@pytest.fixture
def bundle_path(kept_bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the bundle, to damage."""
    return Path(shutil.copytree(kept_bundle.path, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def scorer(kept_bundle: Bundle) -> Scorer:
    return Scorer(kept_bundle)
