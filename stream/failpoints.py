"""Named places where a fault can be let happen: `FRAUDSTREAM_FAILPOINT=scoring/committed:3` kills at the third passing.

One fault is `[AGENT/]NAME[:PASSING][=ACTION]`; several are separated by commas. Actions:

- `kill`, the default: SIGKILL to this process; `kill:MS` so many milliseconds later, while it goes on.
- `stop`: SIGSTOP to this process.
- `sleep:MS`: the passing thread waits.
- `raise`: the passing thread gets a `RuntimeError`.

`PLACES` has the names. When nothing is set a passing costs one look at an empty dictionary.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass

from schemas.errors import FraudStreamError

PLACES = {
    "computed": "a step's results are made, its transaction has not begun",
    "delivered": "in the callback of a record's delivery",
    "produced": "the brokers have every record of the step",
    "offsets-added": "the source offsets are in the transaction",
    "committing": "the commit is about to be asked for",
    "committed": "the commit has returned, RocksDB has nothing of it",
    "persisted": "RocksDB has the step",
    "written": "a block of the lake is durable, its offset is not committed",
    "restoring": "a batch of the changelog was read by a restore",
    "assigned": "in the callback of an assignment",
    "revoked": "in the callback of a revocation, state closed",
}
ACTIONS = ("kill", "stop", "sleep", "raise")


class FailpointError(FraudStreamError):
    """The environment names a fault that there is not."""


@dataclass
class Fault:
    """What happens at one place, at one passing."""

    agent: str
    """Empty for any."""
    left: int
    action: str
    milliseconds: float

    def happen(self, place: str) -> None:
        if self.action == "kill" and self.milliseconds:
            threading.Timer(self.milliseconds / 1000, _kill).start()
        elif self.action == "kill":
            _kill()
        elif self.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.action == "sleep":
            time.sleep(self.milliseconds / 1000)
        else:
            raise RuntimeError(f"failpoint {place}")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def parse(text: str) -> dict[str, list[Fault]]:
    """Faults by place. Raises `FailpointError`."""
    faults: dict[str, list[Fault]] = {}
    for part in filter(None, text.split(",")):
        where, _, what = part.partition("=")
        place, _, passing = where.partition(":")
        agent, _, name = place.rpartition("/")
        action, _, milliseconds = what.partition(":")
        try:
            fault = Fault(agent, int(passing or 1), action or "kill", float(milliseconds or 0))
        except ValueError:
            raise FailpointError(f"{part!r} is no failpoint", hint="[AGENT/]NAME[:PASSING][=ACTION[:MS]]") from None
        if name not in PLACES or fault.action not in ACTIONS:
            raise FailpointError(f"{part!r} is no failpoint", hint=f"places: {', '.join(PLACES)}; {', '.join(ACTIONS)}")
        faults.setdefault(name, []).append(fault)
    return faults


_FAULTS = parse(os.environ.get("FRAUDSTREAM_FAILPOINT", ""))
_LOCK = threading.Lock()


def watched(place: str) -> bool:
    """Whether anything is to happen at a place."""
    return place in _FAULTS


def failpoint(place: str, agent: str = "") -> None:
    """Pass a place: what the environment wants to happen here happens."""
    if place not in _FAULTS:
        return
    with _LOCK:
        due = [fault for fault in _FAULTS[place] if fault.agent in ("", agent)]
        for fault in due:
            fault.left -= 1
    for fault in due:
        if fault.left == 0:
            fault.happen(place)
