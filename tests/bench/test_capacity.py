"""Machines for a rate, from what was measured, by hand."""

from typing import Any

from bench.capacity import capacity


def throughput() -> dict[str, Any]:
    """25 µs a payment of a worker under a backlog and 50 at a steady rate; 10 of a broker."""
    runs = [{"payments": 1_000_000, "worker_cpu_s": cost, "broker_cpu_s": 10.0} for cost in (20.0, 25.0, 40.0)]
    steady = {"rate": 10_000.0, "worker_cpu_s": 30.0, "generator": {"payments": 600_000}}
    return {"backlog": {"runs": runs}, "steady": steady}


def test_machines_follow_from_processor_time() -> None:
    costs, machines = capacity({"throughput": {"exactly_once": throughput()}})
    assert [row[1] for row in costs.rows] == ["25.00", "50.00", "10.00"]
    assert [row[1:] for row in machines.rows] == [
        ["0.405", "3.50"],  # 8,100 and 70,000 a second at 50 µs
        ["0.2025", "1.75"],
        ["1", "4"],  # one of two cores, half used, does 20,000
        ["2", "5"],
        ["4", "16"],
        ["2", "5"],
        ["1", "5"],  # 70,000 at 10 µs, three replicas, half used: 4.2
    ]


def test_nothing_is_computed_from_half_a_result() -> None:
    assert capacity({}) == []
    assert capacity({"throughput": {"exactly_once": {"backlog": throughput()["backlog"]}}}) == []
