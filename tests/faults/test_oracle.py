"""The checker checked: what is planted in a clean run's books is seen, and seen as what it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from confluent_kafka import Producer
from rocksdict import Options, Rdict

from kit.bank import Bank
from kit.oracle import audit, judge, told_amiss
from kit.readback import Found, State, messages, read
from schemas.entity_activity import ACTIVITY, FIRST_TIME, LAYERED, OUTFLOW
from stream.librdkafka import admin

pytestmark = [pytest.mark.broker, pytest.mark.slow]
PAYMENTS, DAMAGED = 4_000, 7


@pytest.fixture(scope="module")
def bank(broker, world, stream_of, tmp_path_factory):
    """One clean run, with some records that nobody can read among the payments."""
    home = tmp_path_factory.mktemp("clean")
    with Bank(broker.bootstrap_servers, home, world, name="clean") as bank:
        (payments,) = pl.concat(stream_of(PAYMENTS)).iter_slices(PAYMENTS)
        bank.publish(payments[:2_000])
        bank.publish_raw([(b"payer-%d" % i, b"no payment %d" % i) for i in range(DAMAGED)])
        bank.publish(payments[2_000:])
        bank.publish(payments[1_000:1_100])  # once more: duplicates, if their payers made few payments since
        bank.worker()
        bank.finish()
        bank.stop()
        yield bank


@pytest.fixture(scope="module")
def clean(bank) -> Found:
    return read(bank)


def test_a_run_without_faults_is_clean(bank, clean, row):
    findings = judge(bank, clean)
    assert findings.clean, findings
    assert findings.payments == PAYMENTS + DAMAGED + 100
    assert clean.alerts.height > 20
    assert clean.decisions.filter(pl.col("status") & 1 > 0).height > 0
    assert clean.risk.height > 20


# What is planted. Each takes what was found and gives it back with a fault.


def without(name: str, index: int) -> Callable[[Found], Found]:
    """A row of a frame is gone."""
    return lambda found: replace(
        found, **{name: getattr(found, name).with_row_index().filter(pl.col("index") != index).drop("index")}
    )


def twice(name: str, index: int, **changes: Any) -> Callable[[Found], Found]:
    """A row of a frame is there again, at the end, perhaps changed."""

    def plant(found: Found) -> Found:
        frame = getattr(found, name)
        again = frame[index : index + 1].with_columns(
            *(pl.lit(value, frame.schema[column]).alias(column) for column, value in changes.items()),
            **({"at": pl.lit(2**60)} if "at" in frame.columns else {}),
        )
        return replace(found, **{name: pl.concat([frame, again])})

    return plant


def changed(name: str, column: str, change: Callable[[Any], Any], index: int = 5) -> Callable[[Found], Found]:
    """One value of a frame is another."""

    def plant(found: Found) -> Found:
        frame = getattr(found, name)
        values = frame[column].to_list()
        values[index] = change(values[index])
        return replace(found, **{name: frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))})

    return plant


def swapped_decisions(found: Found) -> Found:
    """Two payments next to each other were decided the other way round."""
    decisions = found.decisions.sort("partition", "at")
    at = decisions["at"].to_list()
    at[10], at[11] = at[11], at[10]
    return replace(found, decisions=decisions.with_columns(at=pl.Series(at)))


def swapped_alerts(found: Found) -> Found:
    """A payer's two alerts change places."""
    alerts = found.alerts.sort("at_partition", "at")
    payer = alerts.group_by("payer").len().filter(pl.col("len") > 1).sort("payer")["payer"][0]
    first, second = alerts.with_row_index().filter(pl.col("payer") == payer)["index"][:2]
    at = alerts["at"].to_list()
    at[first], at[second] = at[second], at[first]
    return replace(found, alerts=alerts.with_columns(at=pl.Series(at)))


def state(where: str, agent: str, change: Callable[[State], State]) -> Callable[[Found], Found]:
    """An agent's state in the changelog or on disk is another."""
    return lambda found: replace(
        found, **{where: {**getattr(found, where), agent: change(getattr(found, where)[agent])}}
    )


def a_byte(kept: State) -> State:
    values = kept.records["value"].to_list()
    values[3] = values[3][:-1] + bytes([values[3][-1] ^ 1])
    return replace(kept, records=kept.records.with_columns(value=pl.Series(values, dtype=pl.Binary)))


def one_less(kept: State) -> State:
    return replace(kept, records=kept.records[1:])


def one_more(kept: State) -> State:
    stranger = kept.records[:1].with_columns(key=pl.lit(b"0123456789abcdef"))
    return replace(kept, records=pl.concat([kept.records, stranger]))


def forgotten(kept: State) -> State:
    values = [None, *kept.records["value"].to_list()[1:]]
    return replace(kept, records=kept.records.with_columns(value=pl.Series(values, dtype=pl.Binary)))


def moved(kept: State) -> State:
    return replace(kept, positions={**kept.positions, 0: kept.positions[0] - 1})


def other_offset(agent: str) -> Callable[[Found], Found]:
    return lambda found: replace(
        found, offsets={**found.offsets, agent: {**found.offsets[agent], 1: found.offsets[agent][1] - 1}}
    )


def activity(change: Callable[[list[Any]], list[Any]]) -> Callable[[Found], Found]:
    return lambda found: replace(found, activity=change(found.activity))


PLANTED: dict[str, tuple[Callable[[Found], Found], tuple[int, int, int], str]] = {
    "a decision is gone": (without("decisions", 500), (1, 0, 0), ""),
    "a decision is there again": (twice("decisions", 500), (0, 1, 0), ""),
    "two decisions changed places": (swapped_decisions, (0, 0, 1), ""),
    "a decision about nothing": (twice("decisions", 500, offset=10**6), (0, 0, 0), "decisions where there should be"),
    "a decision with other features": (changed("decisions", "features_hash", lambda h: h ^ 1), (0, 0, 0), "features_"),
    "a decision with another score": (changed("decisions", "score", lambda s: s + 1), (0, 0, 0), "score of decisions"),
    "a decision flagged otherwise": (changed("decisions", "flagged", lambda f: not f), (0, 0, 0), "flagged of"),
    "a decision under another id": (changed("decisions", "transaction_id", lambda _: "x"), (0, 0, 0), "transaction_id"),
    "a decision with another risk": (
        changed("decisions", "risk_payee_frauds", lambda _: 9.0),
        (0, 0, 0),
        "probability of decisions",
    ),
    "a decision by another model": (changed("decisions", "model", lambda _: "0" * 64), (0, 0, 0), "nobody gave"),
    "an alert is gone": (without("alerts", 5), (1, 0, 0), ""),
    "an alert is there again": (twice("alerts", 5), (0, 1, 0), ""),
    "a payer's alerts changed places": (swapped_alerts, (0, 0, 1), ""),
    "an alert about nothing": (twice("alerts", 5, offset=10**6), (0, 0, 0), "alerts where there should be none"),
    "an alert with another id": (changed("alerts", "alert_id", lambda _: "x"), (0, 0, 0), "id, topic or key"),
    "an alert with another score": (changed("alerts", "score", lambda s: s - 1), (0, 0, 0), "score of alerts"),
    "an alert of another payer": (changed("alerts", "payer", lambda _: "0" * 32), (0, 0, 0), "another payer"),
    "a dead letter is gone": (without("letters", 2), (1, 0, 0), ""),
    "a dead letter is there again": (twice("letters", 2), (0, 1, 0), ""),
    "a dead letter with other bytes": (changed("letters", "value", lambda v: v + b" "), (0, 0, 0), "value of dead"),
    "a dead letter with another reason": (changed("letters", "code", lambda _: "empty"), (0, 0, 0), "code of dead"),
    "a payer's record is changed": (state("changelogs", "scoring", a_byte), (0, 0, 0), "changelog are different"),
    "a payer's record is gone": (state("changelogs", "scoring", one_less), (0, 0, 0), "changelog are missing"),
    "a payer's record too many": (state("changelogs", "scoring", one_more), (0, 0, 0), "changelog are too many"),
    "a payer was forgotten": (state("changelogs", "scoring", forgotten), (0, 0, 0), "forgotten before their time"),
    "the position is behind": (state("changelogs", "scoring", moved), (0, 0, 0), "the changelog stands at"),
    "a payer's record on disk is changed": (state("disks", "scoring", a_byte), (0, 0, 0), "disk are different"),
    "a payer's record on disk is gone": (state("disks", "scoring", one_less), (0, 0, 0), "disk are missing"),
    "a payer's record on disk too many": (state("disks", "scoring", one_more), (0, 0, 0), "disk are too many"),
    "the checkpoint is behind": (state("disks", "scoring", moved), (0, 0, 0), "the disk stands at"),
    "a payment is not committed": (other_offset("scoring"), (0, 0, 0), "committed stands at"),
    "an entity's record is changed": (state("changelogs", "entities", a_byte), (0, 0, 0), "entities' records in"),
    "an entity's record is gone": (state("changelogs", "entities", one_less), (0, 0, 0), "changelog are missing"),
    "an entity's record on disk is gone": (state("disks", "entities", one_less), (0, 0, 0), "disk are missing"),
    "an activity is not committed": (other_offset("entities"), (0, 0, 0), "committed stands at"),
    "activity is gone": (activity(lambda told: told[:3] + told[4:]), (0, 0, 0), "activity are missing"),
    "activity is there again": (activity(lambda told: [*told, told[3]]), (0, 0, 0), "told too often"),
    "an entity's risk is gone": (without("risk", 3), (0, 0, 0), "published risk is not"),
    "an entity's risk is another": (changed("risk", "risk", lambda r: r + 0.01), (0, 0, 0), "published risk is not"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_the_oracle_sees_that(bank, clean, what):
    plant, counts, words = PLANTED[what]
    findings = judge(bank, plant(clean))
    assert not findings.clean
    assert (findings.lost, findings.doubled, findings.disordered) == counts, findings
    assert any(words in problem for problem in findings.problems) or not words, findings
    if not words:
        assert not findings.problems, findings


@pytest.mark.parametrize("what", [what for what, (_, counts, _) in PLANTED.items() if any(counts)])
def test_without_exactly_once_only_repeats_under_the_same_id_are_forgiven(bank, clean, what):
    plant, (_, doubled, _), _ = PLANTED[what]
    findings = judge(bank, plant(clean), exactly_once=False)
    assert findings.clean == (doubled > 0), findings


def test_what_follows_from_entity_risk_may_differ_where_payments_are_judged_again():
    due = np.zeros(4, dtype=ACTIVITY)
    due["amount"], due["flags"] = range(4), (FIRST_TIME | LAYERED, OUTFLOW, FIRST_TIME, 0)
    told = due[[0, 2, 3]]
    told["flags"][0] = FIRST_TIME
    assert list(told_amiss(due, told, exactly_once=True)) == [
        "2 rows of entity activity are missing",
        "1 rows of entity activity are told too often",
    ]
    assert not list(told_amiss(due, told, exactly_once=False))
    assert list(told_amiss(due, told[:2], exactly_once=False)) == ["1 rows of entity activity are missing"]
    told["flags"][1] = 0
    assert list(told_amiss(due, told, exactly_once=False)) == ["1 rows of entity activity are missing"]


def test_a_byte_changed_in_rocksdb_is_seen(bank):
    path = str(bank.home / "state" / "0" / "scoring" / "1")
    options = Options(raw_mode=True)
    options.set_allow_concurrent_memtable_write(False)  # as the worker's, or RocksDB refuses it
    database = Rdict(path, options)
    key, value = next((k, v) for k, v in database.items() if len(k) == 16)
    database.put(key, value[:-1] + bytes([value[-1] ^ 1]))
    database.close()
    try:
        assert "disk are different, the first on partition 1" in str(audit(bank))
    finally:
        database = Rdict(path, options)
        database.put(key, value)
        database.close()


def test_what_is_published_again_is_seen(bank):
    """On the topics themselves: an alert and a whole record of decisions. Last, because it cannot be taken back."""
    producer = Producer(admin(bank.kafka))
    alert = next(messages(bank, bank.topics.alerts))
    decided = next(messages(bank, bank.topics.decisions))
    for message in (alert, decided):
        producer.produce(message.topic(), message.value(), message.key(), message.partition())
    assert producer.flush(30) == 0
    findings = audit(bank)
    again = read(bank).decisions.filter(pl.struct("partition", "offset").is_duplicated()).height // 2
    assert (findings.lost, findings.doubled, findings.disordered) == (0, 1 + again, 0)
    assert again > 1
