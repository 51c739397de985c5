"""Attackers adapt in one aspect at a time, and nothing else about the world changes with it."""

import numpy as np
import polars as pl
import pytest

from simulator.arrays import DAY_MS
from simulator.config import SimulationConfig
from simulator.errors import SimulatorError
from simulator.simulation import Simulation


def frauds(kinds: tuple[str, ...], **settings: object) -> pl.DataFrame:
    config = SimulationConfig(
        payments=40_000,
        payers=1_200,
        days=20,
        fraud_rate=0.03,
        seed=3,
        adapted=0.0,
        attacks=dict.fromkeys(kinds, 1.0),
        **settings,  # type: ignore[arg-type]
    )
    slots = [
        pl.concat([slot.payments, slot.labels.select("kind", "is_fraud")], how="horizontal")
        for slot in Simulation(config).history()
    ]
    return pl.concat(slots).filter("is_fraud")


def median(frame: pl.DataFrame, column: str) -> float:
    return float(np.nanmedian(frame[column].cast(pl.Float64).to_numpy()))


def test_bots_type_like_people_once_the_rhythm_is_adapted():
    assert median(frauds(("emulator_farm",)), "typing_interval_ms") < 110
    assert median(frauds(("emulator_farm",), adapt={"rhythm": 1.0}), "typing_interval_ms") > 150


def test_the_position_moves_to_the_victims_home_once_the_location_is_adapted():
    def apart(frame: pl.DataFrame) -> float:
        """Degrees between GPS and cell tower: only the first can be made up."""
        return float((frame["latitude"] - frame["cell_latitude"]).abs().drop_nulls().to_numpy().mean())

    assert apart(frauds(("account_takeover",))) < 0.2
    assert apart(frauds(("account_takeover",), adapt={"location": 1.0})) > 1


def test_amounts_stay_near_the_victims_once_they_are_adapted():
    plain, adapted = frauds(("app_scam",)), frauds(("app_scam",), adapt={"amount": 1.0})
    assert median(adapted, "amount") < 0.3 * median(plain, "amount")
    assert plain["event_time"].equals(adapted["event_time"])


def test_payments_drip_over_days_once_the_timing_is_adapted():
    def longest(frame: pl.DataFrame) -> float:
        """Median time between a victim's first and last payment, of those with several."""
        spans = frame.group_by("payer").agg(n=pl.len(), span=pl.col("event_time").max() - pl.col("event_time").min())
        return median(spans.filter(pl.col("n") > 2), "span")

    plain, adapted = frauds(("bot_burst",)), frauds(("bot_burst",), adapt={"timing": 1.0})
    assert longest(plain) < 0.05 * DAY_MS
    assert longest(adapted) > 2 * DAY_MS


def test_adapting_one_aspect_leaves_the_honest_payments_and_the_other_aspects_alone():
    plain, adapted = frauds(("account_takeover",)), frauds(("account_takeover",), adapt={"rhythm": 1.0})
    for column in ("event_time", "payer", "payee", "amount", "latitude", "device_id"):
        assert plain[column].equals(adapted[column]), column
    assert not plain["typing_interval_ms"].equals(adapted["typing_interval_ms"])


def test_the_share_for_all_holds_where_an_aspect_names_none():
    config = SimulationConfig(adapted=0.2, adapt={"timing": 0.9})
    assert config.adapted_shares == {"rhythm": 0.2, "location": 0.2, "amount": 0.2, "timing": 0.9}


@pytest.mark.parametrize(
    "wrong", [{"adapt": {"luck": 0.5}}, {"adapt": {"rhythm": 1.5}}, {"attacks": {"pass_through": 1}}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(SimulatorError):
        SimulationConfig(**wrong)


def test_mules_pass_on_what_other_attacks_brought_them_within_hours():
    paid = frauds(("app_scam", "pass_through"))
    onward = paid.filter(kind="pass_through").select(hub="payer", left_at="event_time", passed="amount")
    brought = paid.filter(kind="app_scam").select(hub="payee", came_at="event_time", came="amount")
    met = onward.join(brought, on="hub").filter(
        (pl.col("left_at") > pl.col("came_at"))
        & (pl.col("left_at") < pl.col("came_at") + DAY_MS)
        & (pl.col("passed") <= pl.col("came"))
    )
    assert len(onward) > 50
    assert met.select("hub", "left_at").n_unique() > 0.9 * len(onward)


def test_a_mule_account_has_several_payers_within_days():
    paid = frauds(("app_scam",))
    used = paid.group_by("payee").agg(
        payers=pl.col("payer").n_unique(),
        days=(pl.col("event_time").quantile(0.8) - pl.col("event_time").min()) / DAY_MS,
    )
    busy = used.filter(pl.col("payers") >= 5)
    assert len(busy) > 10
    assert median(busy, "days") < 12
