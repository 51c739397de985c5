"""The reduced job of bench/peers/REDUCED.md in plain Faust, Quix Streams, Kafka Streams and on our own machinery, over
the same payments of one topic; then our whole job beside them.

    make peers
    python -m bench.peers --json bench/results/peers.json

Takes about half an hour, after some for simulating and training the first time. A participant that is not installed is
left out, and the result says why. Ends with 1 when one that took part did not do the job.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer

from bench import options
from bench.backlog import run_backlog, send
from bench.environment import environment
from bench.errors import BenchError, run
from bench.figures import spread
from bench.peers.checking import Due
from bench.peers.participants import PARTICIPANTS, Participant
from bench.peers.prepare import DEPTH, FLAGGED_SHARE, LEARNING_RATE, TREES, Expected, expected
from bench.peers.running import Stand, failed, run_once
from bench.place import PARTITIONS, Place, broker, fresh_place
from bench.readback import messages
from bench.results import console, write
from bench.tables import show
from bench.world import World, prepare
from stream.local_broker import LocalBroker

WHOLE = "whole"


class _Id(msgspec.Struct):
    transaction_id: str


def main(
    payments: options.Payments = 1_000_000,
    payers: options.Payers = 200_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each, taking turns.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Longest that each runs, from its first commit seen.")] = 45,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Only these, of {', '.join(each.name for each in PARTICIPANTS)} and {WHOLE}; may repeat."),
    ] = None,
    seed: options.Seed = 1,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Measure the reduced job in each participant, and our whole job."""
    names = (*(each.name for each in PARTICIPANTS), WHOLE)
    if unknown := [name for name in only or () if name not in names]:
        raise BenchError(f"there is no {', '.join(unknown)}", hint=f"name some of {', '.join(names)}")
    world = prepare(cache, payments, payers, seed)
    wanted = expected(world)
    settings = {"payments": payments, "payers": payers, "partitions": PARTITIONS, "seconds": seconds, "runs": runs}
    model = {"trees": TREES, "depth": DEPTH, "learning_rate": LEARNING_RATE, "flagged_share": FLAGGED_SHARE}
    result: dict[str, Any] = {
        "benchmark": "peers",
        "job": 1,
        **environment(settings | model),
        "participants": {each.name: _described(each, only) for each in PARTICIPANTS},
    }
    taking_part = [each for each in PARTICIPANTS if "skipped" not in result["participants"][each.name]]
    with broker() as running, stand(running, world, wanted) as standing:
        for number in range(1, runs + 1):
            for each in taking_part:
                figures = _turn(standing, each, number, seconds)
                result["participants"][each.name]["runs"].append(figures)
                console.print(f"run {number}, {each.title}: {_said(figures)}")
            if only is None or WHOLE in only:
                figures = run_backlog(running, world, f"whole{number}", {})
                result.setdefault(WHOLE, {"runs": []})["runs"].append(figures)
                console.print(f"run {number}, our whole job: {figures['rate']:,}/s")
    _add_rates([*result["participants"].values(), result.get(WHOLE, {})])
    show(result)
    write(result, json)
    if problems := not_the_job(result):
        raise BenchError("; ".join(problems), hint="these figures are not those of the job of bench/peers/REDUCED.md")


def not_the_job(result: dict[str, Any]) -> list[str]:
    """What in a result is against bench/peers/REDUCED.md."""
    return [
        f"run {number} of {each['title']}: {problem}"
        for each in result["participants"].values()
        for number, figures in enumerate(each.get("runs", ()), 1)
        for problem in figures["problems"]
    ]


def _turn(standing: Stand, participant: Participant, number: int, seconds: float) -> dict[str, Any]:
    """One run; when it fails, the others go on."""
    try:
        return run_once(standing, participant, number, seconds)
    except BenchError as error:
        return failed(str(error))


def _add_rates(everyone: list[dict[str, Any]]) -> None:
    """Median and range to each whose runs all have a rate."""
    for each in everyone:
        rates = [figures["rate"] for figures in each.get("runs", ())]
        if rates and None not in rates:
            each["rate"] = spread(rates)


def _described(participant: Participant, only: list[str] | None) -> dict[str, Any]:
    """What the result says of a participant before it ran; it is ready to run afterwards, or skipped."""
    described: dict[str, Any] = {"title": participant.title, "guarantee": participant.guarantee}
    if only is not None and participant.name not in only:
        return described | {"skipped": "not asked for"}
    if reason := participant.missing():
        console.print(f"{participant.title} is left out: {reason}")
        return described | {"skipped": reason}
    participant.prepare()
    return described | {
        "settings": dict(participant.settings),
        "options": list(participant.options),
        "versions": participant.versions(),
        "runs": [],
    }


@contextmanager
def stand(running: LocalBroker, world: World, wanted: Expected) -> Iterator[Stand]:
    """The payments published once, for all."""
    with fresh_place(running, "peers") as place:
        send(place, world)
        yield Stand(place, wanted, dict(_due(place, wanted)), world.count)


def _due(place: Place, wanted: Expected) -> Iterator[tuple[str, Due]]:
    """Where the payments that are due an alert stand on the topic."""
    decode = msgspec.json.Decoder(_Id).decode
    for message in messages(place, place.topics.transactions):
        identity = decode(message.value()).transaction_id
        if identity in wanted.scores:
            yield identity, Due(message.partition(), message.offset(), wanted.scores[identity])


def _said(figures: dict[str, Any]) -> str:
    if figures["problems"]:
        return "; ".join(figures["problems"])
    rate = f"{figures['rate']:,}/s" if figures["rate"] else "one commit only"
    return f"{rate} over {figures['payments']:,} payments, {figures['alerts']['compared']:,} alerts compared"


if __name__ == "__main__":
    run(main)
