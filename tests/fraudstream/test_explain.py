"""`fraudstream explain` against a real broker, with decisions and alerts as a worker writes them."""

import json
import uuid
from typing import NamedTuple

import msgspec
import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.alert import Alert, ModelRef, Reason, Source, alert_id
from schemas.codec import encode
from schemas.decision import COLUMNS, DecisionMeta, encode_decisions

pytestmark = pytest.mark.broker

DECIDED_AT = 1_760_000_100_000
MODEL = ModelRef(name="champion", sha256="c" * 64)
META = DecisionMeta(
    topic="transactions",
    partition=1,
    first_offset=0,
    last_offset=99,
    decided_at=DECIDED_AT,
    model=MODEL,
    challengers=[ModelRef(name="candidate", sha256="d" * 64)],
    threshold=700,
    second_threshold=760,
    policy_version="policy-3",
    list_version="lists-17",
    catalogue_hash="e" * 64,
)


def decisions() -> pl.DataFrame:
    """A hundred payments T0 … T99; flagged are T42 by the model, T43 by a list, T44 as unusual, T45 by a rule."""
    numbers = list(range(100))
    return pl.DataFrame(
        {
            "offset": numbers,
            "transaction_id": [f"T{n}" for n in numbers],
            "payer_token": ["ab" * 16] * 100,
            "event_time": [1_760_000_000_000 + n for n in numbers],
            "features_hash": numbers,
            "probability": [0.01 * n for n in numbers],
            "score": [912 if n == 42 else n for n in numbers],
            "band": ["severe" if n == 42 else "low" for n in numbers],
            "flagged": [n in (42, 43, 44, 45) for n in numbers],
            "decided_by": [{43: "list", 44: "second_opinion", 45: "rule"}.get(n, "model") for n in numbers],
            "rule": [{43: "block", 45: "mobile_revoked"}.get(n) for n in numbers],
            "status": [16 + 32 if n == 42 else 0 for n in numbers],
            "second_score": [800 if n == 44 else 100 for n in numbers],
            "challenger_0": [0.75] * 100,
            "risk_payee_frauds": [3.0] * 100,
            "risk_sim_payers": [float("nan")] * 100,
        },
        schema=COLUMNS | dict.fromkeys(("challenger_0", "risk_payee_frauds", "risk_sim_payers"), pl.Float32()),
    )


ALERT = Alert(
    alert_id=alert_id("transactions", 1, 42),
    transaction_id="T42",
    event_time=1_760_000_000_042,
    decided_at=DECIDED_AT,
    payer_token="ab" * 16,
    payee_token="cd" * 16,
    amount=5_000_000,
    probability=0.42,
    score=912,
    band="severe",
    summary="The model's score is 912 of 1000, at or above the threshold 700",
    decided_by="model",
    threshold=700,
    reasons=[
        Reason(
            code="first_payee",
            feature="payee_is_new",
            group="transaction",
            value=1.0,
            usual=None,
            contribution=1.25,
            sentence="The first payment to this payee",
        )
    ],
    base_value=-4.0,
    margin=1.5,
    flags=["first_payee", "new_device"],
    model=MODEL,
    policy_version="policy-3",
    list_version="lists-17",
    catalogue_hash="e" * 64,
    source=Source(topic="transactions", partition=1, offset=42, timestamp=1_760_000_000_050),
)


UNUSUAL = msgspec.structs.replace(
    ALERT,
    alert_id=alert_id("transactions", 1, 44),
    transaction_id="T44",
    score=44,
    band="low",
    summary="The payment is unlike honest ones",
    decided_by="second_opinion",
    explains="second_opinion",
    second_score=800,
    second_threshold=760,
    source=Source(topic="transactions", partition=1, offset=44, timestamp=1_760_000_000_050),
)


RULED = msgspec.structs.replace(
    ALERT,
    alert_id=alert_id("transactions", 1, 45),
    transaction_id="T45",
    score=45,
    band="low",
    summary="The rule “mobile revoked” holds: the customer's mobile number has been revoked",
    decided_by="rule",
    rule="mobile_revoked",
    source=Source(topic="transactions", partition=1, offset=45, timestamp=1_760_000_000_050),
)


class Published(NamedTuple):
    servers: str
    prefix: str

    def arguments(self, transaction: str, *more: str) -> tuple[str, ...]:
        servers = ("--bootstrap-servers", self.servers, "--topic-prefix", self.prefix)
        return ("explain", "--transaction", transaction, *servers, *more)


@pytest.fixture(scope="module")
def published(broker) -> Published:
    """One committed step, one that was aborted, one unreadable record."""
    prefix = f"explain-{uuid.uuid4().hex[:8]}."
    topics = [NewTopic(f"{prefix}{name}", 2, 1) for name in ("decisions", "alerts")]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for future in admin.create_topics(topics).values():
        future.result()
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": prefix})
    producer.init_transactions(10)
    forged = decisions().with_columns(pl.col("transaction_id").str.replace("T", "ABORTED"))
    for rows, ending in ((decisions(), producer.commit_transaction), (forged, producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(f"{prefix}decisions", encode_decisions(META, rows), timestamp=DECIDED_AT)
        producer.produce(f"{prefix}decisions", b"not a decisions record", timestamp=DECIDED_AT)
        for alert in (ALERT, UNUSUAL, RULED):
            producer.produce(f"{prefix}alerts", encode(alert), timestamp=DECIDED_AT + 5)
        producer.flush(10)
        ending(10)
    return Published(broker.bootstrap_servers, prefix)


def test_a_flagged_payment_is_explained_by_what_decided_and_why(run_cli, published):
    done = run_cli(*published.arguments("T42"))
    assert done.code == 0, done.err
    for words in (
        "Payment T42 was flagged: decided by the model, score 912 of 1000, band severe",
        "at or above the threshold 700",
        "sha256 " + "c" * 64,
        "version policy-3",
        "version lists-17",
        "transactions, partition 1, offset 42",
        "first_payee, new_device",
        "The first payment to this payee  (payee_is_new, +1.25)",
        "payee_frauds 3",
        "candidate, probability 0.750000",
        "2025-10-09 08:53:20.042 UTC",
    ):
        assert words in done.out
    assert "sim_payers" not in done.out
    assert done.out.splitlines()[2] == ALERT.summary


def test_what_the_second_opinion_flagged_is_explained_as_its_own(run_cli, published):
    done = run_cli(*published.arguments("T44"))
    assert "Payment T44 was flagged: decided by the second opinion, score 44 of 1000, band low" in done.out
    assert "800 of 1000, at or above its threshold 760" in done.out
    assert "Why the second opinion found it unusual" in done.out


def test_what_a_rule_flagged_is_explained_by_the_rule_first_and_not_by_the_model(run_cli, published):
    lines = run_cli(*published.arguments("T45")).out.splitlines()
    assert lines[1].startswith("Payment T45 was flagged: decided by the rule mobile_revoked")
    assert lines[2] == RULED.summary
    assert lines[-2] == "What the model held against it"


def test_an_honest_payment_is_explained_too(run_cli, published):
    done = run_cli(*published.arguments("T7"))
    assert "Payment T7 was not flagged" in done.out
    assert "7, below the threshold 700; band low" in done.out


def test_a_list_that_decided_is_named_and_a_missing_alert_is_said(run_cli, published):
    done = run_cli(*published.arguments("T43"))
    assert "decided by the list block" in done.out
    assert "no longer on the alerts topic" in done.out


def test_machines_get_the_whole_of_it(run_cli, published):
    (finding,) = json.loads(run_cli(*published.arguments("T42", "--json")).out)
    assert finding["decision"]["offset"] == 42
    assert finding["decision"]["features_hash"] == f"{42:016x}"
    assert finding["decision"]["risk_sim_payers"] is None
    assert finding["decision"]["flags"] == ["first_payee", "new_device"]
    assert finding["step"]["model"]["sha256"] == "c" * 64
    assert finding["alert"]["summary"] == ALERT.summary
    assert finding["alert"]["reasons"][0]["contribution"] == 1.25


def test_times_narrow_the_search(run_cli, published):
    assert run_cli(*published.arguments("T42", "--from", str(DECIDED_AT), "--to", str(DECIDED_AT + 1))).code == 0
    late = run_cli(*published.arguments("T42", "--from", "2026-01-01"))
    assert late.code == 1
    assert "among 0 decisions in 0 records from 2026-01-01" in late.err
    assert "widen" in late.err


@pytest.mark.parametrize("transaction", ["T100", "ABORTED42"])
def test_a_payment_without_a_committed_decision_is_not_found_and_the_search_is_described(
    run_cli, published, transaction
):
    done = run_cli(*published.arguments(transaction))
    assert done.code == 1
    assert f"no decision about payment {transaction} among 100 decisions in 2 records, 1 of which could" in done.err
    assert "dead letters" in done.err


def test_missing_topics_are_an_error_that_says_what_to_do(run_cli, broker):
    done = run_cli(
        "explain", "--transaction", "T1", "--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", "no."
    )
    assert done.code == 1
    assert "there is no topic no.decisions" in done.err
    assert "topics create" in done.err
