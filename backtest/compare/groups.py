"""Frauds and alerts by kind of attack, amount, hour and day; and by defrauded payer."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from backtest.compare.comparison import Episodes, Group
from backtest.compare.figures import share
from backtest.compare.reading import Flags, Rows
from models.report.findings.groups import AMOUNTS
from models.report.findings.rates import Rate

AMOUNT_NAMES = tuple(
    f"under ₹{end:,}" if not start else f"₹{start:,} to {end:,}" if end else f"₹{start:,} and more"
    for start, end in zip(AMOUNTS, (*AMOUNTS[1:], None), strict=True)
)


def by_kind(rows: Rows, flagged: Flags) -> tuple[Group, ...]:
    """Kinds of attack, the most frequent first."""
    frauds = rows.frame.filter("is_fraud").group_by("kind").len().sort("len", "kind", descending=[True, False])
    names = frauds["kind"].to_list()
    kind = np.array([names.index(name) if name else -1 for name in rows.frame["kind"].to_list()], dtype=np.int64)
    return _groups(names, kind, rows, flagged, None)


def by_amount(rows: Rows, flagged: Flags, counts: pl.DataFrame) -> tuple[Group, ...]:
    """Amount bands, all of them."""
    return _groups(AMOUNT_NAMES, rows.frame["band"].to_numpy(), rows, flagged, _counts(counts, "band", range(5)))


def by_hour(rows: Rows, flagged: Flags, counts: pl.DataFrame) -> tuple[Group, ...]:
    """The hours of the day, all of them."""
    names = [f"{hour:02d}" for hour in range(24)]
    return _groups(names, rows.frame["hour"].to_numpy(), rows, flagged, _counts(counts, "hour", range(24)))


def by_day(rows: Rows, flagged: Flags, counts: pl.DataFrame) -> tuple[Group, ...]:
    """The days that have payments."""
    days = counts["day"].unique().sort()
    place = days.search_sorted(rows.frame["day"]).to_numpy()
    return _groups([str(day) for day in days], place, rows, flagged, _counts(counts, "day", days.to_list()))


def episodes(rows: Rows, flagged: Flags) -> Episodes:
    """By payer: the first fraud with an alert could have ended what came after it."""
    frauds = rows.frame.select("payer", "event_time", "amount").with_columns(flagged=pl.Series(flagged))
    first = pl.col("event_time").filter("flagged").min()
    payers = (
        frauds.filter(pl.Series(rows.is_fraud))
        .group_by("payer")
        .agg(
            alerted=pl.col("flagged").any(),
            before=pl.col("amount").filter((pl.col("event_time") < first).fill_null(True)).sum(),
        )
    )
    alerted, before = int(payers["alerted"].sum()), float(payers["before"].sum()) / 100
    return Episodes(
        payers=payers.height,
        alerted=alerted,
        alerted_share=share(alerted, payers.height),
        rupees_before=before,
        rupees_before_per_payer=share(before, payers.height),
    )


def _counts(counts: pl.DataFrame, column: str, values: Sequence[object]) -> list[int]:
    found = dict(counts.group_by(column).agg(pl.col("payments").sum()).iter_rows())
    return [found.get(value, 0) for value in values]


def _groups(
    names: Sequence[str], place: NDArray[np.integer], rows: Rows, flagged: Flags, payments: list[int] | None
) -> tuple[Group, ...]:
    """A group for each name; `place` (k,) says of each row which one it is in, -1 for none."""

    def count(chosen: Flags, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        chosen = chosen & (place >= 0)
        counted = np.bincount(place[chosen], None if weights is None else weights[chosen], len(names))
        return counted.astype(np.float64)

    frauds, caught, alerts = count(rows.is_fraud), count(rows.is_fraud & flagged), count(flagged)
    rupees, saved = count(rows.is_fraud, rows.rupees), count(rows.is_fraud & flagged, rows.rupees)
    found = []
    for i, name in enumerate(names):
        rate = Rate(int(caught[i]), int(frauds[i]))
        known = bool(rate.total)
        found.append(
            Group(
                name=name,
                payments=None if payments is None else payments[i],
                frauds=rate.total,
                caught=rate.hits,
                alerts=None if payments is None else int(alerts[i]),
                rupees=float(rupees[i]),
                rupees_caught=float(saved[i]),
                recall=rate.share if known else None,
                low=rate.low if known else None,
                high=rate.high if known else None,
            )
        )
    return tuple(found)
