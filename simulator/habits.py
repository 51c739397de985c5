"""How a customer's payments look when nothing is wrong: place, device, network and rhythm for payers and times."""

import numpy as np

from simulator import geography
from simulator.arrays import DAY_MS, HOUR_MS, Bools, Floats, Ints, Words, mix, uniform
from simulator.draft import Draft
from simulator.places import places
from simulator.possessions import device_in_hand, sim
from simulator.world import World

_IP, _HUB, _ADDRESS = 41, 42, 43


def usual(world: World, payer: Ints, time: Ints, rng: np.random.Generator, lookalikes: float) -> Draft:
    """Drafts of everyday payments; payee, amount and how it was begun are still to be filled in."""
    n = len(payer)
    lat, lon, city = places(world, payer, time, lookalikes)
    device, shared = device_in_hand(world, payer, time, rng, lookalikes)
    fix_lat, fix_lon, accuracy = gps_fix(lat, lon, rng, lookalikes)
    ip, net_lat, net_lon = network(world, payer, time, city, rng, lookalikes)
    hand = np.where(shared, world.partner(payer), payer)  # on a relative's phone, often the relative types
    battery = np.clip(100 * rng.beta(2.2, 1.6, n), 1, 100)
    pins = rng.random(n)
    return Draft(
        time=time,
        payer=payer,
        payee=np.zeros(n, dtype=np.int64),
        rupees=np.zeros(n),
        kind=np.zeros(n, dtype=np.int64),
        collect=np.zeros(n, dtype=np.bool_),
        mode=np.zeros(n, dtype=np.int64),
        purpose=np.zeros(n, dtype=np.int64),
        device=device,
        hardware=device,
        sim=sim(world, payer, time, lookalikes),
        lat=fix_lat,
        lon=fix_lon,
        accuracy_m=accuracy,
        mocked=rng.random(n) < 0.002,
        gps_lost=rng.random(n) < 0.06,
        net_lat=net_lat,
        net_lon=net_lon,
        cell_lat=lat + rng.normal(0, 0.012, n),
        cell_lon=lon + rng.normal(0, 0.012, n),
        ip=ip,
        battery=battery,
        charging=rng.random(n) < 0.35 - battery / 400,
        rooted=uniform(device, 1) < 0.012,
        emulator=uniform(device, 2) < 0.0015,
        typing_ms=world.typing_ms[hand] * np.exp(rng.normal(0, 0.11, n)),
        typing_spread_ms=world.typing_spread_ms[hand] * np.exp(rng.normal(0, 0.2, n)),
        tap_ms=world.tap_ms[hand] * np.exp(rng.normal(0, 0.22, n)),
        session_ms=world.session_ms[hand] * np.exp(rng.normal(0, 0.55, n)),
        pasted=rng.random(n) < 0.05,
        screen_shared=rng.random(n) < 0.003,
        on_call=rng.random(n) < 0.025,
        failed_pins=(pins < 0.035).astype(np.int64) + (pins < 0.006) + (pins < 0.0008),
        revoked=uniform(payer, time // (60 * DAY_MS)) < 0.0006,
        risk=np.exp(rng.normal(6.2, 1.1, n)),
    )


def gps_fix(lat: Floats, lon: Floats, rng: np.random.Generator, lookalikes: float) -> tuple[Floats, Floats, Floats]:
    """What the phone reports for a true place: noise as its accuracy says, and now and then a fix far off."""
    n = len(lat)
    accuracy = np.exp(rng.normal(2.9, 0.8, n))
    accuracy = np.where(rng.random(n) < 0.05 * min(lookalikes, 4), rng.uniform(300, 3000, n), accuracy)
    far = rng.random(n) < 0.0015 * lookalikes
    spread = np.where(far, rng.uniform(0.1, 2.0, n), accuracy / 111_000)
    return lat + spread * rng.normal(0, 0.7, n), lon + spread * rng.normal(0, 0.7, n), accuracy


def network(
    world: World, payer: Ints, time: Ints, city: Ints, rng: np.random.Generator, lookalikes: float
) -> tuple[Words, Floats, Floats]:
    """Network address and the place it seems to be: home Wi-Fi, a mobile network's shared address, or a VPN."""
    draw = rng.random(len(payer))
    at_home: Bools = (draw < 0.45) & (city == world.city[payer])
    lease = np.where(at_home, time // (11 * DAY_MS), time // (3 * HOUR_MS))
    ip = _address(mix(world.seed, _IP, payer, lease))
    hub = (mix(_HUB, city) % np.uint64(geography.HUBS)).astype(np.int64)
    seen = np.where(~at_home & (draw > 0.7), hub, city)
    net_lat = geography.LATITUDES[seen] + rng.normal(0, 0.05, len(payer))
    net_lon = geography.LONGITUDES[seen] + rng.normal(0, 0.05, len(payer))
    tunnel = np.flatnonzero(world.vpn[payer] & (rng.random(len(payer)) < 0.6 * min(lookalikes, 1.5)))
    exits = (mix(_ADDRESS, payer[tunnel]) % np.uint64(len(geography.VPN_EXITS))).astype(np.int64)
    ip[tunnel] = _address(mix(_ADDRESS, exits, lease[tunnel] % 40))
    net_lat[tunnel], net_lon[tunnel] = geography.VPN_EXITS[exits, 0], geography.VPN_EXITS[exits, 1]
    return ip, net_lat, net_lon


def _address(word: Words) -> Words:
    """A public-looking IPv4 address: first octet 27 to 202."""
    first = np.uint64(27) + (word >> np.uint64(32)) % np.uint64(176)
    return first | (word & np.uint64(0xFFFFFF00))
