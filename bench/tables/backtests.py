"""Tables of what backtests were measured by."""

from collections.abc import Iterator

from bench.results import Result
from bench.table import Table, figure

_SHOWN = (
    ("payments a second", "rate"),
    ("seconds", "seconds"),
    ("the whole command, with start, comparison and page, s", "whole_command_seconds"),
    ("processor seconds, without the broker's", "cpu_s"),
    ("peak memory, MiB", "peak_rss_mib"),
    ("left on disk, with the features, MiB", "kept_mib"),
)


def backtest(result: Result) -> Iterator[Table]:
    """Each replay of each source."""
    runs = {
        f"{source}, run {number}": figures
        for source in ("topic", "parquet")
        for number, figures in enumerate(result[source], 1)
    }
    payments, models = result["settings"]["payments"], result["settings"]["models"]
    rows = [[name, *(figure(each[key]) for each in runs.values())] for name, key in _SHOWN]
    yield Table(f"{payments:,} payments replayed with {models} models", ["", *runs], rows)


def verified(result: Result) -> Iterator[Table]:
    """What came out the same, and the hashes."""
    live, found = result["live"], result["verified"]
    rows = [
        ["payments", figure(found["payments"])],
        ["workers killed on the way", figure(len(live["killed_at"]))],
        ["after so many payments", ", ".join(f"{at:,}" for at in live["killed_at"])],
        *([reason, figure(count)] for reason, count in found["reasons"].items()),
        ["decided more than once", figure(sum(part["repeats"] for part in found["partitions"]))],
        ["sha256 live", f"`{found['live_sha256'][:32]}…`"],
        ["sha256 replayed", f"`{found['replayed_sha256'][:32]}…`"],
        ["seconds to verify", figure(found["seconds"])],
    ]
    yield Table("Decided live, then replayed", ["", "payments"], rows)
