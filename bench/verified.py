"""A live run with workers killed and restarted, then its topic replayed: are features, scores and decisions the same?

    python -m bench.verified --json bench/results/verified.json

A worker judges half a million payments while they are published; it is killed again and again, and another one goes
on with its state. After the first death all verdicts are told, which moves entity risk. Afterwards
`fraudstream backtest --verify` judges the topic again, given what `decisions` recorded of the world outside.
"""

import json as json_format
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from bench import options
from bench.environment import ROOT, environment
from bench.errors import BenchError, run
from bench.place import Place, Progress, broker, fresh_place
from bench.replay import publish_all, tell, until_committed
from bench.results import console, write
from bench.tables import show
from bench.worker import WorkerProcess
from bench.world import World, prepare
from schemas.history import scan_labels


def main(
    payments: options.Payments = 500_000,
    payers: options.Payers = 50_000,
    kills: Annotated[int, typer.Option(min=0, help="Workers killed, each followed by another.")] = 6,
    seed: options.Seed = 7,
    cache: options.Cache = options.CACHE,
    json: options.Json = None,
) -> None:
    """Judge live with restarts in between, then judge the topic again, and compare by hashes."""
    world = prepare(cache, payments, payers)
    settings = {"payments": payments, "payers": payers, "kills": kills, "seed": seed}
    result: dict[str, Any] = {"benchmark": "verified", **environment(settings)}
    with broker() as running, fresh_place(running, "verified") as place:
        result["live"] = _live(place, world, payments, kills, random.Random(seed))
        result["verified"] = _verified(place, world)
    show(result)
    write(result, json)
    if result["verified"]["faults"]:
        raise BenchError("payments came out differently", hint="see the table")


def _live(place: Place, world: World, payments: int, kills: int, luck: random.Random) -> dict[str, Any]:
    """Publish, and let one worker after another judge; each but the last is killed somewhere."""
    given = {"model": world.model, "policy": world.policy, "token-key-file": world.token_key}
    publishing = threading.Thread(target=publish_all, args=(place, world.payments, payments))
    publishing.start()
    ends = sorted(luck.randrange(payments) for _ in range(kills))
    began = time.monotonic()
    progress = Progress(place, "scoring", place.topics.transactions)
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
        killed_at = []
        for end in ends:
            with WorkerProcess(place, Path(home), given) as worker:
                until_committed(worker, progress, end)
                worker.kill()
                killed_at.append(progress.committed())
            if len(killed_at) == 1:
                frauds = pl.col("is_fraud") & pl.col("known_at").is_not_null()
                tell(place, scan_labels(world.payments).filter(frauds).collect())
            console.print(f"killed after {killed_at[-1]:,} payments")
        publishing.join()
        with WorkerProcess(place, Path(home), given) as worker:
            until_committed(worker, progress, payments)
    progress.close()
    return {"seconds": round(time.monotonic() - began, 1), "killed_at": killed_at}


def _verified(place: Place, world: World) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fraudstream-bench-") as home:
        given: tuple[object, ...] = ("backtest", "--verify", "--model", world.model, "--policy", world.policy)
        given += ("--token-key-file", world.token_key, "--bootstrap-servers", place.kafka.bootstrap_servers)
        given += ("--topic-prefix", place.prefix, "--out", Path(home, "out"))
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "fraudstream", *map(str, given)], cwd=ROOT, check=False)
        seconds = time.monotonic() - began
        found: dict[str, Any] = json_format.loads(Path(home, "out", "verification.json").read_bytes())
    return found | {"seconds": round(seconds, 1)}


if __name__ == "__main__":
    run(main)
