"""What the building blocks of `attacks.kinds` mean: each changes part of the drafts of a kind's payments."""

import numpy as np

from simulator import calendar, commerce, geography
from simulator.arrays import DAY_MS, Bools, Floats, Ints, mix
from simulator.attacks.aspects import Aspect
from simulator.attacks.attack import Attack, Victims
from simulator.attacks.gang import favoured
from simulator.attacks.scene import Scene
from simulator.draft import Draft
from simulator.habits import gps_fix
from simulator.honest import MODE_COLLECT, MODE_INTENT, MODE_MANUAL, MODE_QR, rounded

Adapted = dict[Aspect, Bools]
"""For each aspect, whether each payment's campaign is adapted in it."""


def victims(scene: Scene, block: Victims, count: int) -> Ints:
    """Customers to hit. `prey` are more often elderly, `saver` seldom pay."""
    world, rng = scene.world, scene.rng
    tries = rng.integers(0, world.payers, (count, 6))
    liking = rng.random((count, 6)) * (world.activity[tries] > 0)
    if block == "prey":
        liking *= np.where(world.profile[tries] == calendar.ELDER, 1.6, 1.0)
    elif block == "saver":
        liking *= 1.0 / (0.3 + world.activity[tries])
    else:
        liking *= 0.5 + np.minimum(world.activity[tries], 2.0)
    return tries[np.arange(count), liking.argmax(axis=1)]


def amounts(scene: Scene, attack: Attack, draft: Draft, adapted: Adapted) -> Floats:
    """Rupees of each payment; adapted campaigns stay within what the victim usually pays, some just under a limit."""
    rng, n = scene.rng, len(draft)
    spending = scene.world.spending[draft.payer]
    rupees = attack.amounts.median_rupees * np.sqrt(spending) * np.exp(attack.amounts.spread * rng.normal(0, 1, n))
    within = commerce.PERSON_MEDIAN * spending * np.exp(1.1 * rng.normal(1.1, 1, n))
    if attack.amounts.adapts:
        rupees = np.where(adapted["amount"], np.minimum(rupees, within), rupees)
    rupees = rounded(np.clip(rupees, 1.0, commerce.PERSON_LIMIT), rng)
    limits = np.array([2_000.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0, 100_000.0])
    limit = limits[np.minimum(np.searchsorted(limits, rupees), len(limits) - 1)]
    hugging = (rng.random(n) < 0.08) & (rupees > limit * 0.5)
    return np.where(hugging, limit - np.where(rng.random(n) < 0.5, 1.0, limit / 50), rupees)


def payees(scene: Scene, attack: Attack, campaign: Ints, payer: Ints, time: Ints) -> Ints:
    """Mules that are in use; a campaign pays one of them or several, and never its victim."""
    rng, count = scene.rng, int(campaign.max()) + 1
    begin = time[np.searchsorted(campaign, np.arange(count))]
    other = rng.random(count) < 0.15  # not every shop's code belongs to a shop
    one = np.where(other, scene.mules("mule", begin), scene.mules(attack.payees, begin))[campaign]
    many = scene.mules(attack.payees, time)
    chosen = np.where((rng.random(count) < attack.one_payee)[campaign], one, many)
    return np.where(chosen == payer, scene.gang.shops[0], chosen)


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
        again = (rng.random(count) < 0.5)[campaign]  # a SIM that took over another customer's number before
        draft.sim = np.where(again, mix(theirs, 9), mix(draft.payer, campaign, 9))


def hands(scene: Scene, attack: Attack, draft: Draft, adapted: Adapted) -> None:
    """The rhythm of whoever types: an operator, a bot (some pace themselves as people do), a victim led from afar."""
    rng, n, human = scene.rng, len(draft), adapted["rhythm"]
    if attack.hands == "operator":
        # adapted: the victim's rhythm, as malware recorded it, played back
        draft.typing_ms = np.where(human, draft.typing_ms, rng.normal(168, 20, n).clip(110, 260))
        spread = draft.typing_ms * rng.uniform(0.16, 0.36, n)
        draft.typing_spread_ms = np.where(human, draft.typing_spread_ms, spread)
        draft.tap_ms = np.where(human, draft.tap_ms, np.exp(rng.normal(5.9, 0.3, n)))
        draft.session_ms = np.exp(rng.normal(10.3, 0.6, n))
    elif attack.hands == "bot":
        draft.typing_ms = np.where(human, rng.normal(170, 12, n), rng.uniform(45, 105, n)).clip(30, 260)
        draft.typing_spread_ms = draft.typing_ms * np.where(
            human, rng.uniform(0.1, 0.32, n), rng.uniform(0.02, 0.18, n)
        )
        draft.tap_ms = np.exp(rng.normal(np.where(human, 5.9, 5.0), 0.3, n))
    elif attack.hands == "remote":
        draft.typing_ms *= np.exp(rng.normal(0.12, 0.15, n))
        draft.typing_spread_ms *= np.exp(rng.normal(0.25, 0.2, n))
        draft.tap_ms *= np.exp(rng.normal(0.2, 0.25, n))
    draft.session_ms *= attack.session * np.exp(rng.normal(0, 0.35, n))
    draft.on_call |= rng.random(n) < attack.on_call
    draft.screen_shared |= rng.random(n) < attack.screen_shared * np.where(human, 0.3, 1.0)
    draft.pasted |= rng.random(n) < attack.pasted
    draft.failed_pins += (rng.random(n) < attack.failed_pins) * rng.integers(1, 3, n)
    draft.revoked |= rng.random(n) < attack.revoked
    rated(scene, draft)


def rated(scene: Scene, draft: Draft) -> None:
    """The network's own models see something of it: NPCI rates payments for its banks (how well is assumed)."""
    draft.risk *= np.exp(scene.rng.normal(0.8, 0.6, len(draft)))


def place(scene: Scene, attack: Attack, draft: Draft, campaign: Ints, adapted: Adapted) -> None:
    """Where the payments come from; adapted gangs put the GPS near the victim's home, or give none."""
    if attack.place == "own":
        return
    rng, gang, count, n = scene.rng, scene.gang, int(campaign.max()) + 1, len(draft)
    near_home = adapted["location"]
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
    seen_lat, seen_lon = np.where(near_home, home[0], lat), np.where(near_home, home[1], lon)
    draft.lat, draft.lon, draft.accuracy_m = gps_fix(seen_lat, seen_lon, rng, scene.lookalikes)
    draft.mocked |= near_home & (rng.random(n) < 0.3)
    draft.gps_lost |= ~near_home & (rng.random(n) < 0.25)
    through_proxy = near_home & (rng.random(count) < 0.6)[campaign]
    seen = np.where(through_proxy, scene.world.city[draft.payer], city)
    draft.net_lat = geography.LATITUDES[seen] + rng.normal(0, 0.05, n)
    draft.net_lon = geography.LONGITUDES[seen] + rng.normal(0, 0.05, n)
    address = mix(draft.hardware, draft.time // DAY_MS)
    draft.ip = (address & np.uint64(0xFFFFFF00)) | (np.uint64(27) + (address >> np.uint64(32)) % np.uint64(176))
