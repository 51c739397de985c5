"""Payments of which some are damaged in every way a record can be: everything good decided, everything bad set aside.

    python -m bench.damaged --json bench/results/damaged.json

Reads the source topic, the decisions and the dead letters back and compares them position by position (`bench.ledger`).
Ends with 1 when anything does not add up.
"""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import polars as pl
import typer
from confluent_kafka import KafkaError, Message, Producer

from bench import options
from bench.backlog import drain, follow, worker_options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.ledger import GOOD, SENT, Books, reconcile
from bench.place import Place, broker, fresh_place
from bench.readback import dead_letters, decisions, digest, messages
from bench.results import console, write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import World, prepare
from fraudstream.progress import progress
from simulator.damage import DAMAGES, damage
from simulator.encode import encode
from simulator.publish import PublishSettings

PART = 20_000
QUEUE = 80_000
FLUSH_S = 60.0

Positions = dict[tuple[int, int], str]


def main(
    payments: options.Payments = 1_000_000,
    payers: options.Payers = 200_000,
    share: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Share of the records to damage.")] = 0.01,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Send payments of which some are damaged, and account for every one."""
    world = prepare(cache, payments, payers, seed)
    result: dict[str, Any] = {
        "benchmark": "damaged",
        **environment({"payments": payments, "payers": payers, "share_damaged": share, "seed": seed}),
    }
    with (
        tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home,
        broker() as running,
        fresh_place(running, "damaged") as place,
    ):
        kinds = send_damaged(place, world, share, random.Random(seed))
        with WorkerProcess(place, Path(home), worker_options(world)) as worker:
            followed = follow(place, worker, world.count)
            drain(place, worker, "entities", place.topics.entity_activity)
        books = audit(place, kinds)
    result |= as_result(books) | {"seconds": round(followed.ended - followed.began, 2)}
    show(result)
    write(result, json)
    problems = books.problems
    if result["payments"] != world.count or result["damaged"] != len(kinds):
        problems.append(f"{result['payments']:,} records stand on the topic, {world.count:,} were sent")
    if problems:
        raise BenchError("; ".join(problems), hint="the table above names the kinds of damage")
    console.print(
        f"all {result['decided']:,} good payments decided once, all {result['set_aside']:,} damaged records kept"
    )


def as_result(books: Books) -> dict[str, Any]:
    """Books as JSON."""
    kinds = books.kinds
    return {
        "payments": int(kinds["sent"].sum()),
        "damaged": int(kinds.filter(pl.col("kind") != GOOD)["sent"].sum()),
        "decided": int(kinds["decided"].sum()),
        "set_aside": int(kinds["set_aside"].sum()),
        "strange_decisions": books.strange_decisions,
        "strange_letters": books.strange_letters,
        "problems": books.problems,
        "kinds": kinds.to_dicts(),
    }


def send_damaged(place: Place, world: World, share: float, rng: random.Random) -> Positions:
    """Send the payments, some of them damaged, every kind in turn; returns where which damage lies."""
    where: Positions = {}
    failed: list[str] = []

    def reported(error: KafkaError | None, message: Message, kind: str = "") -> None:
        if error is not None:
            failed.append(error.str())
        elif kind:
            where[message.partition(), message.offset()] = kind

    settings = PublishSettings(place.kafka.bootstrap_servers, place.topics.transactions)
    producer = Producer({**settings.client(), "delivery.report.only.error": False, "log_level": 3})
    with progress("publishing", world.count) as advance:
        for part in _parts(world, share, rng):
            while len(producer) > QUEUE:
                producer.poll(0.01)
            for kind, records in part:
                if not kind:
                    producer.produce_batch(place.topics.transactions, records, on_delivery=reported)
                for record in records if kind else ():
                    producer.produce(
                        place.topics.transactions,
                        record["value"],
                        record["key"],
                        on_delivery=lambda error, message, kind=kind: reported(error, message, kind),
                    )
            advance(sum(len(records) for _, records in part))
            producer.poll(0)
    if producer.flush(FLUSH_S) or failed:
        raise BenchError(f"not everything was published: {failed[0] if failed else 'no answer'}")
    return where


def _parts(world: World, share: float, rng: random.Random) -> Iterator[list[tuple[str, list[dict[str, Any]]]]]:
    """Runs of records in order: good ones under "", each damaged one alone under its kind."""
    number = 0
    for frame in world.frames():
        for rows in frame.iter_slices(PART):
            keys, part = rows["payer"].cast(pl.Binary).to_list(), [("", list[dict[str, Any]]())]
            for key, value in zip(keys, encode(rows), strict=True):
                if rng.random() >= share:
                    part[-1][1].append({"key": key, "value": value})
                    continue
                kind = DAMAGES[number % len(DAMAGES)]
                number += 1
                damaged_key, damaged_value = damage(value, key, kind, rng)
                part += [(kind, [{"key": damaged_key, "value": damaged_value}]), ("", [])]
            yield [(kind, records) for kind, records in part if records]


class _Identified(msgspec.Struct):
    transaction_id: str


def audit(place: Place, kinds: Positions) -> Books:
    """Read everything back and compare."""
    identify = msgspec.json.Decoder(_Identified).decode
    rows: list[tuple[int, int, str, str | None, int | None]] = []
    for message in messages(place, place.topics.transactions):
        at = (message.partition(), message.offset())
        if at in kinds:
            rows.append((*at, kinds[at], None, digest(message.key(), message.value())))
        else:
            rows.append((*at, GOOD, identify(message.value()).transaction_id, None))
    sent = pl.DataFrame(rows, schema=SENT, orient="row")
    return reconcile(sent, decisions(place, "transaction_id"), dead_letters(place))


if __name__ == "__main__":
    run(main)
