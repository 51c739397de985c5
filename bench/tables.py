"""A result as tables, by its benchmark."""

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench import tables_backtest, tables_public
from bench.model.tables import model_tables
from bench.results import console
from bench.table import Table, figure

Result = dict[str, Any]


def show(result: Result) -> None:
    """The result's tables on the terminal."""
    for table in tables(result):
        console.print(f"[bold]{table.title}[/bold]", table.rich(), "", sep="\n")


def tables(result: Result) -> list[Table]:
    """The tables of any benchmark's result."""
    return list(_TABLES[result["benchmark"]](result))


def _throughput(result: Result) -> Iterator[Table]:
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


def _latency(result: Result) -> Iterator[Table]:
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


def _damaged(result: Result) -> Iterator[Table]:
    columns = ("sent", "decided", "set_aside", "lost", "repeated", "misplaced", "changed", "wrong_headers", "codes")
    rows = [[each["kind"].replace("_", " "), *(figure(each[name]) for name in columns)] for each in result["kinds"]]
    totals = {name: sum(each[name] for each in result["kinds"]) for name in columns[:-1]}
    rows.append(["all", *(figure(totals[name]) for name in columns[:-1]), ""])
    title = f"{result['payments']:,} records, {result['damaged']:,} of them damaged"
    yield Table(title, ["record", *(name.replace("_", " ") for name in columns)], rows)


def _determinism(result: Result) -> Iterator[Table]:
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


def _entity_lag(result: Result) -> Iterator[Table]:
    runs = {f"{run['rate']:,.0f}/s": run for run in result["runs"]}
    about = (
        ("minutes of the world's time that pass in a second", "world_minutes_a_second"),
        ("verdicts told", "verdicts"),
        ("payments sent more than 5 ms late", "late"),
        ("payments not committed when the last was sent", "lag_at_end"),
    )
    rows = [[text, *(figure(run[name]) for run in runs.values())] for text, name in about]
    for text, name in (("an entity feature", "entity"), ("another feature", "other")):
        counts = [run["features"][f"any_{name}_feature_differs"] for run in runs.values()]
        rows.append([f"payments in which {text} differs", *map(figure, counts)])
    yield Table(f"{result['settings']['payments']:,} payments published at each rate", ["", *runs], rows)
    columns = ("equal", "known_live_only", "known_offline_only", *(f"difference_{k}" for k in ("mean", "p99", "max")))
    head = ["", "equal", "known live only", "offline only", "mean offline", "difference: mean", "p99", "largest"]
    for rate, run in runs.items():
        rows = []
        for name, each in run["features"]["features"].items():
            shares = [f"{each[column]:.2%}" for column in columns[:3]]
            rows.append([name, *shares, figure(each["mean"]), *(figure(each[column]) for column in columns[3:])])
        yield Table(f"Entity features at {rate}, live against offline", head, rows)
    yield _entity_lag_scores({rate: run["scores"] for rate, run in runs.items()})


def _entity_lag_scores(runs: dict[str, Result]) -> Table:
    rows = [
        [text, *(figure(scores[name]) for scores in runs.values())]
        for text, name in (
            ("payments", "payments"),
            ("share with the same probability", "equal"),
            ("difference of probability: mean", "difference_mean"),
            ("99th percentile", "difference_p99"),
            ("99.9th percentile", "difference_p99.9"),
            ("largest", "difference_max"),
            ("flagged in both", "flagged_in_both"),
            ("flagged live only", "flagged_live_only"),
            ("flagged offline only", "flagged_offline_only"),
        )
    ]
    for text, name in (
        ("frauds", "frauds"),
        ("frauds alerted", "frauds_alerted"),
        ("AUC", "auc"),
        ("average precision", "average_precision"),
        ("recall at 0.5 % false positives", "recall_at_fpr_0.005"),
        ("recall at 1.3 % false positives", "recall_at_fpr_0.013"),
    ):
        both = [[figure(scores["quality"][side].get(name)) for side in ("live", "offline")] for scores in runs.values()]
        rows.append([f"{text}: live / offline", *(" / ".join(sides) for sides in both)])
    return Table("Scores of the payments after the model's training", ["", *runs], rows)


def _faults(result: Result) -> Iterator[Table]:
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


def _restore(result: Result) -> Iterator[Table]:
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


def _failover(result: Result) -> Iterator[Table]:
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


def _scale(result: Result) -> Iterator[Table]:
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


def _regress(result: Result) -> Iterator[Table]:
    def row(name: str, part: Result) -> list[str]:
        now, before = part["ratio"], part["baseline"]
        return [name, figure(part["us"]), figure(now), figure(before), figure(now / before if before else None)]

    head = ["", "µs a payment", "in reference loops", "baseline", "ratio"]
    yield Table("Processor time of each part", head, [row(name, part) for name, part in result["parts"].items()])


def _peers(result: Result) -> Iterator[Table]:
    everyone, settings = result["participants"], result["settings"]
    taking_part = [each for each in everyone.values() if each.get("runs")]
    ours = everyone["ours"].get("rate", {}).get("median")
    rows = [_peers_row(each, each["runs"], ours) for each in taking_part]
    if whole := result.get("whole"):
        named = whole | {"title": "FraudStream, the whole job", "guarantee": "exactly once"}
        runs = [_like_a_participant(figures) for figures in whole["runs"]]
        rows.append(_peers_row(named, runs, ours))
    head = [
        *("", "guarantee", "median", "lowest", "highest", "ours is × as fast", "second half", "payments done, least"),
        *("processor seconds a million, with the start", "peak memory, MiB"),
    ]
    title = (
        f"Payments a second: {settings['runs']} runs over {settings['payments']:,} payments, "
        f"each of {settings['seconds']:g} s at most"
    )
    yield Table(title, head, rows)
    yield _peers_alerts(taking_part)
    rows = [[each["title"], name, value] for each in taking_part for name, value in _set_up(each)]
    yield Table("How each is set up; what is not named is its default", ["", "", "setting"], rows)
    if skipped := [[each["title"], each["skipped"]] for each in everyone.values() if "skipped" in each]:
        yield Table("Left out", ["", "why"], skipped)


def _unseen(result: Result) -> Iterator[Table]:
    columns = ("seen", "alone", "both", "deployed")
    head = [
        "recall",
        "frauds",
        "seen in training",
        "left out: model alone",
        "with the second opinion",
        "at its thresholds",
    ]
    rows = [
        [kind.replace("_", " "), figure(row["frauds"]), *(f"{row[name]:.1%}" for name in columns)]
        for kind, row in result["by_kind"].items()
    ]
    over_kinds = result["over_kinds"]
    rows += [
        [f"{which} of the kinds", "", *(f"{over_kinds[name][which]:.1%}" for name in columns)]
        for which in ("mean", "lowest")
    ]
    rate, realised = result["settings"]["false_positive_rate"], result["deployed_false_positive_rate"]
    yield Table(f"Left-out kinds of attack, recall at {rate:.1%} false positives in all", head, rows)
    shares = result["over_kinds_by_share"]
    yield Table(
        "The same by the second opinion's share of the false positives",
        ["", *(f"{float(share):.0%}" for share in shares)],
        [
            [f"{which} of the kinds", *(f"{each[which]:.1%}" for each in shares.values())]
            for which in ("mean", "lowest")
        ],
    )
    words = [[which, f"{realised[which]:.2%}"] for which in ("mean", "lowest", "highest")]
    yield Table(f"False positives at the thresholds that validation set for {rate:.1%}", ["", "share"], words)


def _peers_row(named: Result, runs: Sequence[Result], ours: float | None) -> list[str]:
    rate = named.get("rate", {})
    median = rate.get("median")
    later = [each["rate_second_half"] for each in runs if each["rate_second_half"]]
    spent = [each["cpu_s"] / each["committed"] * 1e6 for each in runs if each["cpu_s"] and each["committed"]]
    return [
        named["title"],
        named["guarantee"],
        *(figure(rate.get(name)) for name in ("median", "lowest", "highest")),
        f"{ours / median:.1f}" if ours and median else "–",
        figure(round(statistics.median(later)) if later else None),
        figure(min(each["committed"] for each in runs)),
        figure(round(statistics.median(spent)) if spent else None),
        figure(max((each["peak_rss_mib"] for each in runs if each["peak_rss_mib"]), default=None)),
    ]


def _like_a_participant(figures: Result) -> Result:
    return {
        "rate_second_half": None,
        "committed": figures["payments"],
        "cpu_s": figures["worker_cpu_s"],
        "peak_rss_mib": figures["worker_peak_rss_mib"],
    }


def _peers_alerts(taking_part: Sequence[Result]) -> Table:
    names = ("compared", "missing", "unexpected", "repeated", "differing")
    rows = [
        [
            each["title"],
            *(figure(sum(figures["alerts"][name] for figures in each["runs"])) for name in names),
            f"{max(figures['alerts']['largest_difference'] for figures in each['runs']):.1e}",
        ]
        for each in taking_part
    ]
    return Table("Alerts against those of plain Python, all runs", ["", *names, "largest difference of a score"], rows)


def _set_up(participant: Result) -> Iterator[tuple[str, str]]:
    for name, number in participant["versions"].items():
        yield name, number
    if participant["options"]:
        yield "options", " ".join(participant["options"])
    for name, value in participant["settings"].items():
        yield name, value if isinstance(value, str) else json.dumps(value)
    if not participant["settings"]:
        yield "settings", "the product's defaults"


def _training(result: Result) -> Iterator[Table]:
    settings = result["settings"]
    names = list(next(iter(result["ways"].values())))
    head = ["", *(name.replace("_", " ") for name in names)]

    def rows(of: dict[str, Result], write: Callable[[Result], str]) -> list[list[str]]:
        return [[way, *(write(spreads[name]) for name in names)] for way, spreads in of.items()]

    title = f"Test window, mean of {settings['worlds']} worlds of {settings['payments']:,} payments"
    yield Table(title, head, rows(result["ways"], lambda spread: figure(spread["mean"])))
    yield Table(
        "Gain over the same without it, world by world: 95 % interval of the mean",
        head,
        rows(result["gains"], lambda spread: f"{spread['low']:+.3f} to {spread['high']:+.3f}"),
    )
    if foretold := result.get("foretelling"):
        rated = [[name.replace("_", " "), f"{value:.2f}"] for name, value in foretold.items()]
        yield Table("Rank correlation of a figure on folds with the test's recall at FPR 0.005", ["", "rho"], rated)


def _large(result: Result) -> Iterator[Table]:
    names = ("seconds", "cpu_s", "rate", "peak_rss_mib", "disk_mib")
    head = ["", "s", "processor s", "payments/s", "peak memory, MiB", "on disk, MiB"]
    rows = [[stage, *(figure(figures.get(name)) for name in names)] for stage, figures in result["stages"].items()]
    yield Table(f"{result['settings']['payments']:,} payments", head, rows)
    shown = {name: value for name, value in result["stages"]["train"].items() if name not in (*names, "rate")}
    yield Table("The model", ["", ""], [[name.replace("_", " "), figure(value)] for name, value in shown.items()])


def _robustness(result: Result) -> Iterator[Table]:
    knobs, lost = result["knobs"], result["lost"]
    strengths = list(next(iter(knobs.values())))
    head = ["share adapted", *(f"{float(strength):.0%}" for strength in strengths), "lost from none to all"]
    for rate in result["standard"]["at"]:
        rows = [
            [knob, *(percent(by[strength]["at"][rate]["recall"]) for strength in strengths), percent(lost[knob][rate])]
            for knob, by in knobs.items()
        ]
        yield Table(f"Recall in %, at the threshold for {float(rate):.1%} false positives", head, rows)
    rows = [
        [f"{knob}, {float(rate):.1%}", *(percent(by[strength]["at"][rate]["alert_share"], 2) for strength in strengths)]
        for rate in result["standard"]["at"]
        for knob, by in knobs.items()
    ]
    yield Table("Alerts, % of the payments", head[:-1], rows)
    names = {"recall": "recall", "false_positive_rate": "false positives", "alert_share": "alerts, of the payments"}
    standard = [
        [f"{text}, %", *(percent(at[name], 2) for at in result["standard"]["at"].values())]
        for name, text in names.items()
    ]
    chosen = [f"threshold for {float(rate):.1%}" for rate in result["standard"]["at"]]
    yield Table("Attackers as in training", ["", *chosen], standard)
    kinds = result["by_kind"]
    rows = [
        [kind, *(f"{100 * by[kind]:.0f}" if kind in by else "–" for by in kinds.values())] for kind in kinds["standard"]
    ]
    yield Table("Recall in % by kind of attack, all adapted, at the threshold for 0.5%", ["", *kinds], rows)


def percent(found: dict[str, float | None], digits: int = 1) -> str:
    """A share with its interval's reach, in percent: `81.2 ± 3.4`."""
    mean, high = found["mean"], found["high"]
    if mean is None:
        return "–"
    return f"{100 * mean:.{digits}f}" + ("" if high is None else f" ± {100 * (high - mean):.{digits}f}")


_TABLES: dict[str, Callable[[Result], Iterator[Table]]] = {
    "throughput": _throughput,
    "model": model_tables,
    "entity_lag": _entity_lag,
    "peers": _peers,
    "latency": _latency,
    "regress": _regress,
    "scale": _scale,
    "damaged": _damaged,
    "determinism": _determinism,
    "faults": _faults,
    "restore": _restore,
    "failover": _failover,
    "training": _training,
    "large": _large,
    "robustness": _robustness,
    "unseen": _unseen,
    "backtest": tables_backtest.backtest,
    "verified": tables_backtest.verified,
    "realdata": tables_public.realdata,
    "handbook": tables_public.handbook,
    "handbook_week": tables_public.handbook_week,
    "public_replay": tables_public.public_replay,
    "public_replay_choice": tables_public.public_replay_choice,
}
