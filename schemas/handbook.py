"""The Fraud Detection Handbook's simulated card payments as a history: customer → payer, terminal → payee.

Two layouts of the same data are read: its own (TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TERMINAL_ID, TX_AMOUNT,
TX_FRAUD, TX_FRAUD_SCENARIO) and the same columns named transaction_id, event_time, customer_id, terminal_id,
amount, fraud, scenario. Times are taken as UTC. Amounts are in units of currency and become hundredths.
"""

from pathlib import Path

import polars as pl

from schemas.history import HistoryError

COLUMNS = ("transaction_id", "event_time", "customer_id", "terminal_id", "amount", "fraud", "scenario")
_OWN_NAMES = {
    "TRANSACTION_ID": "transaction_id",
    "TX_DATETIME": "event_time",
    "CUSTOMER_ID": "customer_id",
    "TERMINAL_ID": "terminal_id",
    "TX_AMOUNT": "amount",
    "TX_FRAUD": "fraud",
    "TX_FRAUD_SCENARIO": "scenario",
}
KINDS = ("", "high_amount", "compromised_terminal", "compromised_customer")
"""The data's scenarios 0 to 3."""


def read(path: Path) -> pl.DataFrame:
    """The file's columns under their plain names; raises `HistoryError` naming what is wrong with it."""
    if not path.is_file():
        raise HistoryError(f"There is no file {path}", hint="Name the Handbook's payments, one Parquet or CSV file.")
    try:
        table = pl.read_csv(path, try_parse_dates=True) if path.suffix == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise HistoryError(
            f"{path} cannot be read: {error}", hint="It should be Parquet, or CSV named *.csv."
        ) from None
    table = table.rename({name: plain for name, plain in _OWN_NAMES.items() if name in table.columns})
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise HistoryError(
            f"{path} is not the Handbook's payments: it lacks {', '.join(missing)}",
            hint=f"Its columns should be {', '.join(COLUMNS)}; it has {', '.join(table.columns)}.",
        )
    return _checked(path, table.select(COLUMNS))


def _checked(path: Path, table: pl.DataFrame) -> pl.DataFrame:
    if not table["event_time"].dtype.is_temporal():
        raise HistoryError(f"{path}: event_time is {table['event_time'].dtype}, not a date and time")
    numbers = [
        name
        for name in ("amount", "fraud", "scenario")
        if not table[name].cast(pl.Float64, strict=False).is_finite().all()
    ]
    if numbers:
        raise HistoryError(f"{path}: {', '.join(numbers)} should hold numbers only")
    empty = [name for name in COLUMNS if table[name].null_count()]
    if empty:
        raise HistoryError(f"{path}: {', '.join(empty)} have empty rows", hint="Every payment needs every column.")
    if not table["scenario"].is_between(0, len(KINDS) - 1).all():
        raise HistoryError(f"{path}: scenario should be 0 to {len(KINDS) - 1}")
    if table["transaction_id"].n_unique() < len(table):
        raise HistoryError(f"{path}: transaction_id is not unique", hint="Concatenate each file once only.")
    return table


def convert(table: pl.DataFrame, label_delay_ms: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Payments and labels by event_time; frauds become known `label_delay_ms` after their payment.

    The data holds a few payments of 0.00, which no payment can be: they become the smallest amount, 0.01.
    """
    described = table.select(
        transaction_id=pl.col("transaction_id").cast(pl.String),
        event_time=pl.col("event_time").dt.epoch("ms"),
        payer=pl.lit("C") + pl.col("customer_id").cast(pl.String),
        payee=pl.lit("T") + pl.col("terminal_id").cast(pl.String),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64).clip(lower_bound=1),
        currency=pl.lit("INR"),
        is_fraud=pl.col("fraud") > 0,
        kind=pl.lit(pl.Series(KINDS)).gather(pl.col("scenario").cast(pl.UInt32)),
    ).sort("event_time", maintain_order=True)
    labels = described.select("transaction_id", "payer", "payee", "event_time", "is_fraud", "kind").with_columns(
        known_at=pl.when(pl.col("is_fraud")).then(pl.col("event_time") + label_delay_ms)
    )
    return described.drop("is_fraud", "kind"), labels
