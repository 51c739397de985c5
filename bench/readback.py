"""What lies on the topics after a run, read once, as committed."""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import polars as pl

from bench.ledger import SET_ASIDE
from bench.place import Place
from fraudstream.progress import progress
from schemas.dead_letter import REJECT_CODES, DeadLetter
from schemas.decision import decode_decisions
from schemas.errors import DecodeError
from stream.scan import Scan


def messages(place: Place, topic: str) -> Iterator[Any]:
    """Every committed record of a topic, with a progress bar."""
    with Scan(place.kafka, topic) as scan, progress(f"reading {topic}", scan.total) as advance:
        yield from scan.messages(advance)


def decisions(place: Place, *columns: str) -> pl.DataFrame:
    """Every decision: partition, offset and the columns named; with `risk_` for all that begin so."""
    frames = []
    for message in messages(place, place.topics.decisions):
        meta, rows = decode_decisions(message.value())
        wanted = [name for name in rows.columns if name in columns or name.startswith(columns)]
        frames.append(
            rows.select(pl.lit(meta.partition, pl.Int32).alias("partition"), "offset", *dict.fromkeys(wanted))
        )
    return pl.concat(frames)


def dead_letters(place: Place) -> pl.DataFrame:
    """Every dead letter, as `bench.ledger.SET_ASIDE`."""
    rows = []
    for message in messages(place, place.topics.dead_letter):
        try:
            letter = DeadLetter.from_headers(message.headers() or [])
        except DecodeError:  # its position is unknown: it counts as about nothing that was sent
            rows.append((-1, message.offset(), "", False, digest(message.key(), message.value())))
            continue
        right = letter.topic == place.topics.transactions and letter.code in REJECT_CODES and bool(letter.message)
        rows.append((letter.partition, letter.offset, letter.code, right, digest(message.key(), message.value())))
    return pl.DataFrame(rows, schema=SET_ASIDE, orient="row")


def digest(key: bytes | None, value: bytes | None) -> int:
    """64 bits over key and value; absent and empty differ."""
    hashed = blake2b(digest_size=8)
    for part in (key, value):
        hashed.update(b"-" if part is None else b"%d:" % len(part) + part)
    return int.from_bytes(hashed.digest(), "little")
