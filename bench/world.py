"""The payments that benchmarks send, the model that judges them, made once and kept in a cache directory.

One simulated world with full telemetry: a model is trained on its history, and what is sent is what happens in it
after that history. A cache entry is named by a hash of the code that made it, so a change makes a new one.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from bench.environment import ROOT
from bench.errors import BenchError
from bench.processes import Spent, spent
from fraudstream.progress import progress
from schemas.history import HistoryWriter, read_transactions
from simulator.config import SimulationConfig
from simulator.simulation import Simulation, Slot

HISTORY_PAYMENTS, HISTORY_DAYS = 500_000, 30.0
"""What the model learns from. Its density is that of what is sent afterwards: 200,000 payers make 16,667 a day."""
TREES, DEPTH = 300, 5
FLAGGED_SHARE = 0.006
"""Share of the payments that the alert threshold is put to: somewhat more than the job's 0.5 %."""


@dataclass(frozen=True)
class World:
    """Where everything lies."""

    payments: Path
    """History directory of what is sent, with labels."""
    count: int
    model: Path
    policy: Path
    token_key: Path

    @property
    def history(self) -> Path:
        """What happened before, from which the model learned."""
        return self.payments.with_name("history")

    def frames(self) -> Iterator[pl.DataFrame]:
        """The payments in order."""
        return read_transactions(self.payments)


def prepare(cache: Path, payments: int, payers: int, seed: int = 1) -> World:
    """The world's payments and model, from the cache or made now."""
    config = SimulationConfig(HISTORY_PAYMENTS, payers, seed=seed, days=HISTORY_DAYS, full_telemetry=True)
    home = cache.expanduser() / f"{payers}-payers-seed-{seed}"
    data = home / _code("simulator", "schemas")
    judged = data / _code("models")
    history, sent = data / "history", data / f"payments-{payments}"
    model, token_key, policy = judged / "model", home / "token.key", judged / f"policy-{payments}.toml"
    made(history, lambda at: _write(Simulation(config).history(), at, "simulating history", HISTORY_PAYMENTS))
    made(sent, lambda at: _write(_after(config, payments), at, "simulating payments", payments))
    made(model, lambda at: _train(history, at))
    made(token_key, lambda at: fraudstream("config", "new-token-key", "--out", at))
    made(policy, lambda at: at.write_text(f"alert_score = {_threshold(sent, model)}\n"))
    return World(sent, payments, model, policy, token_key)


def fraudstream(*arguments: object) -> Spent:
    """Run one of the product's commands as a user would; raises BenchError when it fails."""
    command = [sys.executable, "-m", "fraudstream", *map(str, arguments)]
    done = spent(command, ROOT)
    if done.exit_code:
        raise BenchError(f"`{' '.join(['fraudstream', *command[3:]])}` failed", hint="see its message above")
    return done


def made(path: Path, make: Callable[[Path], object]) -> None:
    """Makes `path` unless it is there; an interrupted making leaves nothing."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=".making-", dir=path.parent))
    try:
        make(place / path.name)
        (place / path.name).rename(path)
    finally:
        shutil.rmtree(place)


def _code(*packages: str) -> str:
    """Names the version of some packages' code."""
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted(file for kind in ("*.py", "*.yaml") for file in (ROOT / package).rglob(kind)):
            digest.update(file.read_bytes())
    return f"{'-'.join(packages)}-{digest.hexdigest()[:12]}"


def _after(config: SimulationConfig, count: int) -> Iterator[Slot]:
    """The first `count` payments after a world's history."""
    for slot in Simulation(config).between(config.end_ms):
        yield Slot(slot.payments[:count], slot.labels[:count])
        count -= len(slot.payments)
        if count <= 0:
            return


def _write(slots: Iterator[Slot], out: Path, what: str, total: int) -> None:
    with progress(what, total) as advance, HistoryWriter(out) as history:
        for slot in slots:
            history.write(slot.payments, slot.labels)
            advance(len(slot.payments))


def _train(history: Path, out: Path) -> None:
    size = ("--trees", TREES, "--depth", DEPTH, "--no-early-stopping")
    fraudstream("train", "--data", history, "--out", out, "--name", "bench", *size)


def flagging(world: World, share: float) -> World:
    """The same world with its alert threshold put so that about this share of the payments is flagged."""
    policy = world.policy.with_name(f"policy-{world.count}-{share:g}.toml")
    made(policy, lambda at: at.write_text(f"alert_score = {_threshold(world.payments, world.model, share)}\n"))
    return replace(world, policy=policy)


def _threshold(payments: Path, model: Path, share: float = FLAGGED_SHARE) -> int:
    """The highest score that a share of the payments reaches, the payers being unknown at their beginning."""
    from models.bundle import Bundle
    from models.history import featurise
    from models.scoring import Scorer

    sent = pl.concat(read_transactions(payments))
    with progress("finding the threshold", sent.height) as advance:
        features = featurise(sent, progress=advance).features
    score = Scorer(Bundle.load(model)).score(features).score
    return int(np.quantile(score, 1 - share, method="lower"))
