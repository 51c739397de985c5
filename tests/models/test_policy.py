"""The policy: who has the last word, for every pair that can disagree."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalogue import FEATURE_NAMES, position
from models.engine import DUPLICATE, ID_CONFLICT, LATE, REDO
from models.policy import (
    ALLOW,
    BLOCK,
    DECIDED_BY,
    ENTITIES,
    WATCH,
    Condition,
    Decider,
    Policy,
    PolicyError,
    Rule,
)
from models.second_opinion import MARKS, SecondOpinion

ALERT, ELEVATED = 600, 300
HONEST, ODD, FRAUD = 100, 400, 900
"""Scores below the watch threshold, between the two, and above the alert threshold."""
UNUSUAL = 700
"""The second opinion's threshold."""


@pytest.fixture(scope="module")
def manifest(kept_bundle):
    low, elevated, high, critical = kept_bundle.manifest.bands
    bands = (
        low,
        msgspec.structs.replace(elevated, from_score=ELEVATED),
        msgspec.structs.replace(high, from_score=ALERT),
        msgspec.structs.replace(critical, from_score=800),
    )
    second = SecondOpinion(
        trees=1, ruler=tuple(map(float, MARKS)), alert_score=UNUSUAL, false_positive_rate=0.001, parameters={}
    )
    return msgspec.structs.replace(kept_bundle.manifest, alert_score=ALERT, bands=bands, second_opinion=second)


@pytest.fixture(scope="module")
def decide(manifest):
    """One payment's decision as (flagged, decided by, rule, threshold)."""

    def apply(score=HONEST, status=0, policy=None, features=None, second=0, **lists):
        decider = Decider(policy or Policy(), manifest)
        matrix = np.full((1, 85), np.nan, dtype=np.float32)
        for name, value in (features or {}).items():
            matrix[0, position(name)] = value
        hits = np.array([[lists.get(entity, 0) for entity in ENTITIES]], dtype=np.uint8)
        scores, seconds = np.array([score], dtype=np.int16), np.array([second], dtype=np.int16)
        made = decider.decide(scores, matrix, np.array([status], dtype=np.uint8), hits, seconds)
        return (
            bool(made.flagged[0]),
            DECIDED_BY[made.decided_by[0]],
            decider.rule_names[made.rule[0]],
            int(made.threshold[0]),
        )

    return apply


REVOKED = {"mobile_revoked": 1}
MULE = {"payee_mule_flag": 1, "amount_rupees": 5000}


@pytest.mark.parametrize(
    ("given", "flagged", "by", "rule"),
    [
        # the model alone
        ({"score": HONEST}, False, "model", None),
        ({"score": ODD}, False, "model", None),
        ({"score": ALERT - 1}, False, "model", None),
        ({"score": ALERT}, True, "model", None),
        ({"score": FRAUD, "status": LATE}, True, "model", None),
        # watch lowers the threshold, and decides only what the model would not have flagged
        ({"score": HONEST, "payee": WATCH}, False, "model", None),
        ({"score": ODD, "payee": WATCH}, True, "list", "watch:payee"),
        ({"score": FRAUD, "payee": WATCH}, True, "model", None),
        # rules before model and watch
        ({"score": HONEST, "features": REVOKED}, True, "rule", "mobile_revoked"),
        ({"score": FRAUD, "features": REVOKED}, True, "rule", "mobile_revoked"),
        ({"score": ODD, "features": REVOKED, "payer": WATCH}, True, "rule", "mobile_revoked"),
        ({"features": MULE}, True, "rule", "mule_registry"),
        ({"features": {**MULE, "amount_rupees": 1999}}, False, "model", None),
        ({"features": {**MULE, **REVOKED}}, True, "rule", "mobile_revoked"),
        # allow before rules, model and watch
        ({"score": FRAUD, "payee": ALLOW}, False, "list", "allow:payee"),
        ({"features": REVOKED, "payer": ALLOW}, False, "list", "allow:payer"),
        ({"score": ODD, "payer": WATCH, "payee": ALLOW}, False, "list", "allow:payee"),
        # firm rules before allow
        ({"status": ID_CONFLICT}, True, "rule", "id_conflict"),
        ({"status": ID_CONFLICT, "payee": ALLOW}, True, "rule", "id_conflict"),
        ({"status": ID_CONFLICT, "features": REVOKED}, True, "rule", "id_conflict"),
        # block before everything
        ({"device": BLOCK}, True, "list", "block:device"),
        ({"score": FRAUD, "sim": BLOCK}, True, "list", "block:sim"),
        ({"payer": ALLOW, "payee": BLOCK}, True, "list", "block:payee"),
        ({"payee": ALLOW | BLOCK | WATCH}, True, "list", "block:payee"),
        ({"status": ID_CONFLICT, "payee": BLOCK}, True, "list", "block:payee"),
        ({"payer": BLOCK, "sim": BLOCK}, True, "list", "block:payer"),
        # the second opinion after everything else
        ({"second": UNUSUAL - 1}, False, "model", None),
        ({"second": UNUSUAL}, True, "second_opinion", None),
        ({"score": FRAUD, "second": UNUSUAL}, True, "model", None),
        ({"score": ODD, "second": UNUSUAL, "payee": WATCH}, True, "list", "watch:payee"),
        ({"score": HONEST, "second": UNUSUAL, "payee": WATCH}, True, "second_opinion", None),
        ({"second": UNUSUAL, "features": REVOKED}, True, "rule", "mobile_revoked"),
        ({"second": UNUSUAL, "payee": ALLOW}, False, "list", "allow:payee"),
        ({"second": UNUSUAL, "status": ID_CONFLICT}, True, "rule", "id_conflict"),
        ({"second": UNUSUAL, "payee": BLOCK}, True, "list", "block:payee"),
        ({"second": UNUSUAL, "status": DUPLICATE}, False, "second_opinion", None),
        # neither a duplicate nor what the state holds already is flagged again
        ({"score": FRAUD, "status": DUPLICATE}, False, "model", None),
        ({"payee": BLOCK, "status": DUPLICATE}, False, "list", "block:payee"),
        ({"score": FRAUD, "status": REDO}, False, "model", None),
    ],
)
def test_the_first_line_of_the_precedence_that_holds_decides(decide, given, flagged, by, rule):
    assert decide(**given)[:3] == (flagged, by, rule)


def test_the_threshold_that_applied_is_told(decide):
    assert decide(payer=WATCH)[3] == ELEVATED
    assert decide(payer=BLOCK)[3] == ALERT
    assert decide(policy=Policy(alert_score=700, watch_score=650), device=WATCH)[3] == 650


def test_a_policy_moves_the_second_opinions_threshold_or_silences_it(decide):
    assert decide(second=400, policy=Policy(second_opinion_score=400))[:2] == (True, "second_opinion")
    assert decide(second=UNUSUAL, policy=Policy(second_opinion_score=800))[:2] == (False, "model")
    assert decide(second=1000, policy=Policy(second_opinion=False))[:2] == (False, "model")


def test_without_a_second_opinion_in_the_bundle_nothing_is_decided_by_one(manifest):
    alone = msgspec.structs.replace(manifest, second_opinion=None)
    decider = Decider(Policy(second_opinion_score=0), alone)
    assert decider.second_score is None
    score, status = np.array([0], dtype=np.int16), np.zeros(1, dtype=np.uint8)
    features = np.full((1, 85), np.nan, dtype=np.float32)
    for second in (None, np.array([1000], dtype=np.int16)):
        made = decider.decide(score, features, status, second=second)
        assert (bool(made.flagged[0]), DECIDED_BY[made.decided_by[0]]) == (False, "model")


def test_watching_never_raises_a_threshold(decide):
    assert decide(score=250, policy=Policy(alert_score=200), payer=WATCH) == (True, "model", None, 200)


def test_a_condition_on_an_unknown_value_does_not_hold(decide):
    for condition in (Condition(feature="speed_kmh", at_least=-1e30), Condition(feature="speed_kmh", at_most=1e30)):
        policy = Policy(rules=(Rule(name="fast", when=(condition,)),))
        assert decide(policy=policy)[0] is False
        assert decide(policy=policy, features={"speed_kmh": 0})[2] == "fast"


def test_bounds_of_a_condition_are_included(decide):
    between = Condition(feature="hour_of_day", at_least=2, at_most=4)
    policy = Policy(rules=(Rule(name="night", when=(between,)),))
    held = [decide(policy=policy, features={"hour_of_day": hour})[0] for hour in range(6)]
    assert held == [False, False, True, True, True, False]


batches = st.lists(
    st.tuples(
        st.integers(0, 1000),
        st.integers(0, 255),
        st.lists(st.integers(0, 7), min_size=4, max_size=4),
        st.booleans(),
        st.integers(0, 1000),
    ),
    min_size=1,
    max_size=40,
)


@given(batch=batches)
def test_a_payment_in_a_batch_is_decided_as_alone(manifest, batch):
    decider = Decider(Policy(), manifest)
    score = np.array([row[0] for row in batch], dtype=np.int16)
    status = np.array([row[1] for row in batch], dtype=np.uint8)
    hits = np.array([row[2] for row in batch], dtype=np.uint8)
    features = np.full((len(batch), 85), np.nan, dtype=np.float32)
    features[:, position("mobile_revoked")] = [row[3] for row in batch]
    second = np.array([row[4] for row in batch], dtype=np.int16)
    made = decider.decide(score, features, status, hits, second)
    for i in range(len(batch)):
        row = slice(i, i + 1)
        alone = decider.decide(score[row], features[row], status[row], hits[row], second[row])
        for name in ("flagged", "decided_by", "rule", "threshold"):
            assert getattr(made, name)[i] == getattr(alone, name)[0]


def test_no_hits_are_the_same_as_none(manifest):
    decider, score = Decider(Policy(), manifest), np.array([0, 700], dtype=np.int16)
    features, status = np.full((2, 85), np.nan, dtype=np.float32), np.zeros(2, dtype=np.uint8)
    without = decider.decide(score, features, status)
    empty = decider.decide(score, features, status, np.zeros((2, 4), dtype=np.uint8))
    assert without.flagged.tolist() == empty.flagged.tolist() == [False, True]


def test_the_version_is_that_of_the_content(tmp_path):
    assert Policy().version == Policy().version
    assert Policy(alert_score=600).version != Policy(alert_score=601).version
    (tmp_path / "policy.toml").write_text("alert_score = 600  # a comment is no content\n")
    assert Policy.load(tmp_path / "policy.toml").version == Policy(alert_score=600).version
    assert len(Policy().version) == 16


def test_a_policy_is_read_from_toml(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(
        """
        alert_score = 640
        watch_score = 560
        [[rules]]
        name = "mule_registry"
        when = [{feature = "payee_mule_flag", at_least = 1}, {feature = "amount_rupees", at_least = 2000}]
        [[rules]]
        name = "reused_id"
        status = "id_conflict"
        firm = true
        """
    )
    policy = Policy.load(file)
    assert (policy.alert_score, policy.watch_score) == (640, 560)
    assert [rule.name for rule in policy.rules] == ["mule_registry", "reused_id"]
    assert policy.rules[1].firm


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alert_score = 1001", "alert_score"),
        ("alert_score = ", "not valid"),
        ("alertscore = 1", "alertscore"),
        ("\udcff", "not valid"),
        ('[[rules]]\nname = "x"\nwhen = [{feature = "mood", at_least = 1}]', "no feature 'mood'"),
        ('[[rules]]\nname = "x"\nwhen = [{feature = "rooted"}]', "neither at_least nor at_most"),
        ('[[rules]]\nname = "x"', "no condition"),
        ('[[rules]]\nname = "X y"\nstatus = "id_conflict"', "name"),
        ('[[rules]]\nname = "x"\nstatus = "id_conflict"\n' * 2, "same name"),
    ],
)
def test_a_policy_that_is_not_valid_is_refused_with_the_place(tmp_path, text, message):
    file = tmp_path / "policy.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(PolicyError, match=message) as raised:
        Policy.load(file)
    assert raised.value.hint


def test_a_policy_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PolicyError, match=r"gone\.toml cannot be read"):
        Policy.load(tmp_path / "gone.toml")


def test_every_default_rule_reads_features_of_the_catalogue():
    named = {condition.feature for rule in Policy().rules for condition in rule.when}
    assert named <= set(FEATURE_NAMES)
