"""`fraudstream what-if` on a backtest of simulated payments."""

import json
import shlex
import shutil

import msgspec
import pytest

from backtest.compare.comparison import Comparison
from backtest.result import Result
from fraudstream.backtesting import OWN_KEY
from kit.backtested import TOKENISER, simulated


@pytest.fixture(scope="module")
def replayed(tmp_path_factory) -> Result:
    return simulated(tmp_path_factory.mktemp("replayed"))


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_text(f"1:{TOKENISER.key.hex()}\n")
    path.chmod(0o600)
    return path


def test_a_budget_is_kept_and_shown_before_and_after(run_cli, replayed, tmp_path):
    budget = ("--alerts-per-day", "5", "--analysts", "1", "--alerts-per-analyst", "5", "--label-delay", "2d")
    given = ("what-if", str(replayed.directory), "--out", str(tmp_path / "again"), *budget)
    done = run_cli(*given)
    assert done.code == 0, done.err
    assert "before" in done.out
    assert "after" in done.out
    assert "report.html" in done.out
    metrics = msgspec.json.decode((tmp_path / "again" / "metrics.json").read_bytes(), type=Comparison)
    assert all(judge.own.alerts_per_day <= 5 for judge in metrics.judges.values())
    assert (metrics.settings.capacity, metrics.label_delay.delay_ms) == (5, 2 * 86_400_000)
    again = Result.open(tmp_path / "again")
    assert again.run.parent == str(replayed.directory)
    assert again.run.command == f"{replayed.run.command} && {shlex.join(['fraudstream', *given])}"


def test_listed_identifiers_are_looked_up_by_their_tokens(run_cli, replayed, tmp_path, key):
    honest = replayed.scores().filter(flagged=False, is_fraud=False).select("transaction_id").head(1).collect().item()
    [payee] = [
        payment["payee"]
        for payment in payments_of(replayed)
        if payment["transaction_id"] == honest
    ]  # fmt: skip
    lists = tmp_path / "lists.jsonl"
    lists.write_text(json.dumps({"list": "block", "kind": "account", "value": payee}))
    options = ("--lists", str(lists), "--token-key-file", str(key))
    done = run_cli("what-if", str(replayed.directory), "--out", str(tmp_path / "again"), *options)
    assert done.code == 0, done.err
    row = Result.open(tmp_path / "again").scores().filter(transaction_id=honest).collect()
    assert (row["flagged"][0], row["rule"][0]) == (True, "block:payee")
    shutil.copytree(replayed.directory, tmp_path / "own")
    shutil.copy(key, tmp_path / "own" / OWN_KEY)
    for before, name in (("own", "first"), ("first", "second"), ("second", "third")):
        done = run_cli("what-if", str(tmp_path / before), "--out", str(tmp_path / name), "--lists", str(lists))
        assert done.code == 0, done.err
    assert Result.open(tmp_path / "third").scores().filter(transaction_id=honest).collect().equals(row)
    without = run_cli("what-if", str(replayed.directory), "--out", str(tmp_path / "more"), "--lists", str(lists))
    assert (without.code, "no token key" in without.err) == (1, True)


def payments_of(replayed: Result) -> list[dict]:
    from schemas.history import scan_transactions

    return (
        scan_transactions(replayed.directory.parent / "history").select("transaction_id", "payee").collect().to_dicts()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--alert-score", "1001"), "no score"),
        (("--alert-score", "other=5"), "no model other"),
        (("--time-zone", "Mars/Olympus"), "no time zone"),
        (("--label-delay", "soon"), "not a span of time"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(run_cli, replayed, tmp_path, options, message):
    done = run_cli("what-if", str(replayed.directory), "--out", str(tmp_path / "again"), *options)
    assert (done.code, "what to do" in done.err) == (1, True)
    assert message in done.err
    assert not (tmp_path / "again").exists()


def test_a_directory_without_a_backtest_is_an_error(run_cli, tmp_path):
    done = run_cli("what-if", str(tmp_path), "--out", str(tmp_path / "again"))
    assert (done.code, "no finished backtest" in done.err) == (1, True)
