"""Payments as columns: what the engine reads, made alike from live records and from a history's data frame.

A payment gives the same row wherever it came from. Strings of decoded payments and of frames meet in `_build`; records
that `models.payment_reader` can read are hashed where they lie, and what it leaves takes the way over `schemas.codec`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
from models.tokens import Kind, Tokeniser
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

Strings = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True)
class PaymentBatch:
    """Payments in the order in which they are judged."""

    ids: list[str]
    rows: NDArray[np.void]
    """(n,) of PAYMENT"""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def payer_keys(self) -> list[bytes]:
        """Tokens of the payers, 16 bytes each: the keys of their state."""
        keys: list[bytes] = self.tokens("payer").tolist()
        return keys

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
    ids = [str(text[begin:end], "ascii") for begin, end in spans[:, 0].tolist()]
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
    return _build(dict(zip(STRINGS, columns, strict=True)), numbers, published, tokeniser)


def from_frame(frame: pl.DataFrame, tokeniser: Tokeniser) -> PaymentBatch:
    """Rows of a history's payments; a column that is absent is absent telemetry. A column
    `published` is used if there."""
    missing = [pl.lit(None).alias(name) for name in (*NUMBERS, *STRINGS) if name not in frame.columns]
    frame = frame.with_columns(missing)
    numbers = frame.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in NUMBERS).to_numpy()
    strings = {name: frame[name].cast(pl.String).to_list() for name in STRINGS}
    published = frame["published" if "published" in frame.columns else "event_time"].cast(pl.Int64).to_numpy()
    return _build(strings, numbers, published, tokeniser)


def _build(
    strings: Strings, numbers: NDArray[np.float64], published: NDArray[np.int64], tokeniser: Tokeniser
) -> PaymentBatch:
    ids, payers = strings["transaction_id"], strings["payer"]
    hardware = [
        f"{imei}\x1f{mac}\x1f{processor}" if imei or mac or processor else None
        for imei, mac, processor in zip(strings["imei"], strings["mac"], strings["processor"], strict=True)
    ]
    tokens = tokeniser.tokens(
        (
            ("account", payers),
            ("account", strings["payee"]),
            ("device", strings["device_id"]),
            ("sim", strings["sim_id"]),
            ("hardware", hardware),
            ("address", strings["ip"]),
        )
    )
    halves = np.frombuffer(tokens, dtype="<u8").reshape(6, -1, 2)
    rows = np.zeros(len(ids), dtype=PAYMENT)
    for k, name in enumerate(NUMBERS):
        rows[name] = numbers[:, k]
    for name, numbering in _NUMBERING.items():
        rows[_RENAMED.get(name, name)] = [numbering.get(value, np.nan) for value in strings[name]]
    for k, name in enumerate(_TOKENS):
        rows[name], rows[f"{name}_low"] = halves[k, :, 0], halves[k, :, 1]
    rows["hardware"], rows["ip"] = halves[4, :, 0], halves[5, :, 0]
    rows["id"], rows["apps"], rows["fonts"] = _digests(ids, strings["apps_hash"], strings["fonts_hash"])
    rows["published"] = published
    return PaymentBatch([str(identity) for identity in ids], rows)


def _digests(*columns: Sequence[str | None]) -> NDArray[np.uint64]:
    """(columns, n) of 64-bit digests of what needs no key: it is no identifier, or a hash already. 0 for none."""
    joined = pl.Series([value for column in columns for value in column], dtype=pl.String)
    hashed = pl.DataFrame({"value": joined}).select(plh.col("value").nchash.xxh3_64(seed=0)).to_series()
    return hashed.fill_null(0).to_numpy().reshape(len(columns), -1)


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
_TOKEN_COLUMNS = np.array([[_AT[name], _AT.get(f"{name}_low", -1)] for name, _, _ in _RECIPES])
_DIGESTED = np.array(
    [[SPANS.index(text), _AT[name]] for text, name in zip(DIGESTED, ("id", "apps", "fonts"), strict=True)]
)


@compiled
def _digest(data: Any, spans: Any, digested: Any, chosen: Any, rows: Any) -> None:
    base = np.int64(data.ctypes.data)
    for i in range(rows.shape[0]):
        if chosen[i]:
            for k in range(digested.shape[0]):
                begin, end = spans[i, digested[k, 0], 0], spans[i, digested[k, 0], 1]
                rows[i, digested[k, 1]] = xxh3(base + begin, end - begin) if begin >= 0 else np.uint64(0)
