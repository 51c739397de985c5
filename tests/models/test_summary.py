"""What an alert's summary says, by hand for each way of deciding, and what holds of every one."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.catalogue import CATALOGUE, FEATURE_NAMES, position
from models.engine import ID_CONFLICT
from models.policy import ALLOW, BLOCK, DECIDED_BY, ENTITIES, WATCH, Condition, Decider, Policy, PolicyError, Rule
from models.second_opinion import MARKS, SecondOpinion
from models.summary import LISTED, summarise
from schemas.types import MAX_SENTENCE

USUAL = {"amount_rupees": 488.0, "payee_payers": 31.0}
"""What honest payments at large look like."""
MULE = {"payee_mule_flag": 1, "amount_rupees": 52_000, "amount_usual_rupees": 800}
NIGHT = Condition(feature="hour_of_day", at_most=4)
HUGE = 3e38
LEFT_ALONE = {"alert_score": 600, "watch_score": 300, "second_opinion_score": 700}


@pytest.fixture(scope="module")
def manifest(kept_bundle):
    opinion = SecondOpinion(
        trees=1, ruler=tuple(map(float, MARKS)), alert_score=700, false_positive_rate=0.001, parameters={}
    )
    usual = tuple(USUAL.get(feature.name) for feature in CATALOGUE)
    return msgspec.structs.replace(kept_bundle.manifest, second_opinion=opinion, usual=usual)


@pytest.fixture(scope="module")
def summary(manifest):
    """The summary of one payment that is flagged by what is given."""

    def of(score=100, second=0, status=0, features=None, rules=None, **lists) -> str:
        policy = Policy(**LEFT_ALONE) if rules is None else Policy(**LEFT_ALONE, rules=rules)
        return judged(Decider(policy, manifest), manifest.usual, score, second, status, features or {}, lists)[1]

    return of


def judged(decider, usual, score, second, status, features, lists) -> tuple[str, str]:
    """What decided, and the summary."""
    matrix = np.full((1, 85), np.nan, dtype=np.float32)
    for name, value in features.items():
        matrix[0, position(name)] = value
    hits = np.array([[lists.get(entity, 0) for entity in ENTITIES]], dtype=np.uint8)
    columns: dict[str, Any] = {
        "score": np.array([score], np.int16),
        "features": matrix,
        "status": np.array([status], np.uint8),
        "hits": hits,
        "second": np.array([second], np.int16),
    }
    decisions = decider.decide(**columns)
    assert decisions.flagged[0], "only flagged payments have a summary"
    said = summarise(decider, decisions, 0, score=score, second=second, features=matrix[0], usual=usual)
    return DECIDED_BY[decisions.decided_by[0]], said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"score": 900}, "The model's score is 900 of 1000, at or above the threshold 600"),
        (
            {"second": 800},
            "The payment is unlike honest ones: the second opinion's score is 800 of 1000,"
            " at or above the threshold 700",
        ),
        ({"payer": BLOCK}, "The customer's account is on the block list"),
        ({"payee": BLOCK}, "The payee's account is on the block list"),
        ({"device": BLOCK, "score": 900}, "The device is on the block list"),
        ({"sim": BLOCK, "payee": ALLOW}, "The SIM is on the block list"),
        (
            {"payee": WATCH, "score": 400},
            "The payee's account is on the watch list, which lowers the threshold:"
            " the model's score is 400 of 1000, at or above the threshold 300",
        ),
        (
            {"features": {"mobile_revoked": 1}},
            "The rule “mobile revoked” holds: the customer's mobile number has been revoked",
        ),
        (
            {"features": MULE},
            "The rule “mule registry” holds: the payee is registered as a suspected mule account;"
            " ₹52,000 is paid (this customer usually: ₹800)",
        ),
        (
            {"features": MULE | {"amount_usual_rupees": np.nan}},
            "The rule “mule registry” holds: the payee is registered as a suspected mule account;"
            " ₹52,000 is paid (this customer usually: ₹488)",
        ),
        (
            {"status": ID_CONFLICT, "payee": ALLOW},
            "The rule “id conflict” holds: this transaction id was used before, for another payment of this customer",
        ),
    ],
)
def test_a_summary_says_what_decided_and_on_what_grounds(summary, given, said):
    assert summary(**given) == said


def test_a_policys_own_words_go_first(summary):
    rule = Rule(name="night_mule", when=(NIGHT,), status="id_conflict", say="Hold it and call the customer.")
    assert summary(rules=(rule,), status=ID_CONFLICT, features={"hour_of_day": 3}) == (
        "Hold it and call the customer: this transaction id was used before, for another payment of this customer;"
        " paid in hour 3 of the day (usual: not known)"
    )


def test_an_abbreviation_stays_as_it_is_within_the_sentence(summary):
    apart = Rule(name="far", when=(Condition(feature="gps_cell_km", at_least=50),))
    said = summary(rules=(apart,), features={"gps_cell_km": 120})
    assert said == "The rule “far” holds: GPS and cell tower are 120 km apart (usual: not known)"


def test_what_two_conditions_say_alike_is_said_once(summary):
    never_paid = Condition(feature="payee_first", at_least=1), Condition(feature="payee_age_days", at_most=0)
    between = Condition(feature="hour_of_day", at_least=1), NIGHT
    rule = Rule(name="stranger", when=(*never_paid, *between))
    said = summary(rules=(rule,), features={"payee_first": 1, "payee_age_days": 0, "hour_of_day": 3})
    assert said == (
        "The rule “stranger” holds: the customer never paid this payee before;"
        " paid in hour 3 of the day (usual: not known)"
    )


def test_grounds_beyond_the_limit_are_counted(summary):
    known = [feature.name for feature in CATALOGUE if feature.unit == "km"] + ["amount_rupees"] * 2
    known += [name for name in FEATURE_NAMES if name.startswith("payee_")]
    rule = Rule(name="all", when=tuple(Condition(feature=name, at_least=0) for name in known), say="x" * 200)
    said = summary(rules=(rule,), features=dict.fromkeys(known, 1))
    grounds, _, more = said.partition(": ")[2].rpartition("; ")
    assert 400 < len(said) <= MAX_SENTENCE
    shown = len(grounds.split("; "))
    assert more == f"and {len(set(known)) - shown} more"


@pytest.mark.parametrize("value", [0, 1, -HUGE, HUGE, np.inf])
@pytest.mark.parametrize("feature", FEATURE_NAMES)
def test_the_longest_words_leave_room_for_any_ground(summary, feature, value):
    when = (Condition(feature=feature, at_least=-HUGE), *(Condition(feature=name, at_least=-HUGE) for name in MULE))
    rule = Rule(name="long", when=when, say="x" * 200)
    assert len(summary(rules=(rule,), features=dict.fromkeys(FEATURE_NAMES, HUGE) | {feature: value})) <= MAX_SENTENCE


@pytest.mark.parametrize("say", ["", " ", ".", "two\nlines", "an end\n", "\x1b[2J", "x" * 201])
def test_words_that_are_no_line_of_text_are_refused(tmp_path, say):
    file = tmp_path / "policy.toml"
    file.write_bytes(b'[[rules]]\nname = "x"\nstatus = "id_conflict"\nsay = ' + msgspec.json.encode(say))
    with pytest.raises(PolicyError, match="say"):
        Policy.load(file)


@pytest.mark.parametrize("say", ["Hold it", "₹2,000 or more to a mule", "ग्राहक को फ़ोन करें", "x" * 200])
def test_words_of_any_language_are_taken(tmp_path, say):
    file = tmp_path / "policy.toml"
    file.write_bytes(b'[[rules]]\nname = "x"\nstatus = "id_conflict"\nsay = ' + msgspec.json.encode(say))
    assert Policy.load(file).rules[0].say == say


def test_the_version_of_a_policy_without_words_is_what_it_was_before_there_were_any():
    assert Policy().version == "344917adfa38d5c9"
    night = Rule(name="night", when=(NIGHT,))
    assert Policy(alert_score=640, watch_score=560, rules=(night,)).version == "b5a9eabbe602b0d3"
    spoken = msgspec.structs.replace(night, say="Paid at night")
    assert Policy(alert_score=640, watch_score=560, rules=(spoken,)).version != "b5a9eabbe602b0d3"


words = st.text(min_size=1, max_size=200)
float32 = st.floats(width=32, allow_nan=False)
conditions = st.builds(Condition, feature=st.sampled_from(FEATURE_NAMES), at_least=st.just(-HUGE))


@st.composite
def policies(draw):
    """A policy whose first rule holds of any payment, where it is asked."""
    when = draw(st.lists(conditions, max_size=40).map(tuple))
    status = None if when and draw(st.booleans()) else "id_conflict"
    raw = {"name": draw(st.from_regex(r"\A[a-z][a-z0-9_]{0,63}\Z")), "when": when, "status": status}
    say = draw(st.none() | words)
    try:
        rule = msgspec.convert(msgspec.to_builtins(raw) | {"say": say}, Rule)
    except msgspec.ValidationError:  # no line of text
        rule = Rule(**raw)
    return Policy(**LEFT_ALONE, rules=(rule,))


@given(
    policy=policies(),
    values=st.lists(float32, min_size=85, max_size=85),
    status=st.sampled_from([0, ID_CONFLICT]),
    lists=st.dictionaries(st.sampled_from(ENTITIES), st.sampled_from([BLOCK, WATCH])),
    second=st.integers(0, 1000),
    score=st.integers(300, 1000),
)
def test_whatever_decides_says_so_in_one_line_within_the_limit(manifest, policy, values, status, lists, second, score):
    decider = Decider(policy, manifest)
    columns = (
        np.array([score], np.int16),
        np.array([values], np.float32),
        np.array([status], np.uint8),
        np.array([[lists.get(entity, 0) for entity in ENTITIES]], np.uint8),
        np.array([second], np.int16),
    )
    decisions = decider.decide(*columns)
    assume(decisions.flagged[0])
    by = DECIDED_BY[decisions.decided_by[0]]
    said = summarise(decider, decisions, 0, score=score, second=second, features=columns[1][0], usual=manifest.usual)
    (rule,) = policy.rules
    leads = {
        "model": ("The model's score",),
        "second_opinion": ("The payment is unlike honest ones: ",),
        "list": tuple(LISTED.values()),
        "rule": ("The rule “",) if rule.say is None else (rule.say.rstrip(" .:;"),),
    }
    assert said.startswith(leads[by])
    assert 1 <= len(said) <= MAX_SENTENCE
    assert said.splitlines() == [said]
