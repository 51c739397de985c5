"""Money that moves on: several payers into one account within hours (fan-in), and out again to the next mules.

The payments into it come from deceived customers by their own hand, those out of it from the mule's own device:
nothing about device, place or rhythm is wrong. A dormant account does the same after a long silence.
"""

import numpy as np

from simulator.arrays import MINUTE_MS, Ints
from simulator.attacks import blocks
from simulator.attacks.blocks import Scene
from simulator.attacks.gang import favoured
from simulator.attacks.kinds import Attack
from simulator.draft import Draft
from simulator.habits import usual


def relay(scene: Scene, attack: Attack, count: int) -> Draft:
    """`count` accounts that collect and pass on, each with the attack's number of payments in all."""
    rng = scene.rng
    sizes = rng.integers(attack.payments[0], attack.payments[1] + 1, count)
    campaign = np.repeat(np.arange(count), sizes)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    order = np.arange(len(campaign)) - first[campaign]
    inward = order < np.maximum(sizes * 0.6, 1).astype(np.int64)[campaign]
    hub = _hubs(scene, attack, count)[campaign]
    payer = np.where(inward, blocks.victims(scene, "anyone", len(campaign)), hub)
    following = scene.gang.mules[favoured(scene.gang.mules, rng.random(len(campaign)))]
    payee = np.where(inward, hub, following)
    payer = np.where(payer == payee, (payer + 1) % scene.world.payers, payer)
    opening = blocks.starts(scene, attack.hours, count)[campaign]
    collecting = (rng.random(len(campaign)) * 150 * MINUTE_MS).astype(np.int64)
    passing = ((155 + attack.gap_minutes * order + rng.exponential(6, len(campaign))) * MINUTE_MS).astype(np.int64)
    draft = usual(scene.world, payer, opening + np.where(inward, collecting, passing), rng, scene.lookalikes)
    draft.payee = payee
    adapted = (rng.random(count) < scene.adapted)[campaign]
    draft.rupees = blocks.amounts(scene, attack, draft, adapted)
    _pass_on(scene, draft, campaign, inward, count)
    blocks.begun(scene, attack, draft)
    blocks.hands(scene, attack, draft, adapted)
    return draft


def _hubs(scene: Scene, attack: Attack, count: int) -> Ints:
    """The collecting accounts: a gang's customers, or accounts that never pay otherwise."""
    if attack.relay == "dormant":
        dormant = np.flatnonzero(scene.world.activity == 0)
        if len(dormant):
            return scene.rng.choice(dormant, count)
    return scene.gang.customers[favoured(scene.gang.customers, scene.rng.random(count))]


def _pass_on(scene: Scene, draft: Draft, campaign: Ints, inward: np.ndarray, count: int) -> None:
    """Sets the outward amounts: 85 to 98 % of what came in, in unequal parts."""
    came_in = np.bincount(campaign, np.where(inward, draft.rupees, 0.0), count)
    part = np.where(inward, 0.0, scene.rng.uniform(0.4, 1.0, len(campaign)))
    parts = np.maximum(np.bincount(campaign, part, count), 1e-9)
    share = part / parts[campaign] * scene.rng.uniform(0.85, 0.98, count)[campaign]
    draft.rupees = np.where(inward, draft.rupees, np.clip(np.round(came_in[campaign] * share), 1.0, 100_000.0))
