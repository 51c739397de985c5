"""Payments at evenly spaced scheduled times, in a process of its own: an open loop, whatever the system does.

    python -m bench.generator --data DIR --bootstrap-servers … --topic T --rate 10000 --seconds 60

Everything is encoded beforehand. A record's timestamp is the payment's scheduled time (epoch ms, rounded down), so
that what follows from it can be timed against the schedule, also where the sending was late. Prints one JSON object:
when the first payment was due, how many were sent, how many late and by how much.
"""

import argparse
import gc
import json
import os
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
from confluent_kafka import KafkaError, Message, Producer

from schemas.history import read_transactions
from simulator.encode import encode
from simulator.pacing import LATE_S, Pacer, SystemClock
from simulator.publish import PublishSettings

FLUSH_S = 30.0
START_AFTER_S = 0.2
PRIORITY = -15
"""Where that is allowed: the source is another machine in life, and not held up by what it measures."""


def load(directory: Path, count: int, skip: int = 0) -> tuple[list[bytes], list[bytes]]:
    """Keys and values of the first payments of a history, after those to skip."""
    keys: list[bytes] = []
    values: list[bytes] = []
    for frame in read_transactions(directory):
        if skip >= frame.height:
            skip -= frame.height
            continue
        part, skip = frame[skip : skip + count - len(keys)], 0
        keys += part["payer"].cast(pl.Binary).to_list()
        values += encode(part)
        if len(keys) >= count:
            break
    return keys, values


def generate(settings: PublishSettings, keys: list[bytes], values: list[bytes], rate: float) -> dict[str, float]:
    """Send them all; see the module."""
    failed = 0

    def delivered(error: KafkaError | None, _: Message) -> None:
        nonlocal failed
        failed += error is not None

    producer = Producer({**settings.client(), "on_delivery": delivered, "log_level": 3})
    producer.list_topics(settings.topic, timeout=10)
    gc.disable()  # a collection over a million bytes objects would make sends late
    clock = SystemClock()
    pacer = Pacer(rate, clock, clock.now() + START_AFTER_S)
    epoch = time.time() - time.perf_counter()
    at = 0
    while at < len(keys):
        count = pacer.take(len(keys) - at)
        for number in range(at, at + count):
            due_ms = int((epoch + pacer.scheduled(number)) * 1000)
            producer.produce(settings.topic, values[number], keys[number], timestamp=due_ms)
        producer.poll(0)
        at += count
    seconds = clock.now() - pacer.started
    failed += producer.flush(FLUSH_S)
    return {
        "first_ms": int((epoch + pacer.scheduled(0)) * 1000),
        "payments": at,
        "failed": failed,
        "seconds": round(seconds, 3),
        "late": pacer.late,
        "late_means_ms": LATE_S * 1000,
        "worst_late_ms": round(pacer.worst_s * 1000, 2),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    }


def main() -> None:
    """Read the options, send, print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--skip", type=int, default=0, help="payments of the history that were sent before")
    given = parser.parse_args()
    keys, values = load(given.data, round(given.rate * given.seconds), given.skip)
    if len(keys) < given.rate * given.seconds:  # the same customers once more would be duplicates
        parser.error(f"{given.data} holds {len(keys):,} payments, not enough for {given.seconds:g} s")
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    settings = PublishSettings(given.bootstrap_servers, given.topic, given.rate)
    print(json.dumps(generate(settings, keys, values, given.rate)))


if __name__ == "__main__":
    main()
