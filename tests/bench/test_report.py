import json
from pathlib import Path
from typing import Any

import pytest

from bench.environment import environment
from bench.errors import BenchError
from bench.report import RESULTS, ROOT, files, page
from bench.results import read, write
from bench.table import Table, figure
from bench.throughput import not_the_job


def determinism(**changes: Any) -> dict[str, Any]:
    return {
        "benchmark": "determinism",
        **environment({"max_batch": [4000, 97]}),
        "compared": 200_000,
        "only_in_one": 0,
        "other_payment": 0,
        "features_differ": 0,
        "same_risk": 123_456,
        "scores_differ_at_same_risk": 0,
        "judged_again": {"second_with_risk_of_first": {"scores_differ": 0}},
        **changes,
    }


def test_a_page_holds_the_figures_the_command_and_the_machine() -> None:
    text = page("results.md", [determinism(command="python -m bench.determinism")])
    assert "| payments compared | 200,000 |" in text
    assert "| judged again, second with risk of first: scores differ | 0 |" in text
    assert "```\npython -m bench.determinism\n```" in text
    assert "load average before" in text
    assert "kafka 4." in text


def test_a_page_names_the_command_of_a_benchmark_without_a_result() -> None:
    assert "Not taken yet: `python -m bench.damaged --help`." in page("results.md", [])


def test_the_pages_are_what_the_committed_results_make() -> None:
    results = [read(path) for path in sorted(RESULTS.glob("*.json"))]
    for name, text in files(results).items():
        assert (ROOT / "docs" / name).read_text() == text, "run `python -m bench.report`"


def test_a_cell_cannot_break_the_table() -> None:
    assert Table("t", ["", "n"], [["a|b", "1"]]).markdown().endswith("| a\\|b | 1 |")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (20345.6, "20,346"), (12.345, "12.35"), (0.00612, "0.00612"), (None, "–"), (True, "yes")],
)
def test_figures_are_written_for_people(value: object, text: str) -> None:
    assert figure(value) == text


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    write(determinism(), tmp_path / "new" / "result.json")
    assert read(tmp_path / "new" / "result.json")["compared"] == 200_000


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"rate": 1})])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(BenchError, match=r"x\.json"):
        read(tmp_path / "x.json")


def test_a_run_that_was_not_the_job_is_named() -> None:
    good = {"payments": 1000, "decided": 1000, "alerts_share": 0.006, "dead_letters": 0}
    bad = {"payments": 1000, "decided": 999, "alerts_share": 0.004, "dead_letters": 1}
    assert not_the_job({"backlog": {"runs": [good, good]}}) == []
    assert not_the_job({"backlog": {"runs": [good, bad]}}) == [
        "run 2 decided 999 of 1,000 payments",
        "run 2 flagged only 0.40%",
        "run 2 set 1 records aside",
    ]
