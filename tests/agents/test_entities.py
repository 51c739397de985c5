"""What is learned of payees, devices and SIMs, and when it is news."""

import math

import numpy as np
import pytest

from agents.entities import Entities
from models.entity_state import ENTITY_CODEC, ENTITY_KEY_BYTES
from models.keys import as_bytes
from schemas.codec import decode_entity_risk
from schemas.entity_activity import ACTIVITY, FIRST_TIME, FRAUD, LAYERED, OUTFLOW, encode_activity
from stream.batch import Batch
from stream.changelog import Checkpoint
from stream.errors import Stop
from stream.keyed_state import KeyedState
from stream.settings import StateSettings

NOON = 1_760_077_800_000
MULE, SHOP, PHONE = b"M" * 16, b"S" * 16, b"P" * 16


def row(token: bytes, rupees: float = 1_000, kind: int = 1, flags: int = FIRST_TIME, after_s: int = 0):
    return (kind, flags, token, 7, NOON + 1000 * after_s, round(rupees * 100))


class Desk:
    """The entities agent with its state; keeps what a step changed as the step runner would."""

    def __init__(self, directory):
        settings = StateSettings(directory, arena_rows=500, write_buffer_bytes=1 << 20)
        self.agent = Entities(
            KeyedState(ENTITY_CODEC, directory / "entities", settings, ENTITY_KEY_BYTES), "entity-risk"
        )
        self.agent.state.open(0)
        self.agent.state.open(1)
        self.offset = 0
        self.outputs = None

    def take(self, *values: bytes, redo_from: int | None = None, partition: int = 0):
        start = self.offset if redo_from is None else redo_from
        n = len(values)
        batch = Batch(
            list(values),
            [None] * n,
            np.full(n, partition, dtype=np.int32),
            np.arange(start, start + n, dtype=np.int64),
            np.full(n, NOON, dtype=np.int64),
        )
        state = self.agent.state
        step = state.begin()
        self.outputs = outputs = self.agent.compute(batch, {partition: self.offset})
        self.offset = max(self.offset, start + n)
        for where, (changed, rows) in outputs.changed.items():
            keys = as_bytes(changed)
            assert len(set(keys)) == len(keys)
            state.persist(
                where, list(zip(keys, state.encode(rows), strict=True)), Checkpoint(self.offset, 0, bytes(16))
            )
        state.keep(step)
        published = outputs.bulk.get("entity-risk", [])
        records = [decode_entity_risk(record["value"]) for record in published]
        assert [record["key"].decode() for record in published] == [f"{r.kind}:{r.token}" for r in records]
        assert outputs.counts["risk_records"] == len(records)
        return {record.token: record for record in records}

    def see(self, *rows, **options):
        return self.take(encode_activity(np.array(list(rows), dtype=ACTIVITY)), **options)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.agent.state.close_all()


def test_one_payer_without_a_verdict_is_no_news(desk):
    assert desk.see(row(SHOP)) == {}
    assert desk.see(row(SHOP, flags=0, after_s=60)) == {}


def test_a_second_payer_is_news_with_what_is_known(desk):
    desk.see(row(SHOP))
    news = desk.see(row(SHOP, rupees=500, after_s=60))[SHOP.hex()]
    assert (news.kind, news.payers, news.users) == ("account", 2, 0)
    assert (news.inflow_count_24h, news.inflow_amount_24h, news.inflow_amount_total) == (2, 150_000, 150_000)
    assert (news.first_seen, news.updated_at) == (NOON, NOON + 60_000)
    assert news.first_time_share == 1


def test_what_did_not_change_is_not_said_again(desk):
    desk.see(row(SHOP), row(SHOP, after_s=1))
    assert desk.see(row(SHOP, rupees=1, flags=0, after_s=2)) == {}


def test_money_that_leaves_again_raises_the_risk(desk):
    payers = [row(MULE, after_s=i) for i in range(6)]
    before = desk.see(*payers)[MULE.hex()]
    after = desk.see(row(MULE, rupees=5_500, flags=OUTFLOW, after_s=10))[MULE.hex()]
    assert after.outflow_amount_24h == 550_000
    assert after.payers == before.payers == 6
    assert after.risk > before.risk + 0.5


def test_a_verdict_is_news_at_once(desk):
    news = desk.see(row(MULE, flags=FRAUD))[MULE.hex()]
    assert news.frauds_known == 1
    assert news.last_fraud_at == NOON
    assert news.risk == pytest.approx(0.5)
    assert news.payers == 0


DAY_S = 86_400


def test_verdicts_fade_and_an_episode_begins_again_after_a_quiet_fortnight(desk):
    desk.see(row(MULE, flags=FRAUD))
    news = desk.see(row(MULE, flags=FRAUD, after_s=10 * DAY_S))[MULE.hex()]
    assert news.frauds_recent == pytest.approx(1 + math.exp(-1))
    assert news.fraud_since == NOON
    news = desk.see(row(MULE, flags=FRAUD, after_s=25 * DAY_S))[MULE.hex()]
    assert news.fraud_since == NOON + 25 * DAY_S * 1000
    assert news.frauds_known == 3


def test_a_verdict_that_comes_after_one_of_a_later_payment_counts_with_its_age(desk):
    desk.see(row(MULE, flags=FRAUD, after_s=10 * DAY_S))
    news = desk.see(row(MULE, flags=FRAUD))[MULE.hex()]
    assert news.frauds_recent == pytest.approx(1 + math.exp(-1))
    assert (news.fraud_since, news.last_fraud_at) == (NOON, NOON + 10 * DAY_S * 1000)


def test_a_busy_shop_with_one_fraud_is_no_mule(desk):
    desk.see(*(row(SHOP, after_s=i) for i in range(99)))
    assert desk.see(row(SHOP, flags=FRAUD))[SHOP.hex()].fraud_share == pytest.approx(1 / 99.5, rel=1e-3)
    desk.see(row(MULE))
    assert desk.see(row(MULE, flags=FRAUD))[MULE.hex()].fraud_share == pytest.approx(1 / 1.5)


def test_a_verdict_about_what_an_account_paid_makes_it_a_victim_not_a_mule(desk):
    news = desk.see(row(MULE, flags=FRAUD | OUTFLOW))[MULE.hex()]
    assert (news.losses_recent, news.last_loss_at, news.frauds_known, news.risk) == (1, NOON, 0, 0)


def test_a_dormant_account_that_wakes_is_news_from_its_first_payment(desk):
    desk.see(row(MULE))
    news = desk.see(row(MULE, after_s=90 * DAY_S, flags=0))[MULE.hex()]
    assert news.silence_days == pytest.approx(90)
    later = desk.see(*(row(MULE, after_s=(90 + day) * DAY_S) for day in (1, 6)))[MULE.hex()]
    assert later.silence_days == pytest.approx(90)  # its week is not over
    assert desk.see(*(row(MULE, after_s=98 * DAY_S + k) for k in range(3)))[MULE.hex()].silence_days < 3


def test_money_from_accounts_that_just_received_it_is_layered(desk):
    desk.see(row(MULE, rupees=300))
    news = desk.see(row(MULE, rupees=100, flags=FIRST_TIME | LAYERED))[MULE.hex()]
    assert news.layered_share == pytest.approx(0.25)


def test_kinds_are_kept_apart_under_one_token(desk):
    news = desk.see(row(PHONE, kind=2), row(PHONE, kind=2, after_s=1), row(PHONE, kind=1))
    assert [(record.kind, record.users, record.payers) for record in news.values()] == [("device", 2, 0)]


def test_an_entity_that_many_touch_in_one_step_is_said_once(desk):
    news = desk.see(*(row(SHOP, after_s=i) for i in range(100)))
    assert [record.payers for record in news.values()] == [100]
    assert len(desk.outputs.changed[0][0]) == 1


def test_a_redo_changes_and_says_nothing(desk):
    desk.see(row(SHOP), row(SHOP, after_s=1))
    assert desk.see(row(SHOP), row(SHOP, after_s=1), redo_from=0) == {}
    assert desk.outputs.changed == {}
    assert desk.see(row(SHOP, after_s=2), row(SHOP, after_s=3))[SHOP.hex()].payers == 4


@pytest.mark.parametrize("value", [b"", b"\x00rubbish", b"\x01short", None])
def test_what_cannot_be_read_is_left_out_and_the_rest_counts(desk, value):
    good = encode_activity(np.array([row(SHOP), row(SHOP, after_s=1)], dtype=ACTIVITY))
    assert desk.take(value, good)[SHOP.hex()].payers == 2


def test_activity_of_a_newer_build_stops_the_worker_instead_of_being_lost(desk):
    value = encode_activity(np.array([row(SHOP)], dtype=ACTIVITY))
    with pytest.raises(Stop, match="version 2, this build reads up to 1") as stopped:
        desk.take(b"\x02" + value[1:])
    assert "newer build" in stopped.value.hint


def test_partitions_have_their_own_entities(desk):
    desk.see(row(SHOP))
    assert desk.see(row(SHOP), partition=1) == {}


def test_the_state_survives_its_process(desk, tmp_path):
    desk.see(row(SHOP))
    desk.agent.state.close_all()
    again = Desk(tmp_path)
    again.offset = desk.offset
    assert again.see(row(SHOP, after_s=1))[SHOP.hex()].payers == 2
    again.agent.state.close_all()
