"""What must hold for any payments: nothing depends on batches, on company, or on having been stored in between."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.payer_state import PAYER, PAYER_CODEC
from models.record_codec import RecordError
from schemas.errors import NewerVersion
from schemas.transaction import Transaction

START = 1_760_077_800_000
some = st.none()
payments = st.builds(
    Transaction,
    transaction_id=st.sampled_from([f"t{k}" for k in range(12)]),
    event_time=st.integers(START, START + 40 * 86_400_000),
    payer=st.sampled_from(["a@x", "b@x", "c@x"]),
    payee=st.sampled_from([f"q{k}@x" for k in range(30)]),
    amount=st.integers(1, 10**13),
    device_id=some | st.sampled_from([f"d{k}" for k in range(6)]),
    imei=some | st.sampled_from(["1", "2"]),
    sim_id=some | st.sampled_from(["s1", "s2"]),
    os_version=some | st.floats(0, 1000),
    latitude=some | st.floats(-90, 90),
    longitude=some | st.floats(-180, 180),
    typing_interval_ms=some | st.floats(0, 86_400_000),
    session_ms=some | st.floats(0, 86_400_000),
    rooted=some | st.booleans(),
    payee_code=some | st.sampled_from(["0000", "5411"]),
)
histories = st.lists(payments, min_size=1, max_size=60)
relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@relaxed
@given(histories, st.data())
def test_the_size_of_a_batch_never_changes_a_feature(judge, history, data):
    whole = type(judge)().matrix(history)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(history) - 1)), max_size=8)))
    other = type(judge)()
    parts = [
        other.matrix(history[start:stop])
        for start, stop in zip([0, *cuts], [*cuts, len(history)], strict=True)
        if start < stop
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@relaxed
@given(histories)
def test_company_in_a_batch_never_changes_a_feature(judge, history):
    whole = type(judge)().matrix(history)
    for payer in {payment.payer for payment in history}:
        own = [k for k, payment in enumerate(history) if payment.payer == payer]
        alone = type(judge)().matrix([history[k] for k in own])
        assert alone.tobytes() == whole[own].tobytes()


@relaxed
@given(histories)
def test_a_record_that_was_stored_and_loaded_gives_the_same_features(judge, history):
    kept, stored = type(judge)(), type(judge)()
    for payment in history:
        expected = kept.matrix([payment])
        rows = np.arange(len(stored.payers))
        values = PAYER_CODEC.encode(stored.payers.records, rows)
        stored.payers.records[:] = np.ones(1, dtype=PAYER)  # whatever lay there before
        PAYER_CODEC.decode(values, stored.payers.records, rows)
        stored.payers.records[len(rows) :] = np.zeros(1, dtype=PAYER)
        assert stored.matrix([payment]).tobytes() == expected.tobytes()
        assert max(map(len, values), default=0) <= PAYER_CODEC.max_bytes < 2048


@relaxed
@given(st.binary(max_size=2500))
def test_bytes_that_are_no_record_are_refused(value):
    records = np.zeros(1, dtype=PAYER)
    try:
        PAYER_CODEC.decode([value], records, np.array([0]))
    except (RecordError, NewerVersion):
        assert not records.tobytes().strip(b"\0")
    else:
        assert PAYER_CODEC.encode(records, np.array([0])) == [value]
