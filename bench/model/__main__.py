"""Our model beside others on the frozen simulated world: the table of docs/model.md, by the protocol of bench/MODEL.md.

    python -m bench.model [--seeds 5] [--only champion] [--json OUT]    on the development seeds, as often as you like
    python -m bench.model --final --json bench/results/model.json       on the final seeds, once
    python -m bench.model --check-frozen                                is the simulator still the frozen one?
    python -m bench.model --freeze                                      it is, from now on

A seed takes about two minutes on two cores, and less once its history is in the cache.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bench import options
from bench.environment import environment
from bench.errors import BenchError, run
from bench.model import protocol as protocols
from bench.model.contestants import CONTESTANTS
from bench.model.judging import FPR_GRID, PROBABILITY_EDGES, RECALL_GRID, judge_seed
from bench.model.protocol import FinalRun, Protocol
from bench.model.settings import SETTINGS, ModelSettings
from bench.model.settings import load as load_settings
from bench.model.summary import summary
from bench.results import console, write
from bench.tables import show


def main(
    seeds: Annotated[int | None, typer.Option(min=1, help="How many of the protocol's seeds; default: all.")] = None,
    payments: Annotated[int | None, typer.Option(min=1_000, help="Instead of the protocol's, for a try.")] = None,
    payers: Annotated[int | None, typer.Option(min=50, help="Instead of the protocol's, for a try.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only these, of {', '.join(CONTESTANTS)}; may be repeated.")
    ] = None,
    settings: Annotated[Path, typer.Option(help="The models' settings.")] = SETTINGS,
    data_cache: Annotated[Path, typer.Option(help="Where histories are kept between runs.")] = options.CACHE,
    final: Annotated[bool, typer.Option("--final", help="Use the final seeds. Once.")] = False,
    check_frozen: Annotated[bool, typer.Option("--check-frozen", help="Compare the simulator, and end.")] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="Freeze the simulator as it is, and end.")] = False,
    json: options.Json = None,
) -> None:
    """Fit every model on each seed's world, judge them on its last days, and put the seeds together."""
    protocol = protocols.load()
    if freeze:
        frozen = protocols.freeze(protocol, _now())
        console.print(f"frozen: simulator {frozen.simulator_sha256}")
        return
    if check_frozen:
        protocols.check(protocol)
        console.print(f"the simulator is the frozen one: {protocol.simulator_sha256}")
        return
    names = chosen(only)
    changed = {name: value for name, value in (("payments", payments), ("payers", payers)) if value is not None}
    if final:
        refuse_tries(changed, seeds, only, json)
        protocols.check(protocol)
    result = measure(
        msgspec.structs.replace(protocol, **changed), names, load_settings(settings), data_cache, seeds, final
    )
    show(result)
    write(result, json)


def measure(
    protocol: Protocol, names: Sequence[str], given: ModelSettings, cache: Path, count: int | None, final: bool
) -> dict[str, Any]:
    """The benchmark's result."""
    seeds = protocol.final_seeds if final else protocol.development_seeds
    sizes = {name: getattr(protocol, name) for name in ("payments", "payers", "days", "fraud_rate")}
    result: dict[str, Any] = {
        "benchmark": "model",
        **environment(sizes),
        "final": final,
        "protocol": msgspec.to_builtins(protocol) | {"simulator_sha256_now": protocols.simulator_digest()},
        "model_settings": {name: dict(table) for name, table in given.items()},
        "grids": {"false_positive_rate": FPR_GRID, "recall": RECALL_GRID, "probability": PROBABILITY_EDGES},
    }
    if final:
        _use_up(FinalRun(result["taken_at"], result["revision"]))
    judged = [judge_seed(protocol, seed, given, names, cache, console.print) for seed in seeds[:count]]
    result["seeds"] = [_without_curves(seed) for seed in judged]
    return result | summary(judged)


def chosen(only: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the contestants asked for, in the table's order. Raises BenchError for one that does not exist."""
    if unknown := [name for name in only or () if name not in CONTESTANTS]:
        raise BenchError(f"there is no {', '.join(unknown)}", hint=f"name some of {', '.join(CONTESTANTS)}")
    return tuple(name for name in CONTESTANTS if not only or name in only)


def refuse_tries(changed: dict[str, int], seeds: int | None, only: Sequence[str] | None, json: Path | None) -> None:
    """Raises BenchError when a final run is asked for in part, in another size, or without keeping what it finds."""
    if changed or seeds is not None or only:
        raise BenchError(
            "the final seeds are run as the protocol says, or not at all",
            hint="leave out --payments, --payers, --seeds and --only, or leave out --final",
        )
    if json is None:
        raise BenchError("a final run is to be kept", hint="give --json bench/results/model.json")


def _use_up(use: FinalRun) -> None:
    """Say and write down that the final seeds are being used."""
    protocol = protocols.load()
    before = "".join(f"; used before at {each.revision}, {each.started_at}" for each in protocol.final_runs)
    console.print(
        f"[bold]The final seeds are used now{before}.[/bold] What is changed after having seen their figures is tuned "
        "to them: commit bench/frozen.json, which notes this run, with whatever comes out."
    )
    if use.revision.endswith("+"):
        console.print("Files differ from the revision: the figures cannot be repeated from it.")
    protocols.save(msgspec.structs.replace(protocol, final_runs=(*protocol.final_runs, use)))


def _without_curves(seed: dict[str, Any]) -> dict[str, Any]:
    """What stays of a seed in the result; its curves are in the summary."""
    models = {
        name: {part: run[part] for part in ("metrics", "kinds", "seconds")} for name, run in seed["models"].items()
    }
    return {name: value for name, value in seed.items() if name != "features"} | {"models": models}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    run(main)
