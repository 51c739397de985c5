"""Attack campaigns of a stretch of time, of every kind, as drafts."""

import numpy as np

from simulator.arrays import MINUTE_MS, Ints
from simulator.attacks import blocks
from simulator.attacks.blocks import Scene
from simulator.attacks.kinds import ATTACKS, KINDS, Attack
from simulator.attacks.relay import relay
from simulator.draft import Draft, concatenate
from simulator.habits import usual


def campaigns(scene: Scene, weights: dict[str, float], frauds: float) -> Draft | None:
    """About `frauds` fraudulent payments that begin within the scene's span, kinds by weight; None for none at all."""
    drafts = []
    for name, weight in weights.items():
        attack = ATTACKS[name]
        wanted = frauds * weight / (sum(attack.payments) / 2)
        count = int(wanted) + int(scene.rng.random() < wanted % 1)
        if count:
            draft = relay(scene, attack, count) if attack.relay else _strike(scene, attack, count)
            draft.kind[:] = 1 + KINDS.index(name)
            drafts.append(draft)
    return concatenate(drafts) if drafts else None


def schedule(scene: Scene, attack: Attack, count: int) -> tuple[Ints, Ints]:
    """Campaign number and time (epoch ms) of every payment of `count` campaigns."""
    sizes = scene.rng.integers(attack.payments[0], attack.payments[1] + 1, count)
    campaign = np.repeat(np.arange(count), sizes)
    gaps = (scene.rng.exponential(attack.gap_minutes, len(campaign)) * MINUTE_MS).astype(np.int64) + 4_000
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    gaps[first] = 0
    elapsed = np.cumsum(gaps)
    return campaign, blocks.starts(scene, attack.hours, count)[campaign] + elapsed - elapsed[first][campaign]


def _strike(scene: Scene, attack: Attack, count: int) -> Draft:
    """Campaigns against one victim each."""
    campaign, time = schedule(scene, attack, count)
    payer = blocks.victims(scene, attack.victims, count)[campaign]
    draft = usual(scene.world, payer, time, scene.rng, scene.lookalikes)
    adapted = (scene.rng.random(count) < scene.adapted)[campaign]
    draft.payee = blocks.payees(scene, attack, campaign, payer)
    draft.rupees = blocks.amounts(scene, attack, draft, adapted)
    blocks.begun(scene, attack, draft)
    blocks.device(scene, attack, draft, campaign)
    blocks.hands(scene, attack, draft, adapted)
    blocks.place(scene, attack, draft, campaign, adapted)
    return draft
