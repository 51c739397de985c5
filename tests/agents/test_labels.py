"""Verdicts become activity of the entities that they speak about, and of nothing else."""

import numpy as np
import pytest

from agents.labels import Labels
from models.tokens import Tokeniser
from schemas.codec import encode
from schemas.entity_activity import FRAUD, OUTFLOW, decode_activity, partition_of
from schemas.label import Label
from stream.batch import Batch

NOON = 1_760_077_800_000
TOKENISER = Tokeniser(b"k" * 32)


def label(**fields) -> bytes:
    fields = {"transaction_id": "t1", "payer": "asha@bank", "payee": "mule@bank", "is_fraud": True, **fields}
    return encode(Label(event_time=NOON, known_at=NOON + 1, **fields))


def take(*values: bytes | None):
    n = len(values)
    batch = Batch(list(values), [None] * n, np.zeros(n, np.int32), np.arange(n), np.full(n, NOON))
    return Labels(TOKENISER, "entity-activity", 4).compute(batch)


def activity(outputs):
    records = outputs.bulk["entity-activity"]
    for record in records:
        assert set(partition_of(decode_activity(record["value"]), 4).tolist()) == {record["partition"]}
    return [
        (int(r["kind"]), int(r["flags"]), bytes(r["token"]).hex()) for v in records for r in decode_activity(v["value"])
    ]


def test_a_fraud_speaks_against_payee_and_device_and_of_the_payer_as_its_victim():
    found = activity(take(label(device_id="phone")))
    expected = [
        (1, FRAUD, TOKENISER.token("mule@bank")),
        (1, FRAUD | OUTFLOW, TOKENISER.token("asha@bank")),
        (2, FRAUD, TOKENISER.token("phone", "device")),
    ]
    assert sorted(found) == sorted(expected)


def test_without_a_device_only_the_accounts_are_meant():
    found = activity(take(label(), label(payee="other@bank", device_id="phone")))
    assert sorted(kind for kind, _, _ in found) == [1, 1, 1, 1, 2]
    assert "0" * 32 not in [token for _, _, token in found]


def test_an_honest_payment_says_nothing():
    assert activity(take(label(is_fraud=False, device_id="phone"))) == []


@pytest.mark.parametrize("value", [b"", None, b"{", b'{"payee": 1}'])
def test_a_label_that_cannot_be_read_is_left_and_the_rest_counts(value):
    assert len(activity(take(value, label()))) == 2


def test_a_batch_without_frauds_publishes_nothing():
    outputs = take(b"{")
    assert activity(outputs) == []
    assert outputs.changed == {}
