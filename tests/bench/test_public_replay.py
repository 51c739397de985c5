"""The public data replayed: which frauds could be known, what is caught, and the tables beside published figures."""

import subprocess
import sys

import polars as pl
import pytest

from bench import findings
from bench.environment import ROOT, environment
from bench.errors import BenchError
from bench.processes import spent
from bench.public_caught import TERMINAL, TOLD, UNTOLD, caught
from bench.public_replay import CANDIDATES, CHOICE_CUTOFF, CHOICE_END, CHOSEN, DELAYS, PERIODS, TESTED
from bench.tables import tables
from bench.world import fraudstream

DAY = 86_400_000
HONEST = 1_000
ALLOWED = 13
"""Honest payments of a thousand that may be flagged at 1.3 %."""


def payments(*frauds: tuple[str, int, float, str, int]) -> pl.DataFrame:
    """Frauds (payee, day, probability, kind, known on day) beside a thousand honest payments of day 40, with
    probabilities from 0 to 0.999."""
    honest = [("H", 40 * DAY, rank / HONEST, "", None) for rank in range(HONEST)]
    told = [(payee, day * DAY, probability, kind, known * DAY) for payee, day, probability, kind, known in frauds]
    names = ["payee", "event_time", "probability", "kind", "known_at"]
    frame = pl.DataFrame([*told, *honest], schema=names, orient="row")
    return frame.with_columns(pl.col("probability").cast(pl.Float32), is_fraud=pl.col("kind") != "")


def of_day_40(*frauds: tuple[str, int, float, str, int]) -> dict[str, dict[str, float]]:
    return caught(payments(*frauds), 40 * DAY, 41 * DAY)


def test_a_fraud_is_caught_above_what_the_allowed_honest_payments_reach():
    at_edge = (HONEST - ALLOWED - 1) / HONEST  # the first honest probability that would be one too many
    found = of_day_40(("A", 40, at_edge, "high_amount", 47), ("A", 40, at_edge + 0.0005, "high_amount", 47))
    assert found == {"high_amount": {"frauds": 2, "recall": 0.5}}


def test_a_terminals_frauds_are_told_apart_by_what_was_known_of_it_then():
    found = of_day_40(
        ("known", 30, 0.0, TERMINAL, 37),
        ("known", 40, 1.0, TERMINAL, 47),
        ("due", 34, 0.0, TERMINAL, 41),
        ("due", 40, 0.0, TERMINAL, 47),
        ("long ago", 11, 0.0, TERMINAL, 18),
        ("long ago", 40, 0.0, TERMINAL, 47),
        ("another kind", 30, 0.0, "high_amount", 37),
        ("another kind", 40, 1.0, TERMINAL, 47),
    )
    assert found == {
        f"{TERMINAL}, {TOLD}": {"frauds": 1, "recall": 1.0},
        f"{TERMINAL}, {UNTOLD}": {"frauds": 3, "recall": round(1 / 3, 4)},
    }


def test_a_verdict_counts_from_the_moment_it_is_known_and_for_28_days():
    found = of_day_40(("A", 12, 0.0, TERMINAL, 40), ("A", 40, 1.0, TERMINAL, 47))
    assert found[f"{TERMINAL}, {TOLD}"]["frauds"] == 1


def test_what_is_chosen_on_ends_before_what_is_tested():
    assert CHOSEN in CANDIDATES
    assert CHOICE_CUTOFF < CHOICE_END == PERIODS[TESTED][0]


@pytest.fixture
def result():
    """Of a replay in which every delay came to the same."""
    figures = {"payments": 67_080, "frauds": 568, "auc": 0.9495, "average_precision": 0.91, "recall_at_fpr_0.013": 0.92}
    speed = ("payments", "warm_up_payments", "seconds", "rate", "wall_s", "cpu_s", "peak_rss_mib", "train_s")
    found = {
        "periods": {TESTED: figures | {"card_precision_100": 0.3}},
        "caught": {"high_amount": {"frauds": 3, "recall": 0.5}, f"{TERMINAL}, {UNTOLD}": {"frauds": 1, "recall": 0.0}},
        **dict.fromkeys(speed, 1),
    }
    return {"benchmark": "public_replay", **environment({"tested": TESTED}), "delays": dict.fromkeys(DELAYS, found)}


def test_the_table_stands_beside_the_published_figures(result):
    beside, *_ = tables(result)
    assert beside.title.startswith("8 to 14 August, tested: all 67,080 payments, 568 frauds")
    assert beside.rows[0] == ["7d", "0.9495", "0.911", "0.9100", "0.763", "0.9200", "0.787"]
    assert [row[0] for row in beside.rows] == list(DELAYS)


def test_what_falls_short_is_named_with_how_far_and_what_nobody_could_know_is_counted(result):
    first, *others = findings.public_replay(result).splitlines()
    assert first == "- 7 of the 9 published figures are reached; short is AUC at 3d, by 0.0005; AUC at 1d, by 0.0205."
    assert others[0] == (
        "- 7d: 1 of 4 frauds were made at a terminal of which no verdict was known yet, 0.0 % of them caught; of all"
        " others 50.0 %."
    )


def test_a_candidate_of_the_choice_is_a_row_and_the_chosen_one_is_marked():
    found = {delay: {"auc": 0.9, "average_precision": 0.8, "recall_at_fpr_0.013": 0.7} for delay in DELAYS}
    result = {"settings": {"chosen": "a"}, "candidates": {"a": found, "b": found}, "benchmark": "public_replay_choice"}
    (table,) = tables(result)
    assert [row[0] for row in table.rows] == ["a (chosen)", "b"]
    assert len(table.rows[0]) == len(table.head) == 10


def test_without_the_file_it_says_where_to_fetch_it():
    command = [sys.executable, "-m", "bench.public_replay", "--file", "nowhere.parquet"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "there is no file nowhere.parquet" in ended.stderr
    assert "simulated-data-raw" in ended.stderr


def test_a_commands_peak_is_its_own_and_stays_when_memory_is_given_back(tmp_path):
    program = "import time; held = b'x' * (300 << 20); del held; time.sleep(2)"
    took = spent([sys.executable, "-c", program], tmp_path)
    assert took.exit_code == 0
    assert 300 < took.peak_rss_mib < 400
    assert spent([sys.executable, "-c", "raise SystemExit(3)"], tmp_path).exit_code == 3


def test_a_command_that_fails_is_an_error_with_its_name():
    with pytest.raises(BenchError, match="fraudstream models verify nowhere"):
        fraudstream("models", "verify", "nowhere")
