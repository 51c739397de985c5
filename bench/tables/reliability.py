"""Tables of what survives damage, deaths and restarts, and what is the same again."""

from collections.abc import Iterator

from bench.results import Result
from bench.table import Table, figure


def faults(result: Result) -> Iterator[Table]:
    """The rows of the fault matrix."""
    columns = ("runs", "kills", "payments", "lost", "doubled", "disordered", "seconds")
    rows = [
        [f"{row['row']}. {row['fault']}", *(figure(row[name]) for name in columns), row["result"]]
        for row in result["rows"]
    ]
    totals = result["totals"]
    outcomes = [row["result"].partition(":")[0] for row in result["rows"]]
    counted = [f"{outcomes.count(name)} {name}" for name in ("ok", "failed", "not run") if name in outcomes]
    rows.append(["all", *(figure(totals[name]) for name in columns), ", ".join(counted)])
    title = (
        f"The {result['settings']['form']} form: {totals['kills']:,} kills, {totals['payments']:,} payments, "
        f"{totals['lost']} lost, {totals['doubled']} doubled, {totals['disordered']} out of order"
    )
    yield Table(title, ["fault", *columns, "result"], rows)
    checks = result["checks"]
    yield Table(
        "Checks of the oracle and of the kit itself", ["", "checks"], [[name, figure(checks[name])] for name in checks]
    )


def restore(result: Result) -> Iterator[Table]:
    """From an empty disk, and restarts on an intact one."""
    sizes = result["sizes"]
    head = ["", *(f"{each['payers']:,} payers" for each in sizes)]
    rows = [
        [f"records a second, {name}", *(figure(each["empty_disk"]["rate"][name]) for each in sizes)]
        for name in ("median", "lowest", "highest")
    ]
    runs = [each["empty_disk"]["runs"] for each in sizes]
    rows.append(["seconds, slowest", *(figure(max(run["seconds"] for run in each)) for each in runs)])
    bytes_ = result["record_bytes"]
    title = f"From an empty disk; a record has {bytes_['median']:,.0f} bytes in the median, {bytes_['most']:,} at most"
    yield Table(title, head, rows)
    body = []
    for each in sizes:
        for signal in dict.fromkeys(restart["signal"] for restart in each["restarts"]):
            mine = [restart for restart in each["restarts"] if restart["signal"] == signal]
            slowest = max(mine, key=lambda restart: restart["seconds"])
            figures = [figure(slowest[name]) for name in ("seconds", "restored_s", "records")]
            body.append([f"{each['payers']:,} payers, after {signal}", str(len(mine)), *figures])
    head = ["", "restarts", "first decision after, s", "of which restored after, s", "records replayed"]
    yield Table("Restart on an intact disk, from the assignment of the partitions; the slowest", head, body)


def failover(result: Result) -> Iterator[Table]:
    """One of two workers killed."""
    runs = result["runs"]
    rows = [
        ["longest gap, s", *(figure(run["longest_gap_s"]) for run in runs.values())],
        *(
            [f"partition {name}, s", *(figure(run["gaps_s"].get(name)) for run in runs.values())]
            for name in next(iter(runs.values()))["gaps_s"]
        ),
        ["changelog records replayed", *(figure(run["records_replayed"]) for run in runs.values())],
        ["alerts a second and partition", *(figure(run["alerts_per_s_and_partition"]) for run in runs.values())],
    ]
    rate, limit = result["settings"]["rate"], result["limit_s"]
    title = f"One of two workers killed at {rate:,.0f} payments/s: the longest time between alerts of a partition"
    yield Table(title, ["", *runs], rows)
    parts = [*limit.items(), ("together", sum(limit.values()))]
    yield Table("What the settings allow", ["", "s"], [[text, figure(value)] for text, value in parts])


def damaged(result: Result) -> Iterator[Table]:
    """Records of every kind of damage."""
    columns = ("sent", "decided", "set_aside", "lost", "repeated", "misplaced", "changed", "wrong_headers", "codes")
    rows = [[each["kind"].replace("_", " "), *(figure(each[name]) for name in columns)] for each in result["kinds"]]
    totals = {name: sum(each[name] for each in result["kinds"]) for name in columns[:-1]}
    rows.append(["all", *(figure(totals[name]) for name in columns[:-1]), ""])
    title = f"{result['payments']:,} records, {result['damaged']:,} of them damaged"
    yield Table(title, ["record", *(name.replace("_", " ") for name in columns)], rows)


def determinism(result: Result) -> Iterator[Table]:
    """Two runs, payment by payment."""
    first, second = result["settings"]["max_batch"]
    rows = [
        ("payments compared", result["compared"]),
        ("decided in one run only, or repeated", result["only_in_one"]),
        ("another payment at the same offset", result["other_payment"]),
        ("features differ", result["features_differ"]),
        ("met the same entity risk in both runs", result["same_risk"]),
        ("score differs at the same entity risk", result["scores_differ_at_same_risk"]),
    ]
    for name, counts in result.get("judged_again", {}).items():
        text = f"judged again, {name.replace('_', ' ')}: "
        rows += [(text + what.replace("_", " "), count) for what, count in counts.items()]
    title = f"Batches of at most {first:,} and of at most {second:,} payments"
    yield Table(title, ["", "payments"], [[text, figure(count)] for text, count in rows])
