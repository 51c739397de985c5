"""What a bank may publish: damage, other versions, other clocks, repeats, and one payer above all; rows 20 to 25."""

import json
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from confluent_kafka import Producer

from kit.bank import Bank, Worker
from kit.oracle import audit
from kit.readback import messages
from models.engine import AHEAD_MS, CLAMPED, DUPLICATE, ID_CONFLICT, LATE
from models.payer_state import PAYER, PAYER_CODEC, RECENT
from schemas.codec import decode_transaction
from schemas.dead_letter import DeadLetter
from schemas.decision import decode_decisions
from simulator.damage import DAMAGES, damage
from simulator.encode import encode
from stream.changelog import POSITION_KEY
from stream.librdkafka import admin

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
NOW = 1_760_077_800_000
Record = tuple[bytes | None, bytes | None]
"""Key and value."""


def records_of(frames: Sequence[pl.DataFrame], count: int) -> list[Record]:
    """The first `count` payments as they are published."""
    payments = pl.concat(frames)[:count]
    return list(zip(map(str.encode, payments["payer"]), encode(payments), strict=True))


def varied(record: Record, **changes: Any) -> Record:
    """The same payment with other fields; None leaves one out."""
    fields = json.loads(record[1]) | changes
    return record[0], json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def field(record: Record, name: str) -> Any:
    return json.loads(record[1])[name]


def worked_off(bank: Bank, *options: str, failpoint: str = "") -> None:
    """One worker, or its successor if a failpoint kills the first, does everything there is and ends well."""
    if failpoint:
        bank.worker(0, *options, failpoint=failpoint).wait_killed()
    bank.worker(0, *options)
    bank.finish()
    bank.stop()


def decided(bank: Bank) -> pl.DataFrame:
    """All decisions in order of partition and offset."""
    frames = []
    for message in messages(bank, bank.topics.decisions):
        meta, rows = decode_decisions(message.value())
        frames.append(rows.with_columns(pl.lit(meta.partition).alias("partition")))
    return pl.concat(frames).sort("partition", "offset")


def set_aside(bank: Bank) -> Counter[tuple[str, Record]]:
    """Code, key and value of every dead letter."""
    found: Counter[tuple[str, Record]] = Counter()
    for message in messages(bank, bank.topics.dead_letter):
        found[DeadLetter.from_headers(message.headers()).code, (message.key(), message.value())] += 1
    return found


# Row 20

ODD = {
    "random bytes": lambda record, rng: (record[0], rng.randbytes(rng.randint(1, 4_000))),
    "a flipped bit": lambda record, rng: (record[0], flipped(record[1], rng)),
    "deep from the start": lambda record, rng: (record[0], b'{"a":' * 30_000),
    "one field, very long": lambda record, rng: (record[0], b'{"' + b"k" * 60_000 + b'":1}'),
    "a field twice": lambda record, rng: (record[0], record[1][:-1] + b',"amount":4242}'),
    "space around": lambda record, rng: (record[0], b" \n" + record[1] + b"\t\r\n"),
    "a key of a megabyte": lambda record, rng: (rng.randbytes(900_000), record[1]),
    "the broker's limit": lambda record, rng: (record[0], rng.randbytes(1_040_000)),
}
"""Records that may be read, or that come to other limits."""


def flipped(value: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << rng.randrange(8)]) + value[at + 1 :]


def publish_large(bank: Bank, records: Sequence[Record]) -> None:
    """As a publisher does whose own limit is above the broker's."""
    config = {**admin(bank.kafka), "partitioner": "murmur2_random", "message.max.bytes": 1_048_588}
    producer = Producer({**config, "enable.idempotence": True})
    for key, value in records:
        producer.produce(bank.topics.transactions, value, key)
        producer.poll(0)
    assert producer.flush(60) == 0
    bank.published += len(records)


def poisoned(good: list[Record], kinds: Iterator[str], every: int, rng: random.Random) -> Iterator[tuple[str, Record]]:
    """Kind ("" for none) and record: among `good` a damaged copy of one after every few."""
    for i, record in enumerate(good):
        yield "", record
        if i % every == 0 and (kind := next(kinds, None)):
            other = rng.choice(good)
            yield kind, ODD[kind](other, rng) if kind in ODD else damage(other[1], other[0], kind, rng)


@pytest.mark.row(20)
def test_whatever_cannot_be_read_is_set_aside_with_its_bytes_and_the_rest_is_judged(
    make_bank, stream_of, full, row, seed
):
    rng, rounds = random.Random(seed), 40 if full else 1
    kinds = [kind for _ in range(rounds) for kind in rng.sample([*DAMAGES, *ODD], len(DAMAGES) + len(ODD))]
    good = records_of(stream_of(40_000 if full else 3_000), 40_000 if full else 1_500)
    bank = make_bank()
    published = list(poisoned(good, iter(kinds), every=10, rng=rng))
    publish_large(bank, [record for _, record in published])
    worked_off(bank, failpoint="scoring/offsets-added:3")
    findings = audit(bank)
    row(20, findings, kills=bank.kills)
    assert findings.clean, findings
    letters = set_aside(bank)
    bad = Counter(record for kind, record in published if kind in DAMAGES)
    found = Counter({record: count for (_, record), count in letters.items()})
    assert bad <= found, "every kind of damage, once for each time"
    assert {code for code, _ in letters} == {
        "empty", "too_large", "malformed_json", "invalid_utf8", "invalid_field", "wrong_key"
    }  # fmt: skip
    judged = Counter(decided(bank)["transaction_id"].to_list())
    assert not Counter(field(record, "transaction_id") for record in good) - judged
    assert sum(judged.values()) + letters.total() == bank.published


# Row 21


@pytest.mark.row(21)
def test_when_nothing_can_be_read_the_worker_stops_and_says_what_to_look_at(make_bank, stream_of, full, row, seed):
    rng = random.Random(seed)
    before = records_of(stream_of(3_000), 1_000)
    count = 30_000 if full else 3_000
    kinds = [kind for kind in DAMAGES if kind not in ("null_key", "too_large", "deep")]
    poison = [damage(*before[i % 1_000][::-1], rng.choice(kinds), rng) for i in range(count)]
    bank = make_bank(partitions=1)
    bank.publish_raw(before)
    bank.publish_raw(poison)
    worker = bank.worker()
    assert worker.wait() == 1
    (end,) = [event for event in worker.events() if event["event"] == "worker ends"]
    assert "1,000 records in a row could not be read" in end["error"]
    assert bank.topics.dead_letter in end["hint"]
    assert "nothing was lost" in end["hint"]
    assert bank.committed() < 2_000, "what tripped it is not committed"
    assert set_aside(bank).total() < 1_000

    # The publisher is well again, and the operator lets them pass.
    bank.publish_raw([varied(record, transaction_id=f"again-{i}") for i, record in enumerate(before)])
    worked_off(bank, "--reject-limit", "0")
    findings = audit(bank)
    row(21, findings)
    assert findings.clean, findings
    assert set_aside(bank).total() == count


@pytest.mark.row(21)
def test_much_poison_with_one_good_payment_now_and_then_does_not_stop_it(only_full, make_bank, stream_of, row):
    *known, a, b, c, d, e, f = records_of(stream_of(3_000), 1_506)
    bank = make_bank(partitions=1)
    bank.publish_raw(known)
    for i, good in enumerate((a, b, c, d, e, f)):
        bank.publish_raw([(b"payer", b"poison %d-%d" % (i, k)) for k in range(900)] + [good])
    worked_off(bank, "--max-batch", "177")
    findings = audit(bank)
    row(21, findings)
    assert findings.clean, findings
    assert set_aside(bank).total() == 6 * 900


# Row 22

FUTURE = {
    "schema_version": 2,
    "consent": {"kind": "otp", "at": [1, 2, {"deep": True}]},
    "beneficiary_since": 1_700_000_000_000,
    "Ключ": None,
}
"""Fields that this build does not know."""
BREAKING = {
    "another type": lambda record: varied(record, amount={"value": field(record, "amount"), "currency": "INR"}),
    "another unit": lambda record: varied(record, amount=field(record, "amount") / 100 + 0.005),
    "another name": lambda record: varied(record, payee=None, payee_vpa=field(record, "payee")),
    "a new choice": lambda record: varied(record, type="MANDATE"),
    "another time": lambda record: varied(record, event_time="2025-10-10T06:30:00Z"),
}
"""A required field, or one that is known, as this build cannot take it."""


@pytest.mark.row(22)
@pytest.mark.usefixtures("only_full")
def test_two_versions_of_the_schema_side_by_side(make_bank, stream_of, full, row, seed):
    rng, count = random.Random(seed), 40_000 if full else 3_000
    records, breaking, extended = records_of(stream_of(count), count), [], []
    mixed = []
    for record in records:
        draw = rng.random()
        if draw < 0.5:
            mixed.append(record)
        elif draw < 0.9:
            mixed.append(varied(record, **FUTURE))
            assert decode_transaction(mixed[-1][1]) == decode_transaction(record[1])
            extended.append(field(record, "transaction_id"))
        else:
            breaking.append(BREAKING[rng.choice(list(BREAKING))](record))
            mixed.append(breaking[-1])
    bank = make_bank()
    bank.publish_raw(mixed)
    worked_off(bank)
    findings = audit(bank)
    row(22, findings)
    assert findings.clean, findings
    letters = set_aside(bank)
    assert Counter({("invalid_field", record): n for record, n in Counter(breaking).items()}) == letters
    decisions = decided(bank)
    assert decisions.height == count - len(breaking)
    assert set(extended) <= set(decisions["transaction_id"])


# Row 23

SKEWS = (-7 * DAY, -HOUR, -90 * SECOND, 0, 0, 0, 0, 4 * 60 * SECOND, 6 * 60 * SECOND, HOUR, 7 * DAY)
"""How far a payment's own time may lie from its publication."""
CLOCKS = (0, 0, 0, -7 * DAY, 50 * 60 * SECOND)
"""How far a publisher's clock may be wrong; a broker takes at most an hour ahead of its own."""


@pytest.mark.row(23)
@pytest.mark.usefixtures("only_full")
def test_whatever_the_clocks_say_no_payers_state_runs_backwards(make_bank, stream_of, full, row, seed):
    rng, count = random.Random(seed), 40_000 if full else 3_000
    skewed = []
    for i, record in enumerate(records_of(stream_of(count), count)):
        at = NOW + i * 20 * SECOND + rng.choice(CLOCKS)
        skewed.append((*varied(record, event_time=at + rng.choice(SKEWS)), at))
    bank = make_bank()
    bank.publish_raw(skewed)
    worked_off(bank, failpoint="scoring/committed:2" if full else "")
    findings = audit(bank)
    row(23, findings, kills=bank.kills)
    assert findings.clean, findings

    # The policy in plain words: far ahead counts as its publication, before the newest is late, nothing goes back.
    newest: dict[str, int] = defaultdict(int)
    expected = {}
    for key, value, published in skewed:
        payment = json.loads(value)
        ahead = payment["event_time"] > published + AHEAD_MS
        time = published if ahead else payment["event_time"]
        expected[payment["transaction_id"]] = CLAMPED * ahead | LATE * (time < newest[payment["payer"]])
        newest[payment["payer"]] = max(newest[payment["payer"]], time)
        assert key == payment["payer"].encode()
    decisions = decided(bank)
    assert {
        row["transaction_id"]: row["status"] & (CLAMPED | LATE) for row in decisions.iter_rows(named=True)
    } == expected
    assert len(set(expected.values())) == 4, "of every kind some"
    assert list(backwards(bank)) == []


def backwards(bank: Bank) -> Iterator[str]:
    """Records in the changelog that lie before an earlier one of the same payer."""
    latest: dict[bytes, np.void] = {}
    for message in messages(bank, bank.topics.scoring_changelog):
        if message.key() == POSITION_KEY:
            continue
        (record,) = records = np.zeros(1, dtype=PAYER)
        PAYER_CODEC.decode([message.value()], records, np.arange(1))
        record, before = records[0].copy(), latest.get(message.key())
        if before is not None:
            for name in ("last_seen_ms", "fix_ms", "payments"):
                if record[name] < before[name]:
                    yield f"{name} of {message.key().hex()} at {message.partition()}-{message.offset()}"
            if record["first_seen"] != before["first_seen"]:
                yield f"first_seen of {message.key().hex()} at {message.partition()}-{message.offset()}"
        latest[message.key()] = record


# Row 24


def repeated(records: list[Record], rng: random.Random) -> list[Record]:
    """In another order within some hundreds, some of them twice or more, some ids used for another payment."""
    placed = []
    for i, record in enumerate(records):
        placed.append((i + rng.uniform(0, 300), record))
        while rng.random() < 0.2:
            placed.append((i + rng.uniform(0, 600), record))
        if rng.random() < 0.05:
            placed.append((i + rng.uniform(0, 300), varied(record, amount=field(record, "amount") + 100)))
    return [record for _, record in sorted(placed, key=lambda pair: pair[0])]


def recognised(records: list[Record]) -> Iterator[int]:
    """What each is: a payment whose id is among the payer's last 16 that counted, or not."""
    last: dict[Any, deque[Any]] = defaultdict(lambda: deque(maxlen=RECENT))
    for key, value in records:
        payment = json.loads(value)
        mine, content = last[key], (payment["transaction_id"], payment["amount"])
        if content in mine:
            yield DUPLICATE
            continue
        yield ID_CONFLICT if any(identity == content[0] for identity, _ in mine) else 0
        mine.append(content)


@pytest.mark.row(24)
def test_repeats_count_once_and_alert_once_and_an_id_used_again_is_flagged(make_bank, stream_of, full, row, seed):
    rng, count = random.Random(seed), 40_000 if full else 2_500
    records = repeated(records_of(stream_of(count), count), rng)
    known = list(recognised(records))
    bank = make_bank(partitions=1)
    bank.publish_raw(records)
    worked_off(bank, failpoint="scoring/persisted:3" if full else "")
    findings = audit(bank)
    row(24, findings, kills=bank.kills)
    assert findings.clean, findings
    decisions = decided(bank)
    assert [status & (DUPLICATE | ID_CONFLICT) for status in decisions["status"]] == known
    assert min(Counter(known).values()) > 20, "of every kind some"
    conflicts = decisions.filter(pl.col("status") & ID_CONFLICT != 0)
    assert conflicts["flagged"].all()
    assert set(conflicts["rule"]) == {"id_conflict"}
    assert not decisions.filter(pl.col("status") & DUPLICATE != 0)["flagged"].any()
    alerted = Counter(json.loads(message.value())["alert_id"] for message in messages(bank, bank.topics.alerts))
    assert alerted.total() == len(alerted) == decisions["flagged"].sum()
    assert payments_counted(bank) == known.count(0) + known.count(ID_CONFLICT)


def payments_counted(bank: Bank) -> int:
    latest = {m.key(): m.value() for m in messages(bank, bank.topics.scoring_changelog) if m.key() != POSITION_KEY}
    payers = np.zeros(len(latest), dtype=PAYER)
    PAYER_CODEC.decode(list(latest.values()), payers, np.arange(len(latest)))
    return int(payers["payments"].sum())


# Row 25


@pytest.mark.row(25)
@pytest.mark.usefixtures("only_full")
def test_one_payer_makes_nine_tenths_of_the_load(make_bank, stream_of, full, row):
    """Memory stays what it is. What becomes of the speed is reported: it depends on the machine."""
    count = 120_000 if full else 6_000
    payments = pl.concat(stream_of(count))[:count]
    whale, is_his = payments["payer"][0], pl.int_range(pl.len()) % 10 != 0
    skewed = payments.with_columns(payer=pl.when(is_his).then(pl.lit(whale)).otherwise(pl.col("payer")))
    loads = {"even": payments, "skewed": skewed} if full else {"skewed": skewed}
    seconds, peak = {}, {}
    for name, load in loads.items():
        bank = make_bank()
        bank.publish(load)
        worker = bank.worker()
        bank.finish()
        peak[name] = peak_bytes(worker)
        bank.stop()
        seconds[name] = steps_seconds(bank)
        findings = audit(bank)
        row(25, findings)
        assert findings.clean, findings
        assert largest_record(bank) <= PAYER_CODEC.max_bytes
    print(f"seconds {seconds}, peak of memory {peak}")  # noqa: T201  # the report
    assert peak["skewed"] < 1.5 * peak.get("even", peak["skewed"]), peak


def peak_bytes(worker: Worker) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def steps_seconds(bank: Bank) -> float:
    """From the first step to the last, by the worker's clock."""
    times = [decode_decisions(message.value())[0].decided_at for message in messages(bank, bank.topics.decisions)]
    return max(1, max(times) - min(times)) / 1000


def largest_record(bank: Bank) -> int:
    return max(len(m.value()) for m in messages(bank, bank.topics.scoring_changelog) if m.key() != POSITION_KEY)
