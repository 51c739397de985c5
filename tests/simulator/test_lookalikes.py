"""Honest accounts that receive and pay as a mule's does, and customers who are new or seldom seen."""

import numpy as np
import polars as pl
import pytest

from simulator import neighbourhood
from simulator.arrays import DAY_MS
from simulator.config import SimulationConfig
from simulator.simulation import Simulation


@pytest.fixture(scope="module")
def honest() -> pl.DataFrame:
    """120,000 payments of 3,000 customers in 40 days, none of them fraud."""
    config = SimulationConfig(payments=120_000, payers=3_000, days=40, fraud_rate=0, seed=8)
    return pl.concat([slot.payments for slot in Simulation(config).history()]).with_columns(
        day=pl.col("event_time") // DAY_MS
    )


def first_times(payments: pl.DataFrame) -> pl.DataFrame:
    """The first payment of every payer to every payee, of those that pay for the first time after ten days."""
    firsts = payments.unique(["payer", "payee"], keep="first", maintain_order=True)
    return firsts.filter(pl.col("day") >= payments["day"].min() + 10)


def test_some_persons_are_paid_by_many_strangers_within_days(honest):
    persons = first_times(honest.filter(payee_type="PERSON"))
    fan_in = persons.group_by("payee", pl.col("day") // 4).agg(pl.col("payer").n_unique().alias("payers"))
    assert fan_in.filter(pl.col("payers") >= 6).height > 20


def test_some_honest_accounts_pay_out_on_the_day_on_which_several_paid_in(honest):
    received = honest.group_by("payee", "day").agg(came=pl.col("amount").sum(), payers=pl.col("payer").n_unique())
    paid = honest.group_by("payer", "day").agg(went=pl.col("amount").sum())
    passed = received.filter(pl.col("payers") >= 3).join(paid, left_on=["payee", "day"], right_on=["payer", "day"])
    assert passed.filter(pl.col("went") > 0.5 * pl.col("came")).height > 50


def test_shops_open_and_are_paid_by_strangers_at_first(honest):
    shops = honest.filter(payee_type="ENTITY").group_by("payee").agg(first=pl.col("day").min(), n=pl.len())
    opened = shops.filter((pl.col("first") >= honest["day"].min() + 10) & (pl.col("n") >= 5))
    assert opened.height > 10


def test_customers_join_and_none_pays_before(honest):
    joined = honest.filter(pl.col("payer_registered_at") >= honest["event_time"].min())
    assert 10 < joined["payer"].n_unique() < 200
    assert joined.filter(pl.col("event_time") < pl.col("payer_registered_at")).is_empty()


def test_some_customers_hardly_ever_pay(honest):
    counts = honest.group_by("payer").len()["len"].to_numpy()
    assert np.mean(counts <= 3) > 0.03


def test_an_organiser_is_who_settles():
    simulation = Simulation(SimulationConfig(payments=1_000, payers=2_000, days=10, seed=8))
    payer = np.arange(2_000)
    time = np.full(2_000, simulation.config.end_ms)
    running, organiser = neighbourhood.organiser(simulation.world, payer, time, 1.0)
    collecting = np.unique(organiser[running & (organiser < 2_000)])
    assert neighbourhood.settling(simulation.world, collecting, time[: len(collecting)], 1.0).all()
    nobody, _ = neighbourhood.organiser(simulation.world, payer, time, 0.0)
    assert not nobody.any()
