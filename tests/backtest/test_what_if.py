"""What-if: kept scores decided again are what the engine would have decided, under whatever lists, rules, budgets."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from backtest.compare import CompareSettings, compare
from backtest.compare.compare import own_figures
from backtest.listed import Listed, ListedError, Lists, half_of, read_lists
from backtest.result import FEATURES, RUN, Result, ResultError
from backtest.what_if import Changes, what_if
from kit.backtested import TOKENISER, judged
from models.bundle import Bundle
from models.policy import Condition, Policy, Rule
from schemas.entity_list import ListEntry

DEAR = Rule(name="dear", when=(Condition(feature="amount_rupees", at_least=5_000),))


@pytest.fixture
def decide(replayed, tmp_path):
    """`decide(Changes(…))`: the scores as they are then."""

    def again(changes: Changes, result: Result = replayed, name: str = "again") -> Result:
        return what_if(result, changes, tmp_path / name, command="fraudstream what-if", created_at=1)

    return again


@pytest.fixture
def without_features(replayed, tmp_path) -> Result:
    copy = tmp_path / "copy"
    shutil.copytree(replayed.directory, copy, ignore=shutil.ignore_patterns(FEATURES))
    return Result.open(copy)


def columns(result: Result) -> pl.DataFrame:
    return result.scores().collect()


def test_nothing_changed_is_the_same_row_by_row(replayed, decide):
    again = decide(Changes())
    assert columns(again).equals(columns(replayed))
    assert again.run.judges == replayed.run.judges
    assert again.run.parent == str(replayed.directory)
    assert again.features().collect().equals(replayed.features().collect())


def test_a_policy_decides_as_it_would_have_in_the_replay(replayed, decide):
    policy = Policy(alert_score=520, second_opinion_score=800, rules=(DEAR,))
    again = columns(decide(Changes(policy=policy)))
    features = replayed.features().collect().to_numpy()
    for judge in replayed.judges:
        _, said = judged(Bundle.load(Path(judge.bundle)), features, again["status"].to_numpy(), policy)
        expected = again.with_columns(**said)
        for name in ("flagged", "decided_by", "rule"):
            assert again[judge.column(name)].equals(expected[judge.column(name)]), name
    assert (again["rule"] == "dear").any()


def test_a_threshold_can_be_one_models_alone(replayed, decide):
    again = decide(Changes(alert_scores={"new": 700}))
    champion, new = again.run.judges
    assert (champion.threshold, new.threshold) == (replayed.run.judges[0].threshold, 700)
    figures = own_figures(again, CompareSettings())
    assert figures["champion"] == own_figures(replayed, CompareSettings())["champion"]
    with pytest.raises(ResultError, match="no model other"):
        decide(Changes(alert_scores={"other": 1}), name="more")


@pytest.mark.parametrize("alerts_per_day", [3, 8, 30])
def test_a_budget_is_kept_by_the_lowest_threshold_that_keeps_it(decide, compared, alerts_per_day):
    again = decide(Changes(alerts_per_day=alerts_per_day))
    for name, figures in own_figures(again, CompareSettings()).items():
        sweep = compared.judges[name].sweep.alerts_per_day
        assert figures.alerts_per_day <= alerts_per_day < sweep[figures.threshold - 1]
        assert figures.alerts_per_day == sweep[figures.threshold]


def test_a_budget_that_rules_alone_exceed_is_an_error(decide):
    with pytest.raises(ResultError, match="cannot make so few"):
        decide(Changes(policy=Policy(rules=(DEAR,)), alerts_per_day=0.01))


def test_lists_decide_by_entity_until_they_expire(replayed, decide):
    before = columns(replayed)
    flagged = before.filter("flagged").row(0, named=True)
    honest = before.filter(~pl.col("flagged") & ~pl.col("flagged_new") & (pl.col("device") > 0)).row(5, named=True)
    lists = Lists(
        (
            Listed(list="allow", kind="account", token=token_of(flagged["payee"])),
            Listed(list="block", kind="device", token=token_of(honest["device"]), expires_at=honest["event_time"] + 1),
        )
    )
    again = columns(decide(Changes(lists=lists)))
    allowed = again.filter(pl.col("payee") == flagged["payee"])
    assert not allowed.filter(pl.col("rule") != "block:device")["flagged"].any()
    assert "allow:payee" in allowed["rule"].to_list()
    blocked = again.filter(pl.col("device") == honest["device"])
    until = blocked["event_time"] <= honest["event_time"]
    assert blocked.filter(until)["flagged"].all()
    assert set(blocked.filter(until)["rule"]) == {"block:device"}
    assert "block:device" not in blocked.filter(~until)["rule"].to_list()
    others = (pl.col("payee") != flagged["payee"]) & (pl.col("payer") != flagged["payee"])
    others &= pl.col("device") != honest["device"]
    assert again.filter(others).equals(before.filter(others))


def test_lists_stay_for_the_next_what_if_until_others_are_given(replayed, decide):
    payee = columns(replayed)["payee"][0]
    first = decide(Changes(lists=Lists((Listed(list="block", kind="account", token=token_of(payee)),))), name="first")
    second = decide(Changes(), result=first, name="second")
    assert columns(second).equals(columns(first))
    third = decide(Changes(lists=Lists(())), result=second, name="third")
    assert columns(third).equals(columns(replayed))


def token_of(half: int) -> str:
    return int(half).to_bytes(8, "little").hex() + "0" * 16


def test_thresholds_need_no_features(replayed, decide, without_features):
    changes = Changes(alert_scores={"champion": 700, "new": 700})
    with_them, without = decide(changes, name="with"), decide(changes, without_features, "without")
    assert columns(without).equals(columns(with_them))
    assert any("Features were not kept" in note for note in without.run.notes)


def test_a_new_rule_needs_the_features(decide, without_features):
    with pytest.raises(ResultError, match="the rule dear looks at features") as raised:
        decide(Changes(policy=Policy(rules=(DEAR,))), without_features)
    assert "--keep-features" in raised.value.hint


def test_a_rule_of_the_runs_own_can_go_without_features(replayed, decide, without_features):
    assert (columns(without_features)["rule"] == "mule_registry").any()
    fewer = tuple(rule for rule in Policy().rules if rule.name != "mule_registry")
    with_them = decide(Changes(policy=Policy(rules=fewer)), name="with")
    without = decide(Changes(policy=Policy(rules=fewer)), without_features, "without")
    assert columns(without).equals(columns(with_them))
    assert not (columns(without)["rule"] == "mule_registry").any()


def test_what_it_leaves_is_compared_like_any_result(replayed, decide, compared):
    again = decide(Changes(alerts_per_day=5))
    comparison = compare(again, CompareSettings(draws=10))
    assert comparison.frauds == compared.frauds
    assert comparison.judges["new"].own.alerts_per_day <= 5
    shown = [p for sort in comparison.contests["new"].examples for p in sort.payments if p.decided_by]
    assert all(payment.reasons[name] for payment in shown for name in payment.decided_by)


def test_a_directory_that_holds_a_backtest_is_left_alone(replayed, decide):
    decide(Changes())
    with pytest.raises(ResultError, match="holds a backtest already"):
        decide(Changes())
    with pytest.raises(ResultError, match="holds a backtest already"):
        what_if(replayed, Changes(), replayed.directory, command="", created_at=1)


def test_what_an_interrupted_backtest_left_is_left_alone_and_what_a_what_if_left_is_not(replayed, decide, tmp_path):
    (tmp_path / "interrupted" / FEATURES).mkdir(parents=True)
    with pytest.raises(ResultError, match="holds a backtest already"):
        decide(Changes(), name="interrupted")
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / FEATURES).symlink_to(tmp_path / "interrupted" / FEATURES)
    again = decide(Changes(), name="stopped")
    assert again.features().collect().equals(replayed.features().collect())


def test_another_model_in_the_bundles_place_is_refused(replayed, decide):
    judges = tuple(msgspec.structs.replace(judge, sha256="0" * 64) for judge in replayed.judges)
    with pytest.raises(ResultError, match="another model"):
        decide(Changes(), Result(replayed.directory, msgspec.structs.replace(replayed.run, judges=judges)))


def test_a_run_that_did_not_keep_its_policy_needs_it_unless_it_was_the_default(replayed, decide, tmp_path):
    run = msgspec.structs.replace(replayed.run, policy=None)
    decide(Changes(), Result(replayed.directory, run))
    run = msgspec.structs.replace(run, policy_version="0123456789abcdef")
    with pytest.raises(ResultError, match="did not keep its policy") as raised:
        decide(Changes(), Result(replayed.directory, run), "unknown")
    assert "--policy" in raised.value.hint
    assert not (tmp_path / "unknown" / RUN).exists()


def test_lists_are_read_as_the_lists_command_prints_them_or_with_identifiers(tmp_path):
    path = tmp_path / "lists.jsonl"
    token = TOKENISER.token("asha@bank")
    printed = ListEntry(
        list="watch", kind="account", token=token, reason="seen", added_at=1, added_by="me", expires_at=9
    )
    path.write_bytes(msgspec.json.encode(printed) + b'\n\n{"list": "block", "kind": "sim", "value": "s1"}\n')
    lists = read_lists(path, lambda: TOKENISER)
    assert lists.entries[0] == Listed(list="watch", kind="account", token=token, expires_at=9)
    payment = {"payer": half_of(token), "payee": 5, "device": 0, "sim": half_of(TOKENISER.token("s1", "sim"))}
    frame = pl.DataFrame({name: np.array([half, half], np.uint64) for name, half in payment.items()})
    hits = lists.hits(frame.with_columns(event_time=pl.Series([8, 9])))
    assert hits.tolist() == [[4, 0, 0, 1], [0, 0, 0, 1]]
    lists.write(tmp_path / "kept.jsonl")
    assert read_lists(tmp_path / "kept.jsonl", pytest.fail) == lists
    assert b"s1" not in (tmp_path / "kept.jsonl").read_bytes()


@pytest.mark.parametrize(
    "line", [b"{", b'{"list": "block", "kind": "sim"}', b'{"list": "grey", "kind": "sim", "value": "x"}', b"\xff"]
)
def test_a_line_that_is_no_entry_is_named(tmp_path, line):
    path = tmp_path / "lists.jsonl"
    path.write_bytes(b'{"list": "block", "kind": "sim", "value": "x"}\n' + line)
    with pytest.raises(ListedError, match="line 2"):
        read_lists(path, lambda: TOKENISER)
    with pytest.raises(ListedError, match="cannot be read"):
        read_lists(tmp_path / "none", lambda: TOKENISER)
