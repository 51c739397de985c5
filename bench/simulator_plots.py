"""The simulated world beside what is publicly known, as pictures and a table for docs/simulator.md.

python -m bench.simulator_plots [--payments 400000] [--payers 20000] [--out docs]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench import public_facts as facts
from bench.charts import svg
from simulator.calendar import india_day, india_hour
from simulator.config import SimulationConfig
from simulator.simulation import Simulation

YEAR = 365.0


def frame(config: SimulationConfig) -> pl.DataFrame:
    """The columns that are looked at, of every payment."""
    columns = ("event_time", "amount", "payee_type", "payee_code")
    slots = Simulation(config).history()
    parts = [slot.payments.select(*columns, slot.labels["is_fraud"], rupees=pl.col("amount") / 100) for slot in slots]
    return pl.concat(parts)


def bands(rupees: pl.Series) -> list[float]:
    """Shares of the amounts in `public_facts.BANDS`."""
    values = rupees.to_numpy()
    small, large = float((values <= 500).mean()), float((values > 2_000).mean())
    return [small, 1 - small - large, large]


def table(payments: pl.DataFrame) -> list[tuple[str, float, float]]:
    """What, as simulated, as published."""
    shops = payments.filter(pl.col("payee_type") == "ENTITY")
    persons = payments.filter(pl.col("payee_type") == "PERSON")
    frauds = payments.filter("is_fraud")
    rows = [
        ("share of payments to merchants", len(shops) / len(payments), facts.MERCHANT_SHARE),
        ("rupees a payment", _mean(payments), facts.TICKET),
        ("rupees a payment to a merchant", _mean(shops), facts.MERCHANT_TICKET),
        ("rupees a payment to a person", _mean(persons), facts.PERSON_TICKET),
        ("groceries, share of payments to merchants", _category(shops, "5411"), facts.GROCERIES),
        ("debt collection, share of payments to merchants", _category(shops, "7322"), facts.DEBT_COLLECTION),
        ("busiest day of August over its mean", _august(payments), facts.BUSIEST_OF_AUGUST),
        ("rupees a fraudulent payment (published: a reported case)", _mean(frauds), facts.FRAUD_TICKET),
    ]
    for name, part, cited in (
        ("merchants", shops, facts.MERCHANT_BANDS),
        ("persons", persons, facts.PERSON_BANDS),
    ):
        rows += [
            (f"to {name}, {band}", measured, published)
            for band, measured, published in zip(facts.BANDS, bands(part["rupees"]), cited, strict=True)
        ]
    return rows


def _mean(part: pl.DataFrame) -> float:
    return float(part["rupees"].to_numpy().mean()) if len(part) else 0.0


def _category(shops: pl.DataFrame, code: str) -> float:
    return float((shops["payee_code"] == code).to_numpy().mean())


def _august(payments: pl.DataFrame) -> float:
    days, counts = daily(payments)
    inside = (days >= np.datetime64("2025-08-01")) & (days < np.datetime64("2025-09-01"))
    return float(counts[inside].max() / counts[inside].mean()) if inside.any() else float("nan")


def daily(payments: pl.DataFrame) -> tuple[NDArray[np.datetime64], NDArray[np.int64]]:
    """Days of India's calendar and their numbers of payments."""
    days, counts = np.unique(india_day(payments["event_time"].to_numpy()), return_counts=True)
    return days.astype("datetime64[D]"), counts


def amounts(payments: pl.DataFrame) -> str:
    """Shares by amount, to merchants and to persons."""

    def draw(axes: Any) -> None:
        at = np.arange(len(facts.BANDS))
        sides = (("merchants", "ENTITY", facts.MERCHANT_BANDS), ("persons", "PERSON", facts.PERSON_BANDS))
        for side, (name, kind, cited) in enumerate(sides):
            measured = bands(payments.filter(pl.col("payee_type") == kind)["rupees"])
            for place, (what, values) in enumerate((("simulated", measured), ("NPCI, February 2022", cited))):
                x = at + side * 4 + (place - 0.5) * 0.4
                axes.bar(
                    x, [100 * value for value in values], 0.38, color=f"C{place}", label=what if not side else None
                )
            axes.text(side * 4 + 1, 92, f"to {name}", ha="center")
        axes.set_xticks([*at, *(at + 4)], facts.BANDS * 2, fontsize=8)
        axes.set_ylim(0, 100)
        axes.set_ylabel("% of payments")
        axes.legend(frameon=False, loc="center right")

    return svg(draw, height=3.5)


def tickets(payments: pl.DataFrame) -> str:
    """Density of amounts, with the published averages."""

    def draw(axes: Any) -> None:
        edges = np.geomspace(1, 500_000, 90)
        kinds = (("merchants", "ENTITY", facts.MERCHANT_TICKET), ("persons", "PERSON", facts.PERSON_TICKET))
        for number, (name, kind, cited) in enumerate(kinds):
            rupees = payments.filter(pl.col("payee_type") == kind)["rupees"].to_numpy()
            counts, _ = np.histogram(rupees, edges)
            axes.stairs(100 * counts / max(len(rupees), 1), edges, color=f"C{number}", label=f"to {name}")
            axes.axvline(rupees.mean(), color=f"C{number}", label=f"their mean, ₹{rupees.mean():,.0f}")
            axes.axvline(cited, color=f"C{number}", linestyle=":", label=f"NPCI, July 2025, ₹{cited:,.0f}")
        axes.set_xscale("log")
        axes.set_xlabel("amount, ₹")
        axes.set_ylabel("% of payments")
        axes.legend(frameon=False, fontsize=8)

    return svg(draw, height=3.5)


def hours(payments: pl.DataFrame) -> str:
    """Payments by hour of the day in India, with the hours that NPCI calls peak."""

    def draw(axes: Any) -> None:
        for number, (name, part) in enumerate((("honest", ~pl.col("is_fraud")), ("fraud", pl.col("is_fraud")))):
            hour = india_hour(payments.filter(part)["event_time"].to_numpy())
            counts = np.bincount(hour, minlength=24)
            axes.stairs(100 * counts / max(counts.sum(), 1), np.arange(25), color=f"C{number}", label=name)
        for start, end in facts.PEAK_HOURS:
            axes.axvspan(start, end, color="0.93", zorder=0, label="NPCI's peak hours" if start == 10 else None)
        axes.set_xticks(range(0, 25, 3))
        axes.set_xlabel("hour of the day in India")
        axes.set_ylabel("% of payments")
        axes.legend(frameon=False)

    return svg(draw, height=3.5)


def volume(payments: pl.DataFrame) -> str:
    """Payments a day over the year."""

    def draw(axes: Any) -> None:
        days, counts = daily(payments)
        whole = slice(1, -1)
        axes.plot(days[whole], counts[whole] / counts[whole].mean(), linewidth=0.8, label="simulated")
        axes.plot([np.datetime64("2025-08-02")], [facts.BUSIEST_OF_AUGUST], "C1o", label="2 August 2025, NPCI")
        axes.set_ylabel("payments, over the mean day")
        axes.legend(frameon=False)

    return svg(draw, height=3)


PICTURES = {
    "simulator-amounts": amounts, "simulator-tickets": tickets, "simulator-hours": hours, "simulator-volume": volume,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=400_000)
    parser.add_argument("--payers", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    payments = frame(SimulationConfig(arguments.payments, arguments.payers, days=YEAR))
    for name, picture in PICTURES.items():
        (arguments.out / f"{name}.svg").write_text(picture(payments))
    print("| what | simulated | published |\n|---|---|---|")
    for what, measured, published in table(payments):
        digits = 0 if published > 10 else 3
        print(f"| {what} | {measured:,.{digits}f} | {published:,.{digits}f} |")


if __name__ == "__main__":
    main()
