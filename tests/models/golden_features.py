"""Features of 400 seeded payments, to be run as a process of its own: `python golden_features.py OUT.npy`."""

import sys

import numpy as np

from models.arena import GrowingArena
from models.batch import from_transactions
from models.engine import RISK, compute
from models.keys import of_tokens
from models.payer_state import PAYER
from models.tokens import Tokeniser
from schemas.transaction import Transaction

rng = np.random.default_rng(7)
payments = [
    Transaction(
        transaction_id=str(i),
        payer=f"p{i % 9}",
        payee=f"q{i % 5}",
        amount=int(rng.integers(100, 10**7)),
        event_time=1_760_077_800_000 + i * 977_000,
        latitude=float(rng.uniform(8, 30)),
        longitude=float(rng.uniform(70, 90)),
        typing_interval_ms=float(rng.uniform(80, 300)),
        session_ms=float(rng.uniform(1e3, 1e5)),
    )
    for i in range(400)
]
times = np.array([payment.event_time for payment in payments])
batch = from_transactions(payments, times, Tokeniser(b"k" * 32))
payers = GrowingArena(PAYER)
rows = payers.rows(of_tokens(batch.tokens("payer")))
risk = np.full(len(batch), np.nan, dtype=RISK)
np.save(sys.argv[1], compute(batch.rows, payers.records, rows, risk, np.zeros(len(batch), dtype=np.uint8)))
