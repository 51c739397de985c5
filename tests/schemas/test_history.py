"""History directories: what is written comes back, and what is no history is refused with words."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas.history import (
    LABEL_COLUMNS,
    TRANSACTION_COLUMNS,
    HistoryError,
    HistoryWriter,
    conform,
    read_transactions,
    scan_labels,
    scan_transactions,
)

DAY = 86_400_000
START = 1_700_006_400_000  # a midnight, UTC


def payments(times):
    return pl.DataFrame(
        {
            "transaction_id": [f"t{time}" for time in times],
            "event_time": times,
            "payer": ["a"] * len(times),
            "payee": ["b"] * len(times),
            "amount": [100] * len(times),
        }
    )


def labels(of):
    return of.select("transaction_id", "payer", "payee", "event_time").with_columns(
        is_fraud=pl.lit(False), kind=pl.lit(""), known_at=pl.lit(None, dtype=pl.Int64)
    )


def test_what_is_written_comes_back_by_time_with_all_columns(tmp_path):
    table = payments([START + 1, START + 5, START + DAY - 1, START + DAY, START + 3 * DAY])
    with HistoryWriter(tmp_path) as history:
        history.write(table[:2], labels(table[:2]))
        history.write(table[2:], labels(table[2:]))
    read = pl.concat(read_transactions(tmp_path))
    assert list(read.columns) == list(TRANSACTION_COLUMNS)
    assert_frame_equal(read.select(table.columns), table.select(table.columns), check_column_order=False)
    assert_frame_equal(scan_labels(tmp_path).collect(), labels(table).select(*LABEL_COLUMNS))
    assert len(list((tmp_path / "transactions").iterdir())) == 3
    assert (tmp_path / "transactions/date=2023-11-15/part-0.parquet").exists()


def test_a_window_is_half_open(tmp_path):
    table = payments([START, START + 10, START + 20])
    with HistoryWriter(tmp_path) as history:
        history.write(table, labels(table))
    window = scan_transactions(tmp_path, start_ms=START + 10, end_ms=START + 20).collect()
    assert window["event_time"].to_list() == [START + 10]
    assert pl.concat(read_transactions(tmp_path, start_ms=START + 10))["event_time"].to_list() == [
        START + 10,
        START + 20,
    ]


def test_files_whose_times_overlap_are_merged_by_time(tmp_path):
    folder = tmp_path / "transactions"
    folder.mkdir()
    payments([START + 1, START + 9]).write_parquet(folder / "z.parquet")
    payments([START + 5, START + 7]).write_parquet(folder / "a.parquet")
    payments([START - 5]).write_parquet(folder / "q.parquet")
    times = pl.concat(read_transactions(tmp_path))["event_time"]
    assert times.to_list() == [START - 5, START + 1, START + 5, START + 7, START + 9]


def test_an_interrupted_writer_leaves_no_labels(tmp_path):
    def interrupted():
        table = payments([START])
        with HistoryWriter(tmp_path) as history:
            history.write(table, labels(table))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    with pytest.raises(HistoryError, match=r"labels\.parquet"):
        scan_labels(tmp_path)


def test_a_directory_that_holds_a_history_is_not_written_over(tmp_path):
    with HistoryWriter(tmp_path):
        pass
    with pytest.raises(HistoryError, match="already holds"):
        HistoryWriter(tmp_path)


def test_an_empty_directory_is_no_history(tmp_path):
    with pytest.raises(HistoryError, match="no payments"):
        scan_transactions(tmp_path)


def test_missing_columns_and_wrong_types_are_named():
    with pytest.raises(HistoryError, match="payee, amount"):
        conform(payments([START]).drop("payee", "amount"))
    with pytest.raises(HistoryError, match="amount is Float64, not Int64"):
        conform(payments([START]).with_columns(pl.col("amount").cast(pl.Float64)))


def test_narrow_integers_and_foreign_columns_do_no_harm():
    table = payments([START]).with_columns(pl.col("amount").cast(pl.UInt16), extra=pl.lit(1))
    assert conform(table).collect().select("amount").row(0) == (100,)
