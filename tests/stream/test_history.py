"""A history directory and a lake of the same payments are read alike."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kit.lake import START_HOUR, START_MS, write_range
from schemas.history import LABEL_COLUMNS, TRANSACTION_COLUMNS, HistoryError, HistoryWriter
from schemas.lake import LAYOUTS, Block
from stream.history import has_labels, read_transactions, scan_labels, scan_transactions
from stream.lake import Lake


def verdicts(*rows):
    """Rows of transaction id, is_fraud and known_at, as the lake has them."""
    table = pl.DataFrame(rows, schema=["transaction_id", "is_fraud", "known_at"], orient="row")
    return table.select(
        (
            pl.col(name)
            if name in table.columns
            else pl.int_range(pl.len()).alias(name)
            if name == "offset"
            else pl.lit("x" if kind == pl.String else 0).alias(name)
        ).cast(kind)
        for name, kind in LAYOUTS["labels"].columns.items()
    )


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    for partition in (0, 1):
        for first in range(0, 150, 30):
            write_range(lake, first, first + 30, partition)
    return lake


def test_a_lake_is_read_as_the_directory_with_the_same_payments(lake, tmp_path):
    payments = pl.concat(frame for p in (0, 1) for frame in lake.read("transactions", p)).sort(
        "event_time", "partition"
    )
    with HistoryWriter(tmp_path / "directory") as history:
        history.write(payments.select(list(TRANSACTION_COLUMNS)), pl.DataFrame(schema=LABEL_COLUMNS))
    window = {"start_ms": START_MS + 60_000, "end_ms": START_MS + 100 * 60_000}
    for bounds in ({}, window):
        there, here = (pl.concat(read_transactions(data, **bounds)) for data in (tmp_path / "directory", lake.url))
        assert_frame_equal(there, here)
        scanned = [scan_transactions(data, **bounds) for data in (tmp_path / "directory", lake.url)]
        assert_frame_equal(*(lazy.collect().sort("event_time", "transaction_id") for lazy in scanned))
        assert [lazy.select(pl.len()).collect().item() for lazy in scanned] == [len(there)] * 2


def test_a_lazy_frame_reads_what_is_asked_of_it(lake):
    some = scan_transactions(lake.url).filter(pl.col("transaction_id").str.starts_with("t1")).select("event_time")
    assert some.collect().shape == (150, 1)
    assert scan_transactions(lake.url).head(40).collect().shape == (40, len(TRANSACTION_COLUMNS))


def test_of_several_verdicts_the_one_known_last_counts(lake):
    assert not has_labels(lake.url)
    with pytest.raises(HistoryError, match="no labels"):
        scan_labels(lake.url)
    rows = verdicts(("t0-1", True, 50), ("t0-2", True, 60), ("t0-1", False, 70), ("t0-2", False, 40))
    lake.write(Block("labels", START_HOUR, 0, 0, 4), rows)
    labels = scan_labels(lake.url).collect()
    assert has_labels(lake.url)
    assert labels.columns == list(LABEL_COLUMNS)
    assert sorted(labels.select("transaction_id", "is_fraud", "known_at").rows()) == [
        ("t0-1", False, 70),
        ("t0-2", True, 60),
    ]


def test_what_is_neither_is_told(tmp_path):
    with pytest.raises(HistoryError, match="no payments"):
        scan_transactions(tmp_path)
    with pytest.raises(HistoryError, match=r"labels\.parquet"):
        scan_labels(tmp_path)
