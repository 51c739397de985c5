"""Tables of the comparison with other stream processors."""

import json
import statistics
from collections.abc import Iterator, Sequence

from bench.results import Result
from bench.table import Table, figure


def peers(result: Result) -> Iterator[Table]:
    """Every participant's rates, alerts and settings."""
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
