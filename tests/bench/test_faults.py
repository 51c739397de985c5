import pytest

from bench.errors import BenchError
from bench.faults import FAULTS, _chosen, books
from bench.tables import tables


def ended(rows: list[int], outcome: str, why: str = "", seconds: float = 4.0) -> dict[str, object]:
    return {"event": "ended", "name": "test", "rows": rows, "outcome": outcome, "seconds": seconds, "why": why}


def ran(row: int, **counts: int) -> dict[str, object]:
    return {"event": "run", "row": row, "kills": 0, "payments": 10, "lost": 0, "doubled": 0, "disordered": 0, **counts}


EVENTS = [
    {"event": "collected", "tests": 5},
    ran(1, kills=2),
    ran(1, kills=3, payments=20),
    ended([1, 2], "passed"),
    ended([1], "skipped", "full only"),
    ran(9, lost=1),
    ended([9], "failed", "Findings\nof much"),
    ended([16], "skipped", "not run: no right to mount"),
    ended([], "passed"),
]


def test_the_books_sum_up_what_befell_each_row() -> None:
    first, second, ninth, sixteenth, last = books(EVENTS, [1, 2, 9, 16, 32])["rows"]
    assert (first["runs"], first["kills"], first["payments"], first["seconds"]) == (2, 5, 30, 6.0)
    assert (first["result"], second["result"], second["runs"]) == ("ok", "ok", 0)
    assert (ninth["lost"], ninth["result"]) == (1, "failed: Findings of much")
    assert sixteenth["result"] == "not run: no right to mount"
    assert last["result"] == "not run: there is no test"


def test_the_table_has_every_row_and_the_totals() -> None:
    result = {"benchmark": "faults", "settings": {"form": "quick"}, **books(EVENTS, list(FAULTS))}
    table, checks = tables(result)
    assert [row[0].split(".")[0] for row in table.rows] == [*map(str, FAULTS), "all"]
    assert table.rows[-1][-1] == "2 ok, 1 failed, 29 not run"
    assert checks.rows == [["passed", "1"], ["failed", "0"]]


def test_rows_are_chosen_by_number() -> None:
    assert _chosen("") == list(FAULTS)
    assert _chosen("9,12") == [9, 12]
    with pytest.raises(BenchError):
        _chosen("33")
    with pytest.raises(BenchError):
        _chosen("nine")
