"""`fraudstream backtest` as its users meet it: results, interruptions, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from backtest.checkpoint import FILE
from backtest.result import METRICS, REPORT, SCORES, Result


def rows(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / SCORES)


@pytest.fixture(scope="module")
def whole(world, candidate, tmp_path_factory) -> Path:
    """A finished backtest; tests must not change it."""
    out = tmp_path_factory.mktemp("whole") / "out"
    given = [*asked(world, candidate), "--out", str(out)]
    subprocess.run([sys.executable, "-m", "fraudstream", "backtest", *given], check=True, capture_output=True)
    return out


def asked(world, candidate) -> list[str]:
    models = ["--model", str(world.bundle), "--candidate", str(candidate)]
    return [*models, "--data", str(world.history), "--token-key-file", str(world.key)]


def test_it_leaves_scores_metrics_and_a_page(world, whole):
    result = Result.open(whole)
    assert result.run.payments == world.payments.height == rows(whole).height
    champion, candidate = result.judges
    assert champion.column("score") == "score"
    assert candidate.column("score") in rows(whole).columns
    metrics = json.loads((whole / METRICS).read_bytes())
    flagged = rows(whole).filter(pl.col("flagged") & pl.col("is_fraud"))
    assert metrics["judges"][champion.name]["own"]["caught"] == flagged.height > 0
    assert "<h1" in (whole / REPORT).read_text()
    assert not (whole / FILE).exists()
    assert not (whole / "parts").exists()


def test_a_label_delay_takes_verdicts_as_known_later(world, candidate, command, whole, tmp_path):
    done = command("backtest", *asked(world, candidate), "--label-delay", "20d", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    late, soon = rows(tmp_path), rows(whole)
    assert (late["known_at"] - late["event_time"]).drop_nulls().unique().to_list() == [20 * 86_400_000]
    assert late["transaction_id"].equals(soon["transaction_id"])
    assert (late["probability"] != soon["probability"]).any()
    assert json.loads((tmp_path / "run.json").read_bytes())["label_delay_ms"] == 20 * 86_400_000


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(world, candidate, command, whole, tmp_path):
    out = tmp_path / "out"
    given = [*asked(world, candidate), "--out", str(out)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FRAUDSTREAM_")}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("slow_backtest.py")), *given],
        stderr=subprocess.PIPE, text=True, env=clean,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list((out / "parts").glob("*.parquet")):
        assert process.poll() is None, process.stderr
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    assert (out / FILE).exists()
    assert not (out / SCORES).exists()

    another = command("backtest", *given, "--label-delay", "20d")
    assert another.returncode == 1
    assert "interrupted backtest of something else" in another.stderr
    done = command("backtest", *given)
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stderr
    in_order = [frame.sort("offset") for frame in (rows(out), rows(whole))]
    assert in_order[0].equals(in_order[1])
    assert json.loads((out / METRICS).read_bytes())["payments"] == world.payments.height


def test_a_finished_backtest_is_not_replaced_unasked(world, candidate, command, whole, tmp_path):
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    refused = command("backtest", *asked(world, candidate), "--out", out)
    assert refused.returncode == 1
    assert "holds a backtest already" in refused.stderr
    done = command("backtest", *asked(world, candidate), "--out", out, "--overwrite", "--no-keep-features")
    assert done.returncode == 0, done.stderr
    assert not Result.open(out).has_features
    assert rows(out).equals(rows(whole))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "2001-01-01"), "holds no payments in the window"),
        (("--warm-up", "3d"), "is the time before --from"),
        (("--from", "soon"), "is not a time"),
        (("--from-offset", "zero"), "is no PARTITION=OFFSET"),
        (("--from-offset", "0=5"), "has no offsets"),
        (("--topic", "transactions"), "two sources"),
        (("--state", "nowhere"), "holds no state of payers"),
        (("--verify",), "holds no decisions"),
        (("--time-zone", "Mars/Base"), "no time zone"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(world, candidate, command, tmp_path, options, said):
    refused = command("backtest", *asked(world, candidate), "--out", tmp_path / "out", *options)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "what to do" in refused.stderr
    assert not (tmp_path / "out" / "parts").exists()


def test_a_model_is_needed(world, command, tmp_path):
    refused = command("backtest", "--data", world.history, "--out", tmp_path / "out")
    assert refused.returncode == 1
    assert "no model is set" in refused.stderr


def test_lists_decide_as_they_are_given(world, candidate, command, whole, tmp_path):
    payee = world.payments["payee"].mode()[0]
    lists = tmp_path / "lists.jsonl"
    lists.write_text(json.dumps({"list": "block", "kind": "account", "value": payee}) + "\n")
    done = command("backtest", *asked(world, candidate), "--lists", lists, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    listed = rows(tmp_path / "out").filter(pl.col("rule") == "block:payee")
    assert listed.height == world.payments.filter(pl.col("payee") == payee).height
    assert listed["flagged"].all()
    others = rows(tmp_path / "out").filter(pl.col("rule").ne_missing("block:payee"))
    assert others.equals(rows(whole).filter(~pl.col("offset").is_in(listed["offset"].implode())))


def test_overwriting_a_what_if_leaves_the_features_of_its_backtest(world, candidate, command, whole, tmp_path):
    done = command("what-if", whole, "--alert-score", "900", "--out", tmp_path / "stricter")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "stricter" / "features").is_symlink()
    kept = sorted(path.name for path in (whole / "features").iterdir())
    done = command("backtest", *asked(world, candidate), "--out", tmp_path / "stricter", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "stricter" / "features").is_symlink()
    assert sorted(path.name for path in (whole / "features").iterdir()) == kept


def test_the_key_of_the_settings_file_is_the_backtests_key(world, candidate, command, tmp_path):
    settings = tmp_path / "fraudstream.toml"
    settings.write_text(f'token_key_file = "{tmp_path / "missing.key"}"\n')
    models = ("--model", world.bundle, "--candidate", candidate)
    out = tmp_path / "out"
    refused = command("backtest", *models, "--data", world.history, "--config", settings, "--out", out)
    assert refused.returncode == 1
    assert "missing.key" in refused.stderr
    assert not out.exists()
