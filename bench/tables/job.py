"""Tables of what the whole job costs."""

from collections.abc import Iterator, Sequence
from typing import Any

from bench.results import Result
from bench.table import Table, figure


def throughput(result: Result) -> Iterator[Table]:
    """Backlogs and steady load, by guarantee."""
    both = {name.replace("_", " "): result[name] for name in ("exactly_once", "at_least_once") if name in result}
    backlogs = {name: each["backlog"] for name, each in both.items() if "backlog" in each}
    if len(backlogs) > 1:
        yield _rates(backlogs)
    for name, backlog in backlogs.items():
        yield from _backlog(backlog, name)
    if steady := {name: each["steady"] for name, each in both.items() if "steady" in each}:
        yield _steady(steady)


def _rates(backlogs: dict[str, Result]) -> Table:
    rows = [
        [f"payments a second, {which}", *(figure(each["rate"][which]) for each in backlogs.values())]
        for which in ("median", "lowest", "highest")
    ]
    runs = next(iter(backlogs.values()))["runs"]
    return Table(f"{len(runs)} backlogs of {runs[0]['payments']:,} payments each, taking turns", ["", *backlogs], rows)


def _backlog(backlog: Result, guarantee: str) -> Iterator[Table]:
    runs = backlog["runs"]
    numbers = [f"run {number}" for number in range(1, len(runs) + 1)]
    rows = [
        ("payments a second", "rate"),
        ("seconds", "seconds"),
        ("alerts", "alerts"),
        ("share flagged", "alerts_share"),
        ("dead letters", "dead_letters"),
        ("steps", "steps"),
        ("steps done again", "failed_steps"),
        ("entity risk records", "risk_records"),
        ("entities agent done after, s", "entities_drained_s"),
        ("worker, processor seconds", "worker_cpu_s"),
        ("worker, peak memory, MiB", "worker_peak_rss_mib"),
        ("broker, processor seconds", "broker_cpu_s"),
    ]
    yield Table(
        f"Each backlog, {guarantee}",
        ["", *numbers],
        [[text, *(figure(each[name]) for each in runs)] for text, name in rows],
    )
    stages = [
        [f"{agent}: {stage}", *(figure(each[key][stage]) for each in runs)]
        for agent, key in (("scoring", "stages_us"), ("entities", "entities_us"))
        for stage in runs[0][key]
    ]
    yield Table(f"Stages, µs a payment, {guarantee}", ["", *numbers], stages)


def _steady(steady: dict[str, Result]) -> Table:
    runs = list(steady.values())

    def row(text: str, *path: str) -> list[str]:
        return [text, *(figure(_at(run, path)) for run in runs)]

    rows = [
        row("alerts measured", "latency_ms", "count"),
        *(row(f"latency {name}, ms", "latency_ms", name) for name in ("p50", "p99", "p99.9", "max")),
        row("lag in the middle, payments", "lag_middle"),
        row("lag at the end, payments", "lag_end"),
        row("largest lag seen, payments", "lag_largest"),
        row("growth of the lag in the second half, payments/s", "lag_growth_per_s"),
        row("payments sent", "generator", "payments"),
        row(f"sent more than {runs[0]['generator']['late_means_ms']:g} ms late", "generator", "late"),
        row("latest send, ms after its time", "generator", "worst_late_ms"),
        row("alerts", "alerts"),
        row("share flagged", "alerts_share"),
        row("alerts received twice", "alerts_repeated"),
        row("payments in a step, mean", "mean_step"),
        row("worker, processor seconds", "worker_cpu_s"),
        row("worker, peak memory, MiB", "worker_peak_rss_mib"),
    ]
    return Table(f"Steady {runs[0]['rate']:,.0f} payments/s for {runs[0]['seconds']:g} s", ["", *steady], rows)


def _at(value: Any, path: Sequence[str]) -> object:
    for name in path:
        value = value.get(name)
    return value


def latency(result: Result) -> Iterator[Table]:
    """How long alerts take, by rate."""
    names = ("p50", "p99", "p99.9", "max")
    rows = [
        [
            f"{run['rate']:,.0f}, {run['guarantee'].replace('_', ' ')}",
            *(figure(run["latency_ms"].get(name)) for name in (*names, "count")),
            *(
                figure(value)
                for value in (run["mean_step"], run["generator"]["late"], run["generator"]["worst_late_ms"])
            ),
            figure(run["lag_growth_per_s"]),
        ]
        for run in result["runs"]
    ]
    late = f"sent over {result['runs'][0]['generator']['late_means_ms']:g} ms late"
    head = ["payments/s", *(f"{name}, ms" for name in names), "alerts", "step", late, "latest, ms", "lag growth/s"]
    yield Table("Latency of alerts, from the scheduled time of their payments", head, rows)


def scale(result: Result) -> Iterator[Table]:
    """More payers, partitions, workers."""
    columns = (
        ("restored and ready after, s", "ready_s"),
        ("database at rest after, s", "at_rest_s"),
        ("peak memory of the restore, MiB", "restore_peak_rss_mib"),
        ("payments/s", "rate"),
        ("µs a payment", "us"),
        ("alerts", "alerts"),
        ("worker, processor s", "worker_cpu_s"),
        ("peak memory, MiB", "worker_peak_rss_mib"),
        ("payers in memory", "rows_in_memory"),
        ("state on disk, MiB", "disk_mib"),
    )
    rows = [
        [
            f"{run['payers']:,} payers, {run['partitions']} partitions, {run['workers']} worker"
            + ("s" if run["workers"] > 1 else ""),
            *(figure(run[name]) for _, name in columns),
        ]
        for run in result["runs"]
    ]
    settings = result["settings"]
    title = (
        f"{settings['payments']:,} payments each; {settings['arena_rows']:,} payers at most in memory; a record has "
        f"{settings['record_bytes']:,} bytes"
    )
    yield Table(title, ["", *(text for text, _ in columns)], rows)


def regress(result: Result) -> Iterator[Table]:
    """Processor time of each part against the baseline."""

    def row(name: str, part: Result) -> list[str]:
        now, before = part["ratio"], part["baseline"]
        return [name, figure(part["us"]), figure(now), figure(before), figure(now / before if before else None)]

    head = ["", "µs a payment", "in reference loops", "baseline", "ratio"]
    yield Table("Processor time of each part", head, [row(name, part) for name, part in result["parts"].items()])
