"""The protocol of bench/MODEL.md as data: bench/frozen.json. Whether the simulator is still the frozen one."""

import json
import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bench.environment import ROOT
from bench.errors import BenchError
from bench.model import sources
from models.training import Settings

FROZEN, PAGE = ROOT / "bench" / "frozen.json", ROOT / "bench" / "MODEL.md"
BEGIN, END = "<!-- frozen: made by --freeze -->", "<!-- /frozen -->"

Share = Annotated[float, Meta(gt=0, lt=1)]


class FinalRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One use of the final seeds."""

    started_at: str
    revision: str
    """Of git; with a + when files differed from it."""


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes, seeds, split; what each means stands in bench/MODEL.md."""

    payments: Annotated[int, Meta(ge=1_000)]
    payers: Annotated[int, Meta(ge=50)]
    days: Annotated[float, Meta(gt=1)]
    fraud_rate: Share
    scenario: str | None = None
    """Scenario file below the repository's root; None: the simulator's own."""
    test_share: Share
    """Of the payments, the latest."""
    validation_share: Share
    """Of the payments before the cutoff less the label delay, the latest."""
    label_delay_ms: Annotated[int, Meta(ge=0)]
    alert_false_positive_rate: Share
    development_seeds: tuple[int, ...]
    final_seeds: tuple[int, ...]
    frozen_at: str | None = None
    simulator_sha256: str | None = None
    """Of the code and data that make payments and labels; None until frozen."""
    scenario_sha256: str | None = None
    final_runs: tuple[FinalRun, ...] = ()

    def settings(self, seed: int, **champion: object) -> Settings:
        """The champion's training settings; its split is everybody's."""
        protocol = {
            "before_cutoff": 1 - self.test_share,
            "validation_share": self.validation_share,
            "label_delay_ms": self.label_delay_ms,
            "alert_false_positive_rate": self.alert_false_positive_rate,
            "seed": seed,
        }
        if clash := sorted(protocol.keys() & champion.keys()):
            raise BenchError(
                f"the champion's settings hold {', '.join(clash)}, which the protocol sets",
                hint="take them out of the settings file",
            )
        try:
            return Settings(**(protocol | champion))  # type: ignore[arg-type]  # checked by the call itself
        except (TypeError, ValueError) as error:
            raise BenchError(
                f"the champion's settings are not those of training: {error}",
                hint="name fields of models.training.Settings in the table [champion]",
            ) from error


def load(path: Path = FROZEN) -> Protocol:
    """The protocol as committed. Raises BenchError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Protocol)
    except (OSError, msgspec.MsgspecError) as error:
        raise BenchError(f"{path} is no protocol: {error}", hint="restore the committed one") from error


def simulator_digest() -> str:
    """Of the code that makes payments and labels, and of the simulator's data files."""
    package = ROOT / "simulator"
    code = {file for file in sources.reached("simulator.simulation") if package in file.parents}
    return sources.digest(*code, *sources.data_files(package))


def scenario_digest(protocol: Protocol) -> str | None:
    """Of the scenario file, if the protocol names one. Raises BenchError when it is not there."""
    if protocol.scenario is None:
        return None
    file = ROOT / protocol.scenario
    if not file.is_file():
        raise BenchError(f"there is no scenario {protocol.scenario}", hint="name one in bench/frozen.json")
    return sources.digest(file)


def check(protocol: Protocol, page: Path = PAGE) -> None:
    """Raises BenchError unless simulator and scenario are the frozen ones and the page says the same."""
    if protocol.simulator_sha256 is None:
        raise BenchError("the protocol is not frozen yet", hint="run `python -m bench.model --freeze`")
    if protocol.simulator_sha256 != (now := simulator_digest()):
        raise BenchError(
            f"the simulator is not the frozen one: {now} instead of {protocol.simulator_sha256}",
            hint="restore simulator/ as it was; another simulator is another protocol, with new final seeds",
        )
    if protocol.scenario_sha256 != scenario_digest(protocol):
        raise BenchError("the scenario is not the frozen one", hint=f"restore {protocol.scenario}")
    if described(protocol) not in page.read_text():
        raise BenchError(f"{page.name} says something else than bench/frozen.json", hint="restore the committed files")


def freeze(protocol: Protocol, now: str, path: Path = FROZEN, page: Path = PAGE) -> Protocol:
    """Write down the simulator and scenario of this moment. Raises BenchError once the final seeds were used."""
    if protocol.final_runs:
        raise BenchError(
            "the final seeds have been used with this protocol",
            hint="for a new one, set new final_seeds and empty final_runs in bench/frozen.json",
        )
    frozen = msgspec.structs.replace(
        protocol, frozen_at=now, simulator_sha256=simulator_digest(), scenario_sha256=scenario_digest(protocol)
    )
    save(frozen, path)
    block = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    page.write_text(block.sub(lambda _: described(frozen), page.read_text()))
    return frozen


def save(protocol: Protocol, path: Path = FROZEN) -> None:
    """Write the protocol's file."""
    path.write_text(json.dumps(msgspec.to_builtins(protocol), indent=2) + "\n")


def described(protocol: Protocol) -> str:
    """The part of bench/MODEL.md that follows from the protocol's file."""
    rows = [
        ("payments a seed", f"{protocol.payments:,} of {protocol.payers:,} payers over {protocol.days:g} days"),
        ("fraud", f"{protocol.fraud_rate:.2%} of the payments"),
        ("scenario", protocol.scenario or "the simulator's default"),
        ("SHA-256 of the scenario file", protocol.scenario_sha256 or "–"),
        ("SHA-256 of the simulator", protocol.simulator_sha256 or "not frozen yet"),
        ("frozen at", protocol.frozen_at or "not frozen yet"),
        ("seeds for development", ", ".join(map(str, protocol.development_seeds))),
        ("final seeds", ", ".join(map(str, protocol.final_seeds))),
    ]
    return "\n".join([BEGIN, "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), "", END])
