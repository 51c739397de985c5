"""Chunks of payments one after another, compiled: risk looked up, payments judged, entities moved on, news published.

What `agents.scoring` and `agents.entities` do in turns, on records in memory. See `models.passage` for what a chunk is.
"""

from typing import Any

import numpy as np

from models.engine import CLAMPED, DUPLICATE, FIRST_PAYEE, NEW_DEVICE, NEW_SIM, judge
from models.entity_risk import see
from models.entity_state import VALUES, move, publish
from models.jit import compiled
from schemas.entity_activity import FIRST_TIME, LAYERED, OUTFLOW

VERDICT = np.dtype([("known_at", "i8"), ("row", "i8"), ("event_time", "i8"), ("flags", "u1")])
"""A verdict that an entity, by its row, has still to be told of; times in epoch ms."""
PAYEE, DEVICE, SIM, PAYER = range(4)
"""Columns of the entities' rows, in the order of `models.entity_risk.SEEN`."""


@compiled
def pass_chunks(
    bounds: Any, times: Any, payments: Any, payers: Any, rows: Any, entities: Any, seen: Any, published: Any,
    verdicts: Any, risk: Any, status: Any, features: Any,
) -> Any:  # fmt: skip
    """Judge payments (n,) of PAYMENT in chunks from each of `bounds` (m + 1,) to the next, at their `times` (n,).

    `payers[rows]` and `entities[seen]` (n, 4) are their records, `published` what is known of each entity, its last
    row of nobody. Returns how many `verdicts`, in order of known_at, took effect.
    """
    news = np.empty(1, dtype=VALUES)
    touched = np.empty(4 * payments.size + verdicts.size, dtype=np.int64)
    told = 0
    for k in range(bounds.size - 1):
        begin, end = bounds[k], bounds[k + 1]
        count = 0
        while told < verdicts.size and verdicts[told].known_at <= times[begin]:
            verdict = verdicts[told]
            move(entities[verdict.row], verdict.flags, verdict.event_time, 0)
            touched[count] = verdict.row
            count, told = count + 1, told + 1
        _publish(touched[:count], entities, published, news)
        for i in range(begin, end):
            payee, device = published[seen[i, PAYEE]], published[seen[i, DEVICE]]
            see(risk[i], payee, device, published[seen[i, SIM]], published[seen[i, PAYER]], payments[i].event_time)
        chunk = slice(begin, end)
        judge(payments[chunk], payers, rows[chunk], risk[chunk], status[chunk], features[chunk])
        count = _tell(begin, end, payments, status, risk, seen, entities, touched)
        _publish(touched[:count], entities, published, news)
    return told


@compiled
def _tell(begin, end, payments, status, risk, seen, entities, touched):
    """What `models.activity.activity_of` says of a chunk, in its order; returns how many rows were touched."""
    count = 0
    for part in (PAYEE, PAYER, DEVICE, SIM):
        for i in range(begin, end):
            p, bits = payments[i], status[i]
            if bits & DUPLICATE:
                continue
            flags = FIRST_TIME
            if part == PAYEE:
                flags = FIRST_TIME if bits & FIRST_PAYEE else 0
                if risk[i].payer_received_day_rupees >= p.amount / 100:
                    flags |= LAYERED
            elif part == PAYER:
                if np.isnan(risk[i].payer_received_day_rupees):
                    continue
                flags = OUTFLOW
            elif bits & (NEW_DEVICE if part == DEVICE else NEW_SIM) == 0:
                continue
            time_ms = np.int64(p.published if bits & CLAMPED else p.event_time)
            move(entities[seen[i, part]], flags, time_ms, np.int64(p.amount))
            touched[count] = seen[i, part]
            count += 1
    return count


@compiled
def _publish(touched: Any, entities: Any, published: Any, news: Any) -> None:
    # A second look at the same record finds no news: what was news is marked as published.
    for row in touched:
        if publish(entities[row], news[0]):
            published[row] = news[0]
