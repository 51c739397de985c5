"""Payments judged again from the topic's own bytes, with the entity risk that a run had recorded.

No Kafka, no RocksDB, another batch size: only the engine, in order of each partition's offsets. What it finds must be
what the run found, bit for bit.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.decided import risk_of
from bench.place import Place
from bench.readback import messages
from models.arena import GrowingArena
from models.batch import from_transactions
from models.engine import compute
from models.fingerprint import fingerprints
from models.forest import Matrix
from models.keys import of_tokens
from models.payer_state import PAYER
from models.scoring import Scorer
from models.tokens import Tokeniser
from schemas.codec import decode_transactions

BATCH = 1_009
"""Unlike that of any run."""

Source = dict[int, list[tuple[int, bytes, int]]]
"""By partition, offset, value and timestamp of every record, in order."""


def source_of(place: Place) -> Source:
    """A place's payments as they lie on the topic."""
    source: Source = {}
    for message in messages(place, place.topics.transactions):
        record = (message.offset(), message.value(), message.timestamp()[1])
        source.setdefault(message.partition(), []).append(record)
    return source


def judged_again(
    source: Source, decided: pl.DataFrame, tokeniser: Tokeniser
) -> Iterator[tuple[int, NDArray[np.int64], Matrix]]:
    """Partition, offsets (n,) and features (n, 85) of the payments, batch by batch, given the `risk_` of `decided`."""
    by_partition = decided.partition_by("partition", as_dict=True)
    for partition, records in source.items():
        frame = by_partition[(partition,)].sort("offset")
        assert frame["offset"].to_list() == [offset for offset, _, _ in records], "the books were compared before"
        risk = risk_of(frame)
        arena = GrowingArena(PAYER)
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            transactions, rejected = decode_transactions([value for _, value, _ in part])
            assert not rejected, "every payment was decided"
            payments = from_transactions(transactions, np.array([at for _, _, at in part]), tokeniser)
            rows = arena.rows(of_tokens(payments.tokens("payer")))
            status = np.zeros(len(part), dtype=np.uint8)
            features = compute(payments.rows, arena.records, rows, risk[start : start + BATCH], status)
            yield partition, np.array([offset for offset, _, _ in part], dtype=np.int64), features


def rejudge(source: Source, decided: pl.DataFrame, scorer: Scorer, tokeniser: Tokeniser) -> pl.DataFrame:
    """partition, offset, features_hash, probability and score of the payments, given the `risk_` of `decided`."""
    frames = []
    for partition, offsets, features in judged_again(source, decided, tokeniser):
        scores = scorer.score(features)
        frames.append(
            pl.DataFrame(
                {
                    "partition": np.full(offsets.size, partition, dtype=np.int32),
                    "offset": offsets,
                    "features_hash": fingerprints(features),
                    "probability": scores.probability,
                    "score": scores.score,
                }
            )
        )
    return pl.concat(frames)
