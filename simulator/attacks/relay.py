"""Money that moves on: several payers into one account within hours (fan-in), and out again to the next mules.

The payments into it come from deceived customers by their own hand, those out of it from the mule's own device:
nothing about device, place or rhythm is wrong. A dormant account does the same after a long silence. Adapted in
timing, the money rests for hours or a day before it goes on.
"""

import numpy as np

from simulator.arrays import MINUTE_MS, Bools, Floats, Ints
from simulator.attacks import blocks
from simulator.attacks.attack import Attack
from simulator.attacks.scene import Scene
from simulator.draft import Draft
from simulator.habits import usual

_COLLECTING_MINUTES = 360.0
"""How long an account collects before it passes on (assumed: within hours)."""
_RESTING_MINUTES = (240.0, 1800.0)
"""How long money rests in an account that is adapted in timing."""


def relay(scene: Scene, name: str, attack: Attack, count: int) -> Draft:
    """`count` accounts that collect and pass on, each with the attack's number of payments in all."""
    rng = scene.rng
    sizes = rng.integers(attack.payments[0], attack.payments[1] + 1, count)
    campaign = np.repeat(np.arange(count), sizes)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    order = np.arange(len(campaign)) - first[campaign]
    inward = order < np.maximum(sizes * 0.6, 1).astype(np.int64)[campaign]
    begin = scene.starts(attack, count)
    adapted = {aspect: chosen[campaign] for aspect, chosen in scene.adapted(name, count).items()}
    time = _times(scene, attack, begin[campaign], inward, order, adapted["timing"], count, campaign)
    hub = _hubs(scene, attack, begin)[campaign]
    payer = np.where(inward, blocks.victims(scene, attack.victims, len(campaign)), hub)
    payee = np.where(inward, hub, _next(scene, hub, time))
    payer = np.where(payer == payee, (payer + 1) % scene.world.payers, payer)
    draft = usual(scene.world, payer, time, rng, scene.lookalikes)
    draft.payee = payee
    draft.rupees = blocks.amounts(scene, attack, draft, adapted)
    _pass_on(scene, draft, campaign, inward, count)
    blocks.begun(scene, attack, draft)
    blocks.hands(scene, attack, draft, adapted)
    _quiet(draft, ~inward)
    return draft


def proceeds(scene: Scene, name: str, attack: Attack, count: int, brought: Draft | None) -> Draft | None:
    """What mules who are customers of this bank pass on of `count` payments that other attacks brought them."""
    rng = scene.rng
    receipts = np.flatnonzero(brought.payee < scene.world.payers) if brought is not None else np.zeros(0, np.int64)
    if brought is None or not len(receipts):
        return None
    receipts = rng.permutation(receipts)[:count]
    sizes = rng.integers(attack.payments[0], attack.payments[1] + 1, len(receipts))
    campaign = np.repeat(np.arange(len(receipts)), sizes)
    adapted = {aspect: chosen[campaign] for aspect, chosen in scene.adapted(name, len(receipts)).items()}
    received = receipts[campaign]
    resting = np.where(
        adapted["timing"],
        rng.uniform(*_RESTING_MINUTES, len(campaign)),
        rng.exponential(attack.gap_minutes, len(campaign)),
    )
    time = brought.time[received] + ((3 + resting) * MINUTE_MS).astype(np.int64)
    hub = brought.payee[received]
    draft = usual(scene.world, hub, np.minimum(time, scene.end_ms - 1 + scene.reach_ms), rng, scene.lookalikes)
    draft.payee = _next(scene, hub, draft.time)
    part = rng.uniform(0.4, 1.0, len(campaign))
    share = part / np.bincount(campaign, part)[campaign] * rng.uniform(0.85, 0.98, len(receipts))[campaign]
    draft.rupees = np.clip(np.round(brought.rupees[received] * share), 1.0, 100_000.0)
    blocks.begun(scene, attack, draft)
    blocks.rated(scene, draft)
    return draft


def _times(
    scene: Scene, attack: Attack, begin: Ints, inward: Bools, order: Ints, rests: Bools, count: int, campaign: Ints
) -> Ints:
    """Collecting takes up to `_COLLECTING_MINUTES`; then what came in goes out, one payment after another."""
    rng = scene.rng
    collecting = rng.random(len(begin)) * _COLLECTING_MINUTES
    passing = _COLLECTING_MINUTES + 5 + attack.gap_minutes * order + rng.exponential(6, len(begin))
    resting = rng.uniform(*_RESTING_MINUTES, count)[campaign]
    minutes = np.where(inward, collecting, np.where(rests, passing + resting, passing))
    latest = scene.end_ms - 1 + scene.reach_ms
    return np.asarray(np.minimum(begin + (minutes * MINUTE_MS).astype(np.int64), latest), dtype=np.int64)


def _hubs(scene: Scene, attack: Attack, begin: Ints) -> Ints:
    """The collecting accounts: a gang's customers, or accounts that never pay otherwise."""
    draw = scene.rng.random(len(begin))
    if attack.relay == "dormant":
        dormant = np.flatnonzero(scene.world.activity == 0)
        if len(dormant):
            return dormant[(draw * len(dormant)).astype(np.int64)]
    return scene.gang.hub(begin, draw)


def _next(scene: Scene, hub: Ints, time: Ints) -> Ints:
    """The next mule in the chain."""
    following = scene.mules("mule", time)
    return np.where(following == hub, scene.gang.shops[0], following)


def _quiet(draft: Draft, rows: Bools) -> None:
    """A mule who passes money on is led by nobody: no call, no long session."""
    draft.on_call &= ~rows
    draft.session_ms = np.where(rows, draft.session_ms * 0.6, draft.session_ms)


def _pass_on(scene: Scene, draft: Draft, campaign: Ints, inward: Bools, count: int) -> None:
    """Sets the outward amounts: 85 to 98 % of what came in, in unequal parts."""
    came_in = np.bincount(campaign, np.where(inward, draft.rupees, 0.0), count)
    part: Floats = np.where(inward, 0.0, scene.rng.uniform(0.4, 1.0, len(campaign)))
    parts = np.maximum(np.bincount(campaign, part, count), 1e-9)
    share = part / parts[campaign] * scene.rng.uniform(0.85, 0.98, count)[campaign]
    draft.rupees = np.where(inward, draft.rupees, np.clip(np.round(came_in[campaign] * share), 1.0, 100_000.0))
