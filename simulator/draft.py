"""Payments before they are written out: numbers only, one array per trait, so that attacks can change any of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from simulator.arrays import AnyArray, Bools, Floats, Ints, Words


@dataclass
class Draft:
    """n payments; every array has n entries. Accounts are the world's numbers, devices and SIMs 64-bit numbers."""

    time: Ints
    """Epoch ms."""
    payer: Ints
    payee: Ints
    rupees: Floats
    kind: Ints
    """0 for an honest payment, else 1 + position among the scenario's kinds."""
    collect: Bools
    mode: Ints
    purpose: Ints
    device: Words
    """What gives the device its id."""
    hardware: Words
    """What gives it IMEI, MAC, processor and fonts: another number than `device` on a clone."""
    sim: Words
    lat: Floats
    lon: Floats
    accuracy_m: Floats
    mocked: Bools
    gps_lost: Bools
    """The system gave no fix although the application asks for one."""
    net_lat: Floats
    """Where the network address seems to be."""
    net_lon: Floats
    cell_lat: Floats
    cell_lon: Floats
    ip: Words
    battery: Floats
    charging: Bools
    rooted: Bools
    emulator: Bools
    typing_ms: Floats
    typing_spread_ms: Floats
    tap_ms: Floats
    session_ms: Floats
    pasted: Bools
    screen_shared: Bools
    on_call: Bools
    failed_pins: Ints
    revoked: Bools
    risk: Floats
    """The network's own risk score."""

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: AnyArray) -> "Draft":
        """The payments at `rows` (positions or a mask)."""
        return Draft(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def concatenate(drafts: Sequence[Draft]) -> Draft:
    """All payments of all drafts, in that order."""
    if len(drafts) == 1:
        return drafts[0]
    return Draft(
        **{field.name: np.concatenate([getattr(draft, field.name) for draft in drafts]) for field in fields(Draft)}
    )
