"""`fraudstream simulate`: payments with attacks and labels, to a directory or straight to a topic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import options
from fraudstream.errors import UserError

if TYPE_CHECKING:
    from simulator.config import SimulationConfig


def simulate(
    payments: Annotated[int, typer.Option(min=1, help="How many payments.")] = 100_000,
    payers: Annotated[int, typer.Option(min=50, help="How many customers.")] = 10_000,
    fraud_rate: Annotated[float, typer.Option(min=0, max=0.5, help="Share of fraudulent payments.")] = 0.003,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same payments.")] = 1,
    days: Annotated[float, typer.Option(help="Days that the payments spread over.")] = 60.0,
    end: Annotated[str, typer.Option(help="Where they end: a date or time (UTC).")] = "2026-01-01",
    attack: Annotated[
        list[str] | None, typer.Option(metavar="KIND=WEIGHT", help="Only these attack kinds, by weight; repeatable.")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Attack kinds of your own, YAML; default: the standard ones.")
    ] = None,
    adapted: Annotated[
        float, typer.Option(min=0, max=1, help="Share of attacks that are adapted, each aspect.")
    ] = 0.35,
    adapt: Annotated[
        list[str] | None,
        typer.Option(metavar="ASPECT=SHARE", help="Another share for rhythm, location, amount or timing; repeatable."),
    ] = None,
    lookalikes: Annotated[float, typer.Option(min=0, max=10, help="How often honest customers look like fraud.")] = 1.0,
    telemetry: Annotated[float, typer.Option(min=0, max=1, help="Share of customers whose app reports any.")] = 0.9,
    full_telemetry: Annotated[bool, typer.Option("--full-telemetry", help="Every field in every payment.")] = False,
    out: Annotated[Path | None, typer.Option(help="Directory to write payments and labels to.")] = None,
    bootstrap_servers: options.BootstrapServers = None,
    topic: Annotated[str | None, typer.Option(help="Topic to publish to; default: transactions.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Payments a second, evenly spaced; default: as fast as it goes.")
    ] = None,
    kafka: options.Kafka = None,
    config: options.Config = None,
) -> None:
    """Make payments that look like the real thing, with attacks among them, and say which were fraud.

    With --out they become a history directory (transactions/ and labels.parquet); otherwise they are published
    to the topic, evenly spaced at --rate.
    """
    from fraudstream.times import epoch_ms
    from simulator.config import SimulationConfig
    from simulator.scenario import load, standard

    simulation = SimulationConfig(
        payments=payments,
        payers=payers,
        fraud_rate=fraud_rate,
        seed=seed,
        days=days,
        end_ms=epoch_ms(end),
        attacks=_numbers("--attack", attack or [], "app_scam=3"),
        adapted=adapted,
        adapt=_numbers("--adapt", adapt or [], "rhythm=0.8"),
        lookalikes=lookalikes,
        telemetry=telemetry,
        full_telemetry=full_telemetry,
        scenario=load(scenario) if scenario else standard(),
    )
    if out is not None:
        _to_directory(simulation, out)
        return
    from fraudstream.publishing import publish_with_progress, target
    from simulator.simulation import Simulation

    given = {"bootstrap_servers": bootstrap_servers, "kafka": kafka}
    frames = (slot.payments for slot in Simulation(simulation).history())
    publish_with_progress(frames, target(given, config, topic, rate), payments)


def _numbers(option: str, pairs: list[str], example: str) -> dict[str, float]:
    numbers = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        try:
            numbers[name] = float(number or 1)
        except ValueError:
            raise UserError(f"{option} {pair}: {number} is not a number", hint=f"Write {option} {example}.") from None
    return numbers


def _to_directory(config: "SimulationConfig", out: Path) -> None:
    """Writes the history, with progress and a summary."""
    from rich.console import Console

    from fraudstream.progress import progress
    from schemas.history import HistoryWriter
    from simulator.simulation import Simulation

    frauds = 0
    with progress("simulating", config.payments) as advance, HistoryWriter(out) as history:
        for slot in Simulation(config).history():
            history.write(slot.payments, slot.labels)
            frauds += int(slot.labels["is_fraud"].sum())
            advance(len(slot.payments))
    Console(soft_wrap=True, highlight=False).print(
        f"{history.payments:,} payments, {frauds:,} of them fraud, are in {out}"
    )
