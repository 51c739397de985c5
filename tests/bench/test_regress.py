"""The report on the hot path's parts: what a figure is, and what stands beside it."""

from bench.regress import Part, measured, reference
from bench.tables import tables


def test_the_reference_loop_always_does_the_same() -> None:
    assert reference() == reference()


def test_a_part_is_told_in_microseconds_a_payment_and_in_reference_loops() -> None:
    prepared: list[int] = []

    def prepare() -> int:
        prepared.append(len(prepared))
        return 300_000

    found = measured(Part("counting", 1_000, lambda count: sum(range(count)), prepare))
    assert found["us"] > 0
    assert found["ratio"] > 0
    assert len(prepared) > 1  # each round has work of its own


def test_the_baseline_stands_beside_each_part_that_it_has() -> None:
    parts = {
        "old": {"us": 3.0, "ratio": 0.002, "baseline": 0.004},
        "new": {"us": 1.0, "ratio": 0.001, "baseline": None},
    }
    (table,) = tables({"benchmark": "regress", "parts": parts})
    assert table.rows == [["old", "3.00", "0.002", "0.004", "0.5"], ["new", "1.00", "0.001", "–", "–"]]
