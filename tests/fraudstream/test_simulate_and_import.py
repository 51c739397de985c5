"""`fraudstream simulate --out` and `fraudstream import handbook`, as a person calls them."""

import subprocess
import sys

import polars as pl

from schemas.history import scan_labels, scan_transactions


def fraudstream(*arguments):
    return subprocess.run([sys.executable, "-m", "fraudstream", *map(str, arguments)], capture_output=True, text=True)


def handbook(rows=3):
    return pl.DataFrame(
        {
            "transaction_id": range(rows),
            "event_time": [1_530_000_000_000 + i for i in range(rows)],
            "customer_id": [5] * rows,
            "terminal_id": [9] * rows,
            "amount": [0.0, 57.16, 250.0],
            "fraud": [0, 0, 1],
            "scenario": [0, 0, 1],
        }
    ).with_columns(pl.from_epoch("event_time", time_unit="ms"))


def test_simulate_writes_a_history_directory_and_refuses_to_write_it_twice(tmp_path):
    command = (
        "simulate",
        "--payments",
        3000,
        "--payers",
        200,
        "--days",
        3,
        "--fraud-rate",
        0.02,
        "--out",
        tmp_path / "h",
    )
    done = fraudstream(*command)
    assert done.returncode == 0, done.stderr
    assert "3,000 payments" in done.stdout
    assert scan_transactions(tmp_path / "h").select(pl.len()).collect().item() == 3000
    assert scan_labels(tmp_path / "h").select(pl.len()).collect().item() == 3000
    again = fraudstream(*command)
    assert again.returncode == 1
    assert "already holds a history" in again.stderr


def test_an_unknown_attack_is_refused_with_the_known_ones(tmp_path):
    done = fraudstream("simulate", "--attack", "heist=1", "--out", tmp_path / "h")
    assert done.returncode == 1
    assert "heist" in done.stderr
    assert "app_scam" in done.stderr


def test_a_scenario_of_ones_own_takes_the_place_of_the_standard_one(tmp_path):
    (tmp_path / "mine.yaml").write_text("kinds: {heist: {weight: 1, amounts: {median_rupees: 900}}}")
    size = ("--payments", 3000, "--payers", 200, "--days", 3, "--fraud-rate", 0.02)
    done = fraudstream("simulate", *size, "--scenario", tmp_path / "mine.yaml", "--out", tmp_path / "h")
    assert done.returncode == 0, done.stderr
    assert set(scan_labels(tmp_path / "h").collect()["kind"]) == {"", "heist"}
    wrong = fraudstream(
        "simulate", *size, "--scenario", tmp_path / "mine.yaml", "--attack", "app_scam", "--out", tmp_path
    )
    assert wrong.returncode == 1
    assert "Known ones: heist" in wrong.stderr


def test_mistakes_in_a_scenario_and_in_what_attackers_adapt_are_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("kinds: {heist: {weight: 1, amounts: {median_rupees: 900}, hands: robot}}")
    done = fraudstream("simulate", "--scenario", tmp_path / "mine.yaml", "--out", tmp_path / "h")
    assert done.returncode == 1
    assert "kind heist, key hands" in done.stderr
    assert "operator" in done.stderr
    for option in ("luck=1", "rhythm=much"):
        done = fraudstream("simulate", "--adapt", option, "--out", tmp_path / "h")
        assert done.returncode == 1
        assert option.split("=")[0] in done.stderr


def test_the_handbooks_payments_become_a_history(tmp_path):
    handbook().write_parquet(tmp_path / "h.parquet")
    done = fraudstream("import", "handbook", tmp_path / "h.parquet", "--out", tmp_path / "out", "--label-delay", "1d")
    assert done.returncode == 0, done.stderr
    payments = scan_transactions(tmp_path / "out").collect()
    assert payments["amount"].to_list() == [1, 5716, 25000]
    assert payments["payer"].to_list() == ["C5"] * 3
    assert payments["device_id"].null_count() == 3
    labels = scan_labels(tmp_path / "out").collect()
    assert labels["kind"].to_list() == ["", "", "high_amount"]
    assert labels["known_at"].to_list() == [None, None, payments["event_time"][2] + 86_400_000]


def test_a_file_that_is_not_the_handbooks_is_refused_naming_its_columns(tmp_path):
    handbook().drop("terminal_id", "fraud").write_parquet(tmp_path / "h.parquet")
    done = fraudstream("import", "handbook", tmp_path / "h.parquet", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "terminal_id, fraud" in done.stderr
    (tmp_path / "text.parquet").write_text("no parquet")
    done = fraudstream("import", "handbook", tmp_path / "text.parquet", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert not (tmp_path / "out").exists()
