"""What the building blocks of `attacks.kinds` mean: each changes part of the drafts of a kind's payments."""

from dataclasses import dataclass

import numpy as np

from simulator import calendar, commerce, geography
from simulator.arrays import DAY_MS, HOUR_MS, Bools, Floats, Ints, mix
from simulator.attacks.gang import Gang, favoured
from simulator.attacks.kinds import Amounts, Attack, Hours, Victims
from simulator.draft import Draft
from simulator.habits import gps_fix
from simulator.honest import MODE_COLLECT, MODE_INTENT, MODE_MANUAL, MODE_QR, rounded
from simulator.world import World

_NIGHT = np.array([6, 7, 7, 6, 4, 2, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 6], dtype=np.float64)
_DAY = np.array([1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 4, 7, 9, 10, 10, 8, 8, 9, 9, 8, 7, 6, 5, 4, 3, 2], dtype=np.float64)
_ANY = calendar.HOUR_WEIGHTS.mean(axis=0) + 0.01
HOURS: dict[Hours, Floats] = {"night": _NIGHT / _NIGHT.sum(), "day": _DAY / _DAY.sum(), "any": _ANY / _ANY.sum()}


AMOUNTS: dict[Amounts, tuple[float, float]] = {
    "drain": (9_000.0, 1.15),
    "scam": (15_000.0, 1.25),
    "retail": (1_100.0, 1.2),
    "test": (90.0, 1.1),
    "modest": (4_500.0, 1.1),
}
"""Median rupees, and spread of the logarithm."""


@dataclass(frozen=True)
class Scene:
    """What a campaign's blocks draw from."""

    world: World
    gang: Gang
    rng: np.random.Generator
    start_ms: int
    end_ms: int
    adapted: float
    lookalikes: float


def victims(scene: Scene, block: Victims, count: int) -> Ints:
    """Customers to hit. `prey` are more often elderly, `saver` seldom pay."""
    world, rng = scene.world, scene.rng
    tries = rng.integers(0, world.payers, (count, 6))
    liking = rng.random((count, 6)) * (world.activity[tries] > 0)
    if block in ("prey", "elder"):
        liking *= np.where(world.profile[tries] == calendar.ELDER, 1.6, 1.0)
    elif block == "saver":
        liking *= 1.0 / (0.3 + world.activity[tries])
    else:
        liking *= 0.5 + np.minimum(world.activity[tries], 2.0)
    return tries[np.arange(count), liking.argmax(axis=1)]


def starts(scene: Scene, hours: Hours, count: int) -> Ints:
    """When campaigns begin, epoch ms: a day of the scene's span, an hour by preference."""
    rng, span = scene.rng, scene.end_ms - scene.start_ms
    if span < DAY_MS:
        return scene.start_ms + (rng.random(count) * span).astype(np.int64)
    day = scene.start_ms + rng.integers(0, span // DAY_MS, count) * DAY_MS
    hour = rng.choice(24, count, p=HOURS[hours])
    in_day = (hour * HOUR_MS + (rng.random(count) * HOUR_MS).astype(np.int64) - calendar.IST_MS) % DAY_MS
    return day + in_day


def amounts(scene: Scene, attack: Attack, draft: Draft, adapted: Bools) -> Floats:
    """Rupees of each payment; adapted campaigns stay within what the victim usually pays, some just under a limit."""
    rng, n = scene.rng, len(draft)
    spending = scene.world.spending[draft.payer]
    median, sigma = AMOUNTS[attack.amounts]
    rupees = median * np.sqrt(spending) * np.exp(sigma * rng.normal(0, 1, n))
    within = commerce.PERSON_MEDIAN * spending * np.exp(1.1 * rng.normal(0.6, 1, n))
    if attack.amounts != "test":
        rupees = np.where(adapted, np.minimum(rupees, within), rupees)
    rupees = rounded(np.clip(rupees, 1.0, commerce.PERSON_LIMIT), rng)
    limits = np.array([2_000.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0, 100_000.0])
    limit = limits[np.minimum(np.searchsorted(limits, rupees), len(limits) - 1)]
    hugging = (rng.random(n) < 0.08) & (rupees > limit * 0.5)
    return np.where(hugging, limit - np.where(rng.random(n) < 0.5, 1.0, limit / 50), rupees)


def payees(scene: Scene, attack: Attack, campaign: Ints, payer: Ints) -> Ints:
    """Mules; a campaign pays one of them or several, and never its victim."""
    rng, gang, count = scene.rng, scene.gang, int(campaign.max()) + 1
    pool = gang.shops if attack.payees == "shop_mule" else gang.mules
    mixed = np.where(
        rng.random(count) < 0.25,
        gang.mules[favoured(gang.mules, rng.random(count))],
        pool[favoured(pool, rng.random(count))],
    )
    one = mixed[campaign]
    many = pool[favoured(pool, rng.random(len(campaign)))]
    chosen = np.where((rng.random(count) < attack.one_payee)[campaign], one, many)
    return np.where(chosen == payer, gang.shops[0], chosen)


def begun(scene: Scene, attack: Attack, draft: Draft) -> None:
    """How the payments are begun, as `initiation_mode` and type."""
    rng, n = scene.rng, len(draft)
    if attack.begun == "collect":
        draft.collect[:] = True
        draft.mode[:] = MODE_COLLECT
    elif attack.begun == "qr":
        draft.mode[:] = np.where(rng.random(n) < 0.9, MODE_QR, MODE_INTENT)
    else:
        to_shop = scene.world.is_merchant(draft.payee)
        draft.mode[:] = np.where(
            rng.random(n) < np.where(to_shop, 0.75, 0.3),
            MODE_QR,
            np.where(rng.random(n) < 0.25, MODE_INTENT, MODE_MANUAL),
        )


def device(scene: Scene, attack: Attack, draft: Draft, campaign: Ints) -> None:
    """Whose device and SIM the payments come from."""
    rng, gang, count = scene.rng, scene.gang, int(campaign.max()) + 1
    if attack.device == "own":
        return
    theirs = gang.devices[favoured(gang.devices, rng.random(count))][campaign]
    farm = gang.farm[favoured(gang.farm, rng.random(count))][campaign]
    if attack.device == "clone":
        draft.hardware = theirs
        draft.rooted |= (rng.random(count) < 0.3)[campaign]
    elif attack.device == "farm":
        draft.device = draft.hardware = farm
        draft.emulator |= (rng.random(count) < 0.5)[campaign]
        draft.rooted |= (rng.random(count) < 0.25)[campaign]
        draft.charging |= rng.random(len(draft)) < 0.5
    elif attack.device == "enrolled":
        draft.device = draft.hardware = mix(draft.payer, campaign, 7)
        draft.device = draft.hardware = np.where((rng.random(count) < 0.4)[campaign], theirs, draft.device)
    else:
        draft.device = draft.hardware = theirs
        draft.rooted |= (rng.random(count) < 0.12)[campaign]
    if attack.sim == "gang":
        again = (rng.random(count) < 0.3)[campaign]
        draft.sim = np.where(again, mix(theirs, 9), mix(draft.payer, campaign, 9))


def hands(scene: Scene, attack: Attack, draft: Draft, adapted: Bools) -> None:
    """The rhythm of whoever types: an operator, a bot (some pace themselves as people do), a victim led from afar."""
    rng, n = scene.rng, len(draft)
    if attack.hands == "operator":
        draft.typing_ms = rng.normal(168, 20, n).clip(110, 260)
        draft.typing_spread_ms = draft.typing_ms * rng.uniform(0.16, 0.36, n)
        draft.tap_ms = np.exp(rng.normal(5.9, 0.3, n))
        draft.session_ms = np.exp(rng.normal(10.3, 0.6, n))
    elif attack.hands == "bot":
        draft.typing_ms = np.where(adapted, rng.normal(170, 12, n), rng.uniform(45, 105, n)).clip(30, 260)
        draft.typing_spread_ms = draft.typing_ms * np.where(
            adapted, rng.uniform(0.1, 0.32, n), rng.uniform(0.02, 0.18, n)
        )
        draft.tap_ms = np.exp(rng.normal(np.where(adapted, 5.9, 5.0), 0.3, n))
    elif attack.hands == "remote":
        draft.typing_ms *= np.exp(rng.normal(0.12, 0.15, n))
        draft.typing_spread_ms *= np.exp(rng.normal(0.25, 0.2, n))
        draft.tap_ms *= np.exp(rng.normal(0.2, 0.25, n))
    draft.session_ms *= attack.session * np.exp(rng.normal(0, 0.35, n))
    draft.on_call |= rng.random(n) < attack.on_call
    draft.screen_shared |= rng.random(n) < attack.screen_shared * np.where(adapted, 0.3, 1.0)
    draft.pasted |= rng.random(n) < attack.pasted
    draft.failed_pins += (rng.random(n) < attack.failed_pins) * rng.integers(1, 3, n)
    draft.revoked |= rng.random(n) < attack.revoked
    draft.risk *= np.exp(rng.normal(0.35, 0.5, n))


def place(scene: Scene, attack: Attack, draft: Draft, campaign: Ints, adapted: Bools) -> None:
    """Where the payments come from; adapted gangs put the GPS near the victim's home, or give none."""
    if attack.place == "own":
        return
    rng, gang, count, n = scene.rng, scene.gang, int(campaign.max()) + 1, len(draft)
    city = gang.city[rng.integers(0, len(gang.city), count)][campaign]
    near = (rng.random(count) < 0.25)[campaign]  # gangs hit their own city too
    city = np.where(near, scene.world.city[draft.payer], city)
    lat = geography.LATITUDES[city] + rng.normal(0, 0.06, count)[campaign]
    lon = geography.LONGITUDES[city] + rng.normal(0, 0.06, count)[campaign]
    draft.cell_lat, draft.cell_lon = lat + rng.normal(0, 0.012, n), lon + rng.normal(0, 0.012, n)
    home = (
        scene.world.home_lat[draft.payer] + rng.normal(0, 0.02, n),
        scene.world.home_lon[draft.payer] + rng.normal(0, 0.02, n),
    )
    seen_lat, seen_lon = np.where(adapted, home[0], lat), np.where(adapted, home[1], lon)
    draft.lat, draft.lon, draft.accuracy_m = gps_fix(seen_lat, seen_lon, rng, scene.lookalikes)
    draft.mocked |= adapted & (rng.random(n) < 0.3)
    draft.gps_lost |= ~adapted & (rng.random(n) < 0.25)
    through_proxy = adapted & (rng.random(count) < 0.6)[campaign]
    seen = np.where(through_proxy, scene.world.city[draft.payer], city)
    draft.net_lat = geography.LATITUDES[seen] + rng.normal(0, 0.05, n)
    draft.net_lon = geography.LONGITUDES[seen] + rng.normal(0, 0.05, n)
    address = mix(draft.hardware, draft.time // DAY_MS)
    draft.ip = (address & np.uint64(0xFFFFFF00)) | (np.uint64(27) + (address >> np.uint64(32)) % np.uint64(176))
