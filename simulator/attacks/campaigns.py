"""Attack campaigns of a stretch of time, of every kind, as drafts."""

from collections.abc import Mapping
from datetime import date

import numpy as np

from simulator.arrays import DAY_MS, MINUTE_MS, Bools, Ints
from simulator.attacks import blocks
from simulator.attacks.attack import Attack
from simulator.attacks.relay import proceeds, relay
from simulator.attacks.scene import Scene
from simulator.draft import Draft, concatenate
from simulator.habits import usual
from simulator.scenario import Scenario


def campaigns(scene: Scene, scenario: Scenario, weights: Mapping[str, float], frauds: float) -> Draft | None:
    """About `frauds` fraudulent payments that begin within the scene's span, kinds by weight; None for none at all.

    Kinds that pass on what others brought come last.
    """
    drafts: list[Draft] = []
    for name, weight in sorted(weights.items(), key=lambda item: scenario.kinds[item[0]].relay == "proceeds"):
        draft = _of_kind(scene.of_kind(name), name, scenario.kinds[name], weight * frauds, drafts)
        if draft is not None:
            draft.kind[:] = 1 + scenario.names.index(name)
            drafts.append(draft)
    return concatenate(drafts) if drafts else None


def _of_kind(scene: Scene, name: str, attack: Attack, frauds: float, others: list[Draft]) -> Draft | None:
    wanted = frauds / (sum(attack.payments) / 2)
    count = int(wanted) + int(scene.rng.random() < wanted % 1)
    if not count:
        return None
    if attack.relay == "proceeds":
        draft = proceeds(scene, name, attack, count, concatenate(others) if others else None)
    elif attack.relay == "none":
        draft = _strike(scene, name, attack, count)
    else:
        draft = relay(scene, name, attack, count)
    if draft is None:
        return None
    inside = _in_season(attack, draft.time)
    return draft.take(inside) if inside.any() else None


def _in_season(attack: Attack, time: Ints) -> Bools:
    """Whether payments lie within the days (UTC) in which the kind occurs."""
    first, end = (_midnight(day) if day else None for day in (attack.begins, attack.until))
    return (time >= (first if first is not None else 0)) & (time < (end if end is not None else 2**62))


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS


def _strike(scene: Scene, name: str, attack: Attack, count: int) -> Draft:
    """Campaigns against one victim each."""
    rng = scene.rng
    sizes = rng.integers(attack.payments[0], attack.payments[1] + 1, count)
    campaign = np.repeat(np.arange(count), sizes)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    payer = blocks.victims(scene, attack.victims, count)[campaign]
    adapted = {aspect: chosen[campaign] for aspect, chosen in scene.adapted(name, count).items()}
    begin = scene.starts(attack, count)[campaign]
    gaps = (rng.exponential(attack.gap_minutes, len(campaign)) * MINUTE_MS).astype(np.int64) + 4_000
    gaps[first] = 0
    elapsed = np.cumsum(gaps)
    at_once = begin + elapsed - elapsed[first][campaign]
    drip = scene.spread(payer, begin, np.arange(len(campaign)) - first[campaign])
    time = np.where(adapted["timing"], drip, at_once)
    draft = usual(scene.world, payer, time, rng, scene.lookalikes)
    draft.payee = blocks.payees(scene, attack, campaign, payer, time)
    draft.rupees = blocks.amounts(scene, attack, draft, adapted)
    blocks.begun(scene, attack, draft)
    blocks.device(scene, attack, draft, campaign)
    blocks.hands(scene, attack, draft, adapted)
    blocks.place(scene, attack, draft, campaign, adapted)
    return draft
