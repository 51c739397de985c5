"""Verdicts for a replay: the frauds, each once, and when they were known."""

from collections.abc import Iterable
from operator import attrgetter

import polars as pl

from schemas.codec import decode_label
from schemas.errors import DecodeError
from schemas.history import LABEL_COLUMNS
from schemas.label import Label
from stream.scan import Scan
from stream.settings import KafkaSettings

FRAUD_COLUMNS = ("transaction_id", "is_fraud", "kind", "known_at")


def frauds_of(labels: pl.LazyFrame, delay_ms: int | None) -> pl.DataFrame:
    """`FRAUD_COLUMNS` of the payments judged fraud last; known `delay_ms` after the payment, if that is given."""
    known = pl.col("known_at") if delay_ms is None else pl.col("event_time") + delay_ms
    ever = labels.filter("is_fraud").select("transaction_id").unique()
    about = labels.join(ever, on="transaction_id", how="semi").sort("known_at", nulls_last=False)
    last = about.unique("transaction_id", keep="last", maintain_order=True)
    return last.filter("is_fraud").with_columns(known_at=known).select(FRAUD_COLUMNS).collect(engine="streaming")


def labels_of_topic(kafka: KafkaSettings, topic: str) -> pl.LazyFrame:
    """`LABEL_COLUMNS` of a topic's verdicts; those that cannot be read are left out, as live."""
    with Scan(kafka, topic) as scan:
        labels = [label for message in scan if (label := _decoded(message.value())) is not None]
    return _frame(labels).lazy()


def _decoded(value: bytes | None) -> Label | None:
    try:
        return decode_label(value or b"")
    except DecodeError:
        return None


def _frame(labels: Iterable[Label]) -> pl.DataFrame:
    rows = list(map(attrgetter(*LABEL_COLUMNS), labels))
    return pl.DataFrame(rows, schema=LABEL_COLUMNS, orient="row")
