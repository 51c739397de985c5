"""Payments as columns: what the engine reads, made alike from live records and from a history's data frame.

A payment gives the same row wherever it came from. Strings of decoded payments and of frames meet in `_build`; records
that `models.payment_reader` can read are hashed where they lie, and what it leaves takes the way over `schemas.codec`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

from models.hashing import xxh3
from models.jit import compiled
from models.payment_reader import DIGESTED, Layout
from models.payment_reader import STRINGS as SPANS
from models.tokens import SEPARATOR, Kind, Tokeniser
from schemas.codec import Rejected, decode_transactions
from schemas.transaction import Transaction

NUMBERS = (
    "event_time",
    "amount",
    "network_risk_score",
    "payer_registered_at",
    "os_version",
    "battery_percent",
    "battery_charging",
    "rooted",
    "emulator",
    "latitude",
    "longitude",
    "gps_accuracy_m",
    "gps_mocked",
    "cell_latitude",
    "cell_longitude",
    "ip_latitude",
    "ip_longitude",
    "typing_interval_ms",
    "typing_deviation_ms",
    "tap_interval_ms",
    "session_ms",
    "pasted",
    "screen_shared",
    "on_call",
    "failed_pins",
    "mobile_revoked",
    "payee_mule_flag",
)
"""Fields taken as they are, float64 with NaN for absent: exact for paise and milliseconds, which stay below 2^53."""

STRINGS = (
    "transaction_id",
    "payer",
    "payee",
    "type",
    "initiation_mode",
    "purpose",
    "payee_type",
    "payee_code",
    "device_id",
    "imei",
    "mac",
    "processor",
    "apps_hash",
    "fonts_hash",
    "sim_id",
    "ip",
    "ffri",
)

FEW = 1_000
"""Rows below which a dictionary finds what repeats sooner than column operations do."""

_TOKENS = ("payer", "payee", "device", "sim")  # 128 bits
_DIGESTS = ("hardware", "ip", "id", "apps", "fonts")  # 64 bits
_CODES = ("collect", "initiation_mode", "purpose", "payee_merchant", "payee_code", "ffri")

PAYMENT = np.dtype(
    [(name, "f8") for name in NUMBERS]
    + [(name, "f8") for name in _CODES]
    + [(f"{name}{half}", "u8") for name in _TOKENS for half in ("", "_low")]
    + [(name, "u8") for name in _DIGESTS]
    + [("published", "f8")]
)
"""One payment. `payer` and the like hold a token's first 64 bits, `payer_low` the rest; 0 is none.
`published` is the record's timestamp in epoch ms."""


@dataclass(frozen=True)
class PaymentBatch:
    """Payments in the order in which they are judged."""

    ids: list[str]
    rows: NDArray[np.void]
    """(n,) of PAYMENT"""

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> "PaymentBatch":
        """Those at these places."""
        return PaymentBatch([self.ids[i] for i in rows.tolist()], self.rows[rows])

    def tokens(self, name: str) -> NDArray[np.void]:
        """(n,) of 16-byte tokens of `payer`, `payee`, `device` or `sim`; zeros for none."""
        return tokens_of(self.rows, name)


def tokens_of(rows: NDArray[np.void], name: str) -> NDArray[np.void]:
    """The same for rows of PAYMENT."""
    return np.stack([rows[name], rows[f"{name}_low"]], axis=1).view("V16").reshape(-1)


def from_records(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None],
    published: NDArray[np.int64],
    tokeniser: Tokeniser,
) -> tuple[PaymentBatch, list[Rejected]]:
    """Rows of the payments in records' values, in order, and the records that are none."""
    rows = np.empty(len(values), dtype=PAYMENT)
    numbers, halves = (rows.view(kind).reshape(len(rows), len(_AT)) for kind in ("f8", "u8"))
    read, text, spans = _LAYOUT.read(values, keys, numbers)
    data = np.frombuffer(text, dtype=np.uint8)
    tokeniser.tokenise(data, spans, _KINDS, _PARTS, _TOKEN_COLUMNS, read, halves)
    _digest(data, spans, _DIGESTED, read, halves)
    rows["published"] = published
    begins, ends = spans[:, 0].T.tolist()
    ids = [str(text[begin:end], "ascii") for begin, end in zip(begins, ends, strict=True)]
    if read.all():
        return PaymentBatch(ids, rows), []
    left = np.flatnonzero(~read).tolist()
    transactions, rejected = decode_transactions([values[i] for i in left], [keys[i] for i in left])
    rejected = [Rejected(left[index], code, message) for index, code, message in rejected]
    unreadable = [reject.index for reject in rejected]
    good = np.setdiff1d(left, unreadable)
    others = from_transactions(transactions, published[good], tokeniser)
    rows[good] = others.rows
    for i, identity in zip(good.tolist(), others.ids, strict=True):
        ids[i] = identity
    for i in reversed(unreadable):
        del ids[i]
    return PaymentBatch(ids, np.delete(rows, unreadable)), rejected


def from_transactions(
    transactions: Sequence[Transaction], published: NDArray[np.int64], tokeniser: Tokeniser
) -> PaymentBatch:
    """Rows of decoded records; `published` are the records' timestamps, epoch ms."""
    numbers = np.array(list(map(attrgetter(*NUMBERS), transactions)), dtype=np.float64).reshape(-1, len(NUMBERS))
    columns = zip(*map(attrgetter(*STRINGS), transactions), strict=True) if transactions else [()] * len(STRINGS)
    strings = pl.DataFrame(dict(zip(STRINGS, columns, strict=True)), schema=dict.fromkeys(STRINGS, pl.String))
    return _build(strings, numbers.T, published, tokeniser)


def from_frame(frame: pl.DataFrame, tokeniser: Tokeniser) -> PaymentBatch:
    """Rows of a history's payments; a column that is absent is absent telemetry. A column
    `published` is used if there."""
    missing = [pl.lit(None).alias(name) for name in (*NUMBERS, *STRINGS) if name not in frame.columns]
    frame = frame.with_columns(missing)
    numbers = frame.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in NUMBERS)
    strings = frame.select(pl.col(name).cast(pl.String) for name in STRINGS)
    published = frame["published" if "published" in frame.columns else "event_time"].cast(pl.Int64).to_numpy()
    return _build(strings, [column.to_numpy() for column in numbers], published, tokeniser)


def _build(
    strings: pl.DataFrame,
    numbers: Iterable[NDArray[np.float64]],
    published: NDArray[np.int64],
    tokeniser: Tokeniser,
) -> PaymentBatch:
    """Rows of columns; what repeats in a column is looked up, or hashed, once."""
    rows = np.zeros(strings.height, dtype=PAYMENT)
    for name, column in zip(NUMBERS, numbers, strict=True):
        rows[name] = column
    for name, numbering in _NUMBERING.items():
        distinct, which = _distinct(strings[name])
        codes = np.array([*(numbering.get(value, np.nan) for value in distinct), np.nan])
        rows[_RENAMED.get(name, name)] = codes[which]
    found = [_distinct(_joined(strings, texts)) for _, _, texts in _RECIPES]
    hashed = tokeniser.tokens(
        (kind, [*distinct, None]) for (_, kind, _), (distinct, _) in zip(_RECIPES, found, strict=True)
    )
    tokens, begin = np.frombuffer(hashed, dtype="<u8").reshape(-1, 2), 0
    for (name, _, _), (distinct, which) in zip(_RECIPES, found, strict=True):
        rows[name] = tokens[begin + which, 0]
        if f"{name}_low" in _AT:
            rows[f"{name}_low"] = tokens[begin + which, 1]
        begin += len(distinct) + 1
    digests = strings.select(plh.col(text).nchash.xxh3_64(seed=0).fill_null(0) for text in DIGESTED)
    for name, text in zip(_DIGEST_COLUMNS, DIGESTED, strict=True):
        rows[name] = digests[text].to_numpy()
    rows["published"] = published
    return PaymentBatch(strings["transaction_id"].to_list(), rows)


def _distinct(values: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    """The different strings of a column, and for each row which it is; null is one past the last."""
    if len(values) < FEW:
        listed = values.to_list()
        known = {value: k for k, value in enumerate(dict.fromkeys(value for value in listed if value is not None))}
        return list(known), np.array([known.get(value, len(known)) for value in listed], dtype=np.int64)
    distinct = values.drop_nulls().unique()
    which = values.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).fill_null(len(distinct))
    return distinct.to_list(), which.to_numpy()


def _joined(strings: pl.DataFrame, names: tuple[str, ...]) -> pl.Series:
    """One column as it is; of several, their values side by side, unless all are empty."""
    if len(names) == 1:
        return strings[names[0]]
    known = pl.any_horizontal((pl.col(name) != "").fill_null(False) for name in names)
    side_by_side = pl.concat_str([pl.col(name).fill_null(str(None)) for name in names], separator=SEPARATOR)
    return strings.select(pl.when(known).then(side_by_side)).to_series()


_CODE: dict[str | None, float] = {f"{code:0{digits}d}": float(code) for digits in (2, 4) for code in range(10**digits)}
_NUMBERING: dict[str, dict[str | None, float]] = {
    "type": {"PAY": 0.0, "COLLECT": 1.0},
    "initiation_mode": _CODE,
    "purpose": _CODE,
    "payee_type": {"PERSON": 0.0, "ENTITY": 1.0},
    "payee_code": _CODE,
    "ffri": {"NONE": 0.0, "MEDIUM": 1.0, "HIGH": 2.0, "VERY_HIGH": 3.0},
}
_RENAMED = {"type": "collect", "payee_type": "payee_merchant"}


_LAYOUT = Layout(
    {name: k for k, name in enumerate(NUMBERS)}
    | {name: len(NUMBERS) + _CODES.index(_RENAMED.get(name, name)) for name in _NUMBERING},
    _NUMBERING,
)
_AT = {name: k for k, name in enumerate(PAYMENT.names or ())}
_RECIPES: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("payer", "account", ("payer",)),
    ("payee", "account", ("payee",)),
    ("device", "device", ("device_id",)),
    ("sim", "sim", ("sim_id",)),
    ("hardware", "hardware", ("imei", "mac", "processor")),
    ("ip", "address", ("ip",)),
)
"""What becomes a token, its kind, and the texts that it is made of."""
_KINDS = [kind for _, kind, _ in _RECIPES]
_PARTS = np.array([[SPANS.index(text) for text in texts] + [-1] * (3 - len(texts)) for _, _, texts in _RECIPES])
_DIGEST_COLUMNS = ("id", "apps", "fonts")
_TOKEN_COLUMNS = np.array([[_AT[name], _AT.get(f"{name}_low", -1)] for name, _, _ in _RECIPES])
_DIGESTED = np.array([[SPANS.index(text), _AT[name]] for text, name in zip(DIGESTED, _DIGEST_COLUMNS, strict=True)])


@compiled
def _digest(data: Any, spans: Any, digested: Any, chosen: Any, rows: Any) -> None:
    base = np.int64(data.ctypes.data)
    for i in range(rows.shape[0]):
        if chosen[i]:
            for k in range(digested.shape[0]):
                begin, end = spans[i, digested[k, 0], 0], spans[i, digested[k, 0], 1]
                rows[i, digested[k, 1]] = xxh3(base + begin, end - begin) if begin >= 0 else np.uint64(0)
