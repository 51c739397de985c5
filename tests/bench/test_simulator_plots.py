"""The pictures of the simulated world beside public facts, and that the page names every source."""

from pathlib import Path

import pytest

from bench import public_facts, simulator_plots
from simulator.config import SimulationConfig

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


@pytest.fixture(scope="module")
def payments():
    return simulator_plots.frame(SimulationConfig(payments=40_000, payers=2_500, days=365))


@pytest.mark.parametrize("name", simulator_plots.PICTURES)
def test_a_picture_is_the_same_bytes_for_the_same_payments_and_is_on_the_page(payments, name):
    picture = simulator_plots.PICTURES[name]
    assert picture(payments).startswith("<?xml")
    assert picture(payments) == picture(payments)
    assert f"]({name}.svg)" in PAGE


def test_the_world_is_near_what_is_published(payments):
    measured = {what: (here, there) for what, here, there in simulator_plots.table(payments)}
    assert len(measured) == 14
    for what in (
        "share of payments to merchants",
        "rupees a payment",
        "to merchants, up to ₹500",
        "to persons, up to ₹500",
    ):
        here, there = measured[what]
        assert here == pytest.approx(there, rel=0.2), what


@pytest.mark.parametrize("source", public_facts.SOURCES, ids=lambda source: source.date)
def test_every_source_is_on_the_page(source):
    assert source.url in PAGE


def test_averages_follow_from_volumes_and_values():
    assert round(public_facts.MERCHANT_TICKET) == 593
    assert round(public_facts.PERSON_TICKET) == 2_506
    assert round(public_facts.FRAUD_TICKET) == 7_566
