"""What a scoring step says of payments: alerts, decisions, dead letters and activity, and what it remembers."""

import msgspec
import numpy as np
import polars as pl
import pytest

from models.catalogue import CATALOGUE_HASH, FEATURE_NAMES
from models.engine import DUPLICATE, REDO
from models.explaining import UNLIKE
from models.fingerprint import fingerprints
from models.payer_state import PAYER, PAYER_CODEC
from schemas.codec import encode
from schemas.dead_letter import MAX_PART_BYTES, DeadLetter
from schemas.entity_activity import FIRST_TIME, LAYERED, OUTFLOW, decode_activity
from schemas.entity_risk import EntityRisk
from stream.topics import WIDE_MAX_BYTES

EVERYBODY, NOBODY = 0, 1000
MULE = {"payee_mule_flag": True, "rupees": 5_000}
"""What the rule `mule_registry` flags."""


def test_a_quiet_payment_is_decided_and_not_alerted(desk, payment):
    step = desk.judge(payment())
    assert step.alerts == []
    assert step.rows["flagged"].to_list() == [False]
    assert step.outputs.counts == {"payments": 1, "dead_letters": 0, "duplicates": 0}
    assert step.outputs.records == []


@pytest.mark.parametrize("kind", ["payer", "payee", "device", "sim"])
def test_a_blocked_entity_is_flagged_whatever_it_is(desk, payment, token, kind):
    names = {"payer": "asha@bank", "payee": "ravi@bank", "device": "phone", "sim": "card"}
    of = {"payer": "account", "payee": "account"}.get(kind, kind)
    desk.put_on_list("block", of, token(names[kind], of))
    (alert,) = desk.judge(payment(device_id="phone", sim_id="card")).alerts
    assert (alert.decided_by, alert.rule) == ("list", f"block:{kind}")
    assert alert.list_version == "lists-1"


def test_a_listed_device_is_no_listed_account(desk, payment, token):
    desk.put_on_list("block", "device", token("ravi@bank", "device"))
    assert desk.judge(payment()).alerts == []


def test_block_goes_before_allow_and_allow_before_rules(desk, payment, token):
    desk.put_on_list("allow", "account", token("asha@bank"))
    assert desk.judge(payment(**MULE)).alerts == []
    desk.put_on_list("block", "account", token("ravi@bank"))
    (alert,) = desk.judge(payment(**MULE)).alerts
    assert alert.rule == "block:payee"


def test_a_watched_entity_is_flagged_from_a_lower_score(make_desk, payment, token):
    desk = make_desk(alert_score=1000, watch_score=0)
    assert desk.judge(payment()).alerts == []
    desk.put_on_list("watch", "account", token("asha@bank"))
    (alert,) = desk.judge(payment(60)).alerts
    assert (alert.decided_by, alert.rule, alert.threshold) == ("list", "watch:payer", 0)


def test_a_list_entry_ends_by_the_payments_own_time(desk, payment, token):
    first = payment()
    desk.put_on_list("block", "account", token("asha@bank"), expires_at=first.event_time + 1_000)
    assert len(desk.judge(first).alerts) == 1
    assert desk.judge(payment(1)).alerts == []


def test_an_entry_taken_off_a_list_no_longer_counts(desk, payment, token):
    desk.put_on_list("block", "account", token("asha@bank"))
    desk.lists.apply(0, [(f"account:{token('asha@bank')}".encode(), None)], 2)
    step = desk.judge(payment())
    assert step.alerts == []
    assert step.decisions[0][0].list_version == "lists-2"


def test_an_alert_says_what_decided_and_where_it_came_from(make_desk, payment, token, scorer):
    desk = make_desk(alert_score=EVERYBODY)
    desk.judge(payment(), payment(10))
    odd = payment(60, 95_000, device_id="other", emulator=True, screen_shared=True, payee="new@bank")
    (alert,) = desk.judge(odd).alerts
    assert alert.alert_id == "transactions-0-2"
    assert (alert.source.topic, alert.source.partition, alert.source.offset) == ("transactions", 0, 2)
    assert alert.transaction_id == odd.transaction_id
    assert (alert.payer_token, alert.payee_token) == (token("asha@bank"), token("new@bank"))
    assert (alert.amount, alert.event_time) == (9_500_000, odd.event_time)
    assert alert.decided_at == alert.source.timestamp + 40
    assert (alert.decided_by, alert.rule, alert.threshold) == ("model", None, EVERYBODY)
    assert alert.model == scorer.bundle.ref
    assert alert.policy_version == desk.scoring.models().decider.version
    assert alert.catalogue_hash == CATALOGUE_HASH
    assert alert.band in scorer.bands


def test_an_alert_begins_with_what_decided_in_words(make_desk, payment, second_scorer, token):
    desk = make_desk(watch_score=0, champion=second_scorer, second_opinion_score=0)
    unusual, revoked, mule = desk.judge(payment(), payment(1, mobile_revoked=True), payment(2, **MULE)).alerts
    assert unusual.summary == (
        "The payment is unlike honest ones: the second opinion's score is"
        f" {unusual.second_score} of 1000, at or above the threshold 0"
    )
    assert revoked.summary == "The rule “mobile revoked” holds: the customer's mobile number has been revoked"
    assert mule.summary.startswith(
        "The rule “mule registry” holds: the payee is registered as a suspected mule account; ₹5,000 is paid (this"
    )
    desk.put_on_list("watch", "account", token("ravi@bank"))
    (watched,) = desk.judge(payment(3)).alerts
    assert watched.summary == (
        "The payee's account is on the watch list, which lowers the threshold:"
        f" the model's score is {watched.score} of 1000, at or above the threshold 0"
    )
    (scored,) = make_desk(alert_score=EVERYBODY).judge(payment()).alerts
    assert scored.summary == f"The model's score is {scored.score} of 1000, at or above the threshold 0"


def test_reasons_name_features_the_strongest_first(make_desk, payment):
    desk = make_desk(alert_score=EVERYBODY)
    step = desk.judge(*(payment(60 * i, 95_000, device_id=f"d{i}", emulator=True, payee=f"p{i}") for i in range(9)))
    for alert in step.alerts:
        contributions = [reason.contribution for reason in alert.reasons]
        assert contributions == sorted(contributions, reverse=True)
        assert all(reason.feature in FEATURE_NAMES and reason.sentence for reason in alert.reasons)
    assert any(alert.reasons for alert in step.alerts)
    assert step.rows["probability"].to_list() == pytest.approx([alert.probability for alert in step.alerts])


@pytest.mark.parametrize("by", ["model", "list", "rule", "second_opinion"])
def test_nothing_personal_leaves_the_step(make_desk, payment, token, second_scorer, by):
    desk = make_desk(EVERYBODY if by == "model" else NOBODY, champion=second_scorer, second_opinion_score=0)
    personal = {"payer": "asha@bank", "payee": "ravi@bank", "device_id": "phone-1", "sim_id": "sim-1"}
    personal |= {"mobile": "9876543210", "imei": "imei-1", "ip": "10.1.2.3", "payer_account": "ACC-77"}
    if by == "list":
        desk.put_on_list("block", "device", token("phone-1", "device"))
    step = desk.judge(payment(**personal, mobile_revoked=by == "rule"))
    assert [alert.decided_by for alert in step.alerts] == [by]
    outputs = step.outputs
    published = [record["value"] or b"" for records in outputs.bulk.values() for record in records]
    published += [record["key"] or b"" for records in outputs.bulk.values() for record in records]
    published += list(desk.kept.values()) + list(desk.kept)
    for value in personal.values():
        assert not any(value.encode() in each for each in published)


def test_a_duplicate_is_alerted_once_and_counted_once(desk, payment, token):
    desk.put_on_list("block", "account", token("asha@bank"))
    again = payment()
    step = desk.judge(again, again)
    assert len(step.alerts) == 1
    assert step.outputs.counts["duplicates"] == 1
    assert desk.judge(again).alerts == []
    rows = desk.judge(payment(60)).rows
    assert rows["flagged"].to_list() == [True]
    assert desk.scoring.state.records["payments"].max() == 2


def test_an_id_used_for_another_payment_is_flagged_even_for_the_allowed(desk, payment, token):
    desk.put_on_list("allow", "account", token("asha@bank"))
    step = desk.judge(payment(transaction_id="same"), payment(1, 90_000, transaction_id="same"))
    (alert,) = step.alerts
    assert (alert.decided_by, alert.rule) == ("rule", "id_conflict")
    assert "id_conflict" in alert.flags


def test_decisions_have_a_row_for_every_payment_in_order(desk, payment):
    payments = [payment(i, payer=f"payer{i % 3}@bank") for i in range(50)]
    step = desk.judge(*payments)
    ((meta, rows),) = step.decisions
    assert rows["transaction_id"].to_list() == [each.transaction_id for each in payments]
    assert rows["offset"].to_list() == list(range(50))
    assert rows["event_time"].to_list() == [each.event_time for each in payments]
    assert (meta.topic, meta.partition, meta.first_offset, meta.last_offset) == ("transactions", 0, 0, 49)
    assert rows["features_hash"].n_unique() == 17, "payers pay alike, each step of their way is another"


def test_decisions_hold_the_challengers_and_the_risk_that_was_used(make_desk, payment, scorer, token):
    desk = make_desk(challengers=[scorer, scorer])
    desk.learn_risk(mule(token("ravi@bank")))
    ((meta, rows),) = desk.judge(payment(), payment(1, payee="other@bank")).decisions
    assert meta.challengers == [scorer.bundle.ref] * 2
    assert rows["challenger_0"].to_list() == rows["probability"].to_list() == rows["challenger_1"].to_list()
    assert rows["risk_payee_risk"].to_list()[0] == pytest.approx(0.9)
    assert np.isnan(rows["risk_payee_risk"][1])


def test_the_second_opinion_flags_what_the_model_leaves_with_reasons_of_its_own(make_desk, payment, second_scorer):
    desk = make_desk(champion=second_scorer, second_opinion_score=0)
    step = desk.judge(payment(), payment(10))
    first, _ = step.alerts
    assert (first.decided_by, first.rule, first.explains) == ("second_opinion", None, "second_opinion")
    assert (first.score < first.threshold, first.second_threshold) == (True, 0)
    assert first.reasons[0].sentence.startswith(UNLIKE)
    assert step.rows["second_score"].to_list() == [alert.second_score for alert in step.alerts]
    assert step.rows["decided_by"].to_list() == ["second_opinion"] * 2
    assert [meta.second_threshold for meta, _ in step.decisions] == [0]
    assert step.outputs.alerts == [(alert.band, "second_opinion") for alert in step.alerts]


def test_the_model_and_an_allow_list_go_before_the_second_opinion(make_desk, payment, second_scorer, token):
    both = make_desk(alert_score=EVERYBODY, champion=second_scorer, second_opinion_score=0)
    (alert,) = both.judge(payment()).alerts
    assert (alert.decided_by, alert.explains, alert.second_threshold) == ("model", "model", 0)
    desk = make_desk(champion=second_scorer, second_opinion_score=0)
    desk.put_on_list("allow", "account", token("ravi@bank"))
    assert desk.judge(payment()).alerts == []


def test_a_silenced_second_opinion_is_still_recorded(make_desk, payment, second_scorer):
    step = make_desk(champion=second_scorer, second_opinion=False, second_opinion_score=0).judge(payment())
    assert step.alerts == []
    assert step.rows["second_score"].null_count() == 0
    assert step.decisions[0][0].second_threshold is None


def test_without_a_second_opinion_nothing_is_said_of_one(make_desk, payment):
    step = make_desk(alert_score=EVERYBODY).judge(payment())
    assert "second_score" not in step.rows.columns
    assert (step.alerts[0].second_score, step.alerts[0].second_threshold) == (None, None)


def test_a_challengers_second_opinion_has_no_say(make_desk, payment, second_scorer):
    step = make_desk(challengers=[second_scorer], second_opinion_score=0).judge(payment())
    assert step.alerts == []
    assert "second_score" not in step.rows.columns


def test_what_is_decided_does_not_depend_on_the_batches(make_desk, payment):
    payments = [payment(7 * i, payer=f"payer{i % 4}@bank", payee=f"payee{i % 5}@bank") for i in range(60)]
    whole, desk = make_desk(), make_desk()
    at_once = whole.judge(*payments).rows
    in_pieces = pl.concat([desk.judge(*payments[start : start + 7]).rows for start in range(0, 60, 7)])
    assert at_once.equals(in_pieces)
    assert whole.kept == desk.kept


def test_partitions_have_their_own_decisions_and_state(desk, payment):
    desk.judge(payment(), payment(1))
    other = desk.judge(payment(2), partition=1)
    assert [meta.partition for meta, _ in other.decisions] == [1]
    assert list(other.outputs.changed) == [1]


BAD = [
    (b"not json", b"asha@bank", "malformed_json"),
    (b'{"transaction_id": "t1"}', b"asha@bank", "invalid_field"),
    (None, b"asha@bank", "empty"),
    (b"\xff\xfe{}", None, "malformed_json"),
    (b'{"transaction_id": ' + b"[" * 10_000, b"asha@bank", "invalid_field"),
    (b'{"transaction_id": "' + b"x" * 2**21 + b'"}', b"asha@bank", "too_large"),
]


@pytest.mark.parametrize(("value", "key", "code"), BAD)
def test_a_bad_record_becomes_a_dead_letter_with_its_bytes_and_the_rest_is_judged(desk, payment, value, key, code):
    good = [payment(), payment(1)]
    step = desk.take([encode(good[0]), value, encode(good[1])], [b"asha@bank", key, b"asha@bank"])
    ((topic, record),) = step.outputs.records
    assert topic == "transactions.dead-letter"
    assert (record["key"], record["value"]) == (key, value)
    headers = dict(record["headers"])
    assert headers["__connect.errors.topic"] == b"transactions"
    assert headers["__connect.errors.partition"] == b"0"
    assert headers["__connect.errors.offset"] == b"1"
    assert headers["__connect.errors.task.id"] == b"3"
    letter = DeadLetter.from_headers(record["headers"])
    assert letter.code == code
    assert step.rows["offset"].to_list() == [0, 2]
    assert step.outputs.counts["dead_letters"] == 1


def test_of_a_giant_the_beginning_is_kept_so_that_the_broker_takes_it(desk, payment):
    giant = b"x" * (MAX_PART_BYTES + 5)
    step = desk.take([encode(payment()), giant], [b"asha@bank", giant])
    ((_, record),) = step.outputs.records
    headers = sum(len(name) + len(value) for name, value in record["headers"])
    assert len(record["key"]) + len(record["value"]) + headers < WIDE_MAX_BYTES
    assert giant.startswith(record["value"])
    assert str(len(giant)) in DeadLetter.from_headers(record["headers"]).message


def test_a_payment_under_anothers_key_is_set_aside(desk, payment):
    step = desk.take([encode(payment())], [b"someone@bank"])
    ((_, record),) = step.outputs.records
    letter = DeadLetter.from_headers(record["headers"])
    assert letter.code == "wrong_key"
    assert dict(record["headers"])["__connect.errors.stage"] == b"KEY_CONVERTER"
    assert "bank" not in letter.message


def test_a_batch_of_nothing_but_rubbish_changes_nothing(desk):
    step = desk.take([b"{", b"}"], [None, None])
    assert step.outputs.changed == {}
    assert step.outputs.bulk == {}
    assert len(step.outputs.records) == 2


def activity(step):
    records = step.outputs.bulk["entity-activity"]
    rows = [decode_activity(record["value"]) for record in records]
    assert all(0 <= record["partition"] < 4 for record in records)
    return np.concatenate(rows) if rows else np.zeros(0, dtype=[("kind", "u1"), ("flags", "u1")])


def test_activity_tells_who_received_and_what_is_used_for_the_first_time(desk, payment, token):
    found = activity(desk.judge(payment(device_id="phone", sim_id="card")))
    by_token = {bytes(row["token"]).hex(): row for row in found}
    received = by_token[token("ravi@bank")]
    assert (received["kind"], received["flags"], received["amount"]) == (1, FIRST_TIME, 50_000)
    assert by_token[token("phone", "device")]["kind"] == 2
    assert by_token[token("card", "sim")]["kind"] == 3
    assert token("asha@bank") not in by_token  # an account that is not known to receive
    again = activity(desk.judge(payment(60, device_id="phone", sim_id="card")))
    assert again["kind"].tolist() == [1]  # device and SIM are no news
    assert not (again["flags"] & FIRST_TIME).any()


def test_activity_tells_what_an_account_pays_once_it_is_known_to_receive(desk, payment, token):
    desk.learn_risk(mule(token("asha@bank")))
    found = activity(desk.judge(payment()))
    paid = {bytes(row["token"]).hex(): row for row in found}[token("asha@bank")]
    assert (paid["kind"], paid["flags"], paid["amount"]) == (1, OUTFLOW, 50_000)


def test_activity_tells_when_the_payer_had_just_received_as_much(desk, payment, token):
    desk.learn_risk(mule(token("asha@bank")))
    found = activity(desk.judge(payment()))
    to_payee = {bytes(row["token"]).hex(): row for row in found}[token("ravi@bank")]
    assert to_payee["flags"] & LAYERED


def test_activity_is_emitted_once(desk, payment):
    again = payment()
    assert len(activity(desk.judge(again))) == 1
    assert len(activity(desk.judge(again))) == 0  # a duplicate
    redone = desk.judge(again, redo_from=0)
    assert len(activity(redone)) == 0


def test_a_redo_is_decided_again_not_alerted_again_and_leaves_the_state(desk, payment, token):
    """Its alert was acknowledged before its state was written."""
    desk.put_on_list("block", "account", token("asha@bank"))
    payments = [payment(), payment(1)]
    assert len(desk.judge(*payments).alerts) == 2
    kept = dict(desk.kept)
    redone = desk.judge(*payments, redo_from=0)
    assert redone.alerts == []
    assert [status & (REDO | DUPLICATE) for status in redone.rows["status"]] == [REDO, REDO]
    assert redone.rows["flagged"].to_list() == [False, False]
    assert redone.outputs.counts["duplicates"] == 0
    assert desk.kept == kept


@pytest.mark.parametrize("redo_from", [0, 1, 2])
def test_a_true_duplicate_that_is_redone_is_not_alerted_under_an_id_of_its_own(desk, payment, token, redo_from):
    desk.put_on_list("block", "account", token("asha@bank"))
    records = [payment(transaction_id="same"), payment(1), payment(transaction_id="same")]
    first = desk.judge(*records)
    assert [alert.alert_id for alert in first.alerts] == ["transactions-0-0", "transactions-0-1"]
    assert desk.judge(*records[redo_from:], redo_from=redo_from).alerts == []
    assert desk.judge(records[0]).alerts == []


def test_judged_again_after_an_interrupted_write_up_to_16_payments_of_a_payer_count_once(desk, payment, token):
    """What at-least-once leaves when it dies between a record of the changelog and the position behind it."""
    few = [payment(i, payer="few@bank") for i in range(16)]
    many = [payment(i, payer="many@bank") for i in range(20)]
    desk.judge(*few, *many)
    desk.offset = 0
    again = desk.judge(*few, *many)
    assert again.rows.filter(pl.col("status") & DUPLICATE != 0).height == 16
    payers = np.zeros(2, dtype=PAYER)
    PAYER_CODEC.decode(
        [desk.kept[bytes.fromhex(token(name))] for name in ("few@bank", "many@bank")], payers, np.arange(2)
    )
    assert payers["payments"].tolist() == [16, 2 * 20]


def test_a_redo_goes_over_into_new_payments_at_the_applied_offset(desk, payment):
    payments = [payment(), payment(1)]
    desk.judge(*payments)
    desk.judge(*payments, payment(2), redo_from=0)
    assert desk.scoring.state.records["payments"].max() == 3


def mule(token: str, **more) -> EntityRisk:
    now = 1_760_077_800_000
    values = {"payers": 40, "inflow_amount_24h": 10_000_000, "frauds_recent": 3.0}
    values |= {"last_fraud_at": now, "first_time_share": 1.0, "risk": 0.9, **more}
    return EntityRisk(kind="account", token=token, updated_at=now, first_seen=now - 86_400_000, **values)


def test_a_risk_record_changes_the_features_of_the_next_payment(make_desk, payment, token, features):
    plain = make_desk().judge(payment()).rows
    desk = make_desk()
    desk.learn_risk(mule(token("ravi@bank")))
    warned = desk.judge(payment()).rows
    known = [FEATURE_NAMES.index(name) for name in ("payee_payers", "payee_frauds", "payee_first_time_share")]
    assert np.isnan(features[0][0, known]).all()
    assert features[1][0, known].tolist() == [40, 3, 1]
    assert [warned[f"risk_{FEATURE_NAMES[i]}"][0] for i in known] == [40, 3, 1]
    # The fingerprint is of payment and payer alone; risk stands beside it.
    assert warned["features_hash"].to_list() == plain["features_hash"].to_list()
    desk.risk.apply(0, [(f"account:{token('ravi@bank')}".encode(), None)], 2)
    assert np.isnan(desk.judge(payment(1)).rows["risk_payee_payers"][0])


@pytest.fixture
def features(monkeypatch):
    """The feature matrix of each step."""
    seen = []

    def listen(matrix):
        seen.append(matrix.copy())
        return fingerprints(matrix)

    monkeypatch.setattr("agents.reporting.fingerprints", listen)
    return seen


def test_the_fingerprint_is_that_of_the_features(desk, payment, features):
    rows = desk.judge(payment(), payment(1)).rows
    assert rows["features_hash"].to_list() == fingerprints(features[0]).tolist()


def test_an_alert_is_keyed_by_its_payers_token(desk, payment, token):
    desk.put_on_list("block", "account", token("asha@bank"))
    step = desk.judge(payment())
    (record,) = step.outputs.bulk["alerts"]
    assert record["key"] == token("asha@bank").encode()
    assert msgspec.json.decode(record["value"])["flags"] == []
    assert step.outputs.alerts == [(step.alerts[0].band, "list")]
