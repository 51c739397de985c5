"""Load the compiled engine, or compile it, by judging two payments nobody made: `python -m models.warm`.

A worker does so before it takes part in a group, an image while it is built.
"""

import numpy as np

from models import drift_counts, entity_state
from models.activity import activity_of
from models.batch import from_records
from models.engine import RISK, compute
from models.entity_risk import SEEN, assemble
from models.entity_state import ENTITY, ENTITY_CODEC, VALUES
from models.fingerprint import fingerprints
from models.keys import TOKEN_BYTES, KeyIndex, distinct, of_tokens
from models.payer_state import PAYER, PAYER_CODEC
from models.record_codec import RecordCodec
from models.tokens import Tokeniser, new_key
from schemas.codec import encode, record_key
from schemas.transaction import Transaction
from schemas.types import EARLIEST_MS


def warm() -> None:
    """Run everything that is compiled, with the types that a worker uses."""
    payments = [
        Transaction(transaction_id=str(k), event_time=EARLIEST_MS + k, payer="payer", payee="payee", amount=100)
        for k in range(2)
    ]
    values, senders = [encode(payment) for payment in payments], [record_key(payment) for payment in payments]
    batch, _ = from_records(values, senders, np.array([EARLIEST_MS] * 2), Tokeniser(new_key()))
    index, keys = KeyIndex(2, TOKEN_BYTES), of_tokens(batch.tokens("payer"))
    first, _ = distinct(keys)
    index.put(0, keys[first], first)
    index.remove(index.find(0, keys[first]))
    payers, rows, status = np.zeros(2, dtype=PAYER), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.uint8)
    features = compute(batch.rows, payers, rows, np.full(2, np.nan, dtype=RISK), status)
    fingerprints(features)
    edges = np.full((drift_counts.COLUMNS, drift_counts.MOST_EDGES), np.nan, dtype=np.float32)
    drift_counts.Window(edges).see(features, np.zeros(2, dtype=np.int16), rows, status, rows)
    entities, risks = np.zeros(4, dtype=ENTITY), np.zeros(2, dtype=VALUES)
    risk = assemble({name: risks for name, _ in SEEN}, batch.rows["event_time"])
    entity_state.update(activity_of(batch.rows, status, risk), entities, np.arange(4))
    entity_state.publishable(entities, np.arange(4))
    for codec, records in (
        (PAYER_CODEC, payers),
        (ENTITY_CODEC, entities),
        (RecordCodec(VALUES, version=2, histories=()), risks),
    ):
        codec.decode(codec.encode(records, np.arange(2)), records, np.arange(2))


if __name__ == "__main__":
    warm()
