"""Honest payments of a stretch of time: who pays when, whom, how much."""

import numpy as np

from simulator import calendar, commerce, neighbourhood
from simulator.arrays import HOUR_MS, Bools, Floats, Ints, uniform
from simulator.draft import Draft
from simulator.habits import usual
from simulator.world import FAVOURITE_SHOPS, FRIENDS, World

PAIR = 51
MODE_MANUAL, MODE_QR, MODE_SECURE_QR, MODE_INTENT, MODE_COLLECT = 0, 1, 2, 4, 10


def arrivals(world: World, start_ms: int, end_ms: int, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """`count` payers and times (epoch ms, ascending) within the span, by everybody's hours and activity."""
    edges = np.arange(start_ms // HOUR_MS, -(-end_ms // HOUR_MS)) * HOUR_MS
    low, high = np.maximum(edges, start_ms), np.minimum(edges + HOUR_MS, end_ms)
    weights = (
        calendar.HOUR_WEIGHTS[:, calendar.india_hour(edges)]
        * ((high - low) / HOUR_MS)
        * world.profile_activity[:, None]
    )
    cells = rng.multinomial(count, (weights / weights.sum()).ravel()).reshape(weights.shape)
    payers, times = [], []
    for profile, hours in enumerate(cells):
        n = int(hours.sum())
        draw = np.searchsorted(world.profile_cumulative[profile], rng.random(n))
        payers.append(
            world.by_profile[profile][np.minimum(draw, len(world.by_profile[profile]) - 1)]
            if n
            else np.zeros(0, np.int64)
        )
        cell = np.repeat(np.arange(len(edges)), hours)
        times.append(low[cell] + (rng.random(n) * (high - low)[cell]).astype(np.int64))
    payer, time = np.concatenate(payers), np.concatenate(times)
    payer = _joined(world, payer, time)
    order = np.argsort(time, kind="stable")
    return payer[order], time[order]


def _joined(world: World, payer: Ints, time: Ints) -> Ints:
    """Who pays in place of those who have not joined yet: somebody of the family, or of the street."""
    payer = payer.copy()
    for step in range(1, 4):
        early = np.flatnonzero(world.registered_at[payer] > time)
        other = (payer[early] + step) % world.payers
        payer[early] = np.where(world.activity[other] > 0, other, payer[early])
    return payer


def honest(world: World, start_ms: int, end_ms: int, count: int, rng: np.random.Generator, lookalikes: float) -> Draft:
    """Drafts of `count` honest payments, by time."""
    payer, time = arrivals(world, start_ms, end_ms, count, rng)
    draft = usual(world, payer, time, rng, lookalikes)
    to_merchant = rng.random(count) < world.merchant_share[payer]
    for rows, choose in ((to_merchant, _shopping), (~to_merchant, _between_persons)):
        choose(world, draft, np.flatnonzero(rows), rng, lookalikes)
    return draft


def _shopping(world: World, draft: Draft, rows: Ints, rng: np.random.Generator, lookalikes: float) -> None:
    """A favourite shop, or another one; amounts by its line of business."""
    payer, n = draft.payer[rows], len(rows)
    rank = (FAVOURITE_SHOPS * rng.random(n) ** 2.2).astype(np.int64)
    other = world.shop(world.city[payer], rng.random(n) < 0.12, rng.random(n))
    payee = np.where(rng.random(n) < 0.68, world.favourite_shop(payer, rank), other)
    new = rng.random(n) < neighbourhood.NEW_SHOP * lookalikes
    payee = np.where(new, neighbourhood.new_shop(world, payer, draft.time[rows], rng), payee)
    category = world.merchant_category[payee - world.payers]
    online = rng.random(n) < commerce.ONLINE[category]
    amount = (
        commerce.MEDIANS[category]
        * np.sqrt(world.spending[payer])
        * np.exp(commerce.SIGMAS[category] * rng.normal(0, 1, n))
    )
    draft.payee[rows] = payee
    draft.rupees[rows] = _priced(np.minimum(amount, commerce.MERCHANT_LIMIT), rng)
    collect = online & (rng.random(n) < 0.18)
    draft.collect[rows] = collect
    at_counter = np.where(rng.random(n) < 0.2, MODE_SECURE_QR, MODE_QR)
    draft.mode[rows] = np.where(collect, MODE_COLLECT, np.where(online, MODE_INTENT, at_counter))
    quick = np.where(online, 1.0, 0.6)
    draft.session_ms[rows] *= quick


def _between_persons(world: World, draft: Draft, rows: Ints, rng: np.random.Generator, lookalikes: float) -> None:
    """Friends and family, rent, collections, hawkers, strangers, and now and then a deposit to one of them."""
    payer, time, n = draft.payer[rows], draft.time[rows], len(rows)
    rank = (FRIENDS * rng.random(n) ** 1.8).astype(np.int64)
    stranger = rng.random(n) < 0.12 + 0.08 * lookalikes
    payee = np.where(stranger, any_person(world, payer, rng), world.friend(payer, rank))
    pair = np.exp(0.7 * (uniform(world.seed, PAIR, payer, payee) - 0.5) * 2)
    usual_amount = commerce.PERSON_MEDIAN * world.spending[payer] * pair
    amount = usual_amount * np.exp(commerce.PERSON_SIGMA * rng.normal(0, 1, n))
    buys = ~stranger & (rng.random(n) < neighbourhood.HAWKER)
    payee = np.where(buys, neighbourhood.hawker(world, payer, rng), payee)
    amount = np.where(buys, commerce.HAWKER_MEDIAN * np.exp(commerce.HAWKER_SIGMA * rng.normal(0, 1, n)), amount)
    collected, organiser = neighbourhood.organiser(world, payer, time, lookalikes)
    gives = collected & ~stranger & ~buys & (rng.random(n) < neighbourhood.GIVES)
    payee = np.where(gives, organiser, payee)
    amount = np.where(gives, rng.choice(neighbourhood.GIFTS, n), amount)
    settles = rng.random(n) < neighbourhood.SETTLES
    settles[settles] = neighbourhood.settling(world, payer[settles], time[settles], lookalikes)
    payee = np.where(settles, any_person(world, payer, rng), payee)
    deposit = settles | (stranger & (rng.random(n) < 0.08 * lookalikes))
    deals = deposit & (rng.random(n) < neighbourhood.DEALS)
    payee = np.where(deals, neighbourhood.dealer(world, payer, rng), payee)
    large = commerce.DEPOSIT_MEDIAN * world.spending[payer] * np.exp(commerce.DEPOSIT_SIGMA * rng.normal(0, 1, n))
    amount = np.where(deposit, large, amount)
    first_days = calendar.month_day(calendar.india_day(time)) <= 5
    rent = first_days & (rng.random(n) < 0.08) & ~stranger & ~settles
    rooms = commerce.RENT_LOW + (commerce.RENT_HIGH - commerce.RENT_LOW) * uniform(world.seed, PAIR, payer) ** 2
    amount = np.where(rent, rooms * np.sqrt(world.spending[payer]), amount)
    payee = np.where(rent, neighbourhood.landlord(world, payer), payee)
    draft.payee[rows] = np.where(payee == payer, world.payers + world.merchants + payer % world.outside, payee)
    draft.rupees[rows] = rounded(np.minimum(amount, commerce.PERSON_LIMIT), rng)
    code = np.where(buys, 0.95, 0.35)
    draft.mode[rows] = np.where(rng.random(n) < code, MODE_QR, np.where(rng.random(n) < 0.15, MODE_INTENT, MODE_MANUAL))
    attentive = stranger & (rng.random(n) < 0.3 * lookalikes)
    draft.session_ms[rows] *= np.where(attentive | deposit, 1.8, 1.0)
    draft.on_call[rows] |= (deposit & (rng.random(n) < 0.12)) | (attentive & (rng.random(n) < 0.08))
    draft.pasted[rows] |= stranger & (rng.random(n) < 0.3)


def any_person(world: World, payer: Ints, rng: np.random.Generator) -> Ints:
    """Somebody of the same city, or an account at another bank; never the payer."""
    city = world.city[payer]
    start, size = world.city_start[city], world.city_start[city + 1] - world.city_start[city]
    near = start + (payer - start + 1 + (rng.random(len(payer)) * (size - 1)).astype(np.int64)) % size
    outside = world.payers + world.merchants + rng.integers(0, world.outside, len(payer))
    return np.where((rng.random(len(payer)) < 0.55) & (near != payer) & (world.activity[near] > 0), near, outside)


def rounded(rupees: Floats, rng: np.random.Generator) -> Floats:
    """Whole amounts as persons choose them: most often a multiple of 10, 50, 100, 500 or 1,000 that suits the size."""
    step = 10.0 ** np.clip(np.floor(np.log10(np.maximum(rupees, 1.0))) - 1, 0, 3)
    coarse = np.where(rng.random(len(rupees)) < 0.4, 5 * step, step)
    chosen: Bools = rng.random(len(rupees)) < 0.8
    return np.maximum(np.where(chosen, np.round(rupees / coarse) * coarse, np.round(rupees)), 1.0)


def _priced(rupees: Floats, rng: np.random.Generator) -> Floats:
    """Prices: whole rupees, tens, or with paise."""
    draw = rng.random(len(rupees))
    whole = np.where(draw < 0.35, np.round(rupees / 10) * 10, np.round(rupees))
    return np.maximum(np.where(draw > 0.85, np.round(rupees, 2), whole), 1.0)
