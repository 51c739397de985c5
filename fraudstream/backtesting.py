"""What `fraudstream backtest` does between its options and the result, with progress, and a clean stop."""

import gc
import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
import polars as pl
from rich.console import Console

from backtest.checkpoint import FILE, Checkpoint
from backtest.decided import Frames
from backtest.differences import MODEL, SAME, WHAT_TO_DO
from backtest.judges import Seat, seated
from backtest.listed import Lists
from backtest.result import FEATURES, LISTS, METRICS, REPORT, RUN, SCORES, Result
from backtest.result import Run as About
from backtest.run import PARTS, Interrupted, Request, Run
from backtest.snapshot import Snapshot
from backtest.source import Offsets, Source, Window
from backtest.verify import Verification, Verifier
from fraudstream.errors import UserError
from fraudstream.progress import progress
from fraudstream.times import show_time
from fraudstream.token_key import load_tokeniser, write_new_key
from models.policy import Policy
from models.tokens import Tokeniser

VERIFICATION, DIFFERENCES = "verification.json", "differences.parquet"
FRAUDS = "frauds.parquet"
"""In the result's directory, while a run is not finished."""
OWN_KEY = "token.key"
"""In the result's directory: the key of a run that was given none."""


@dataclass(frozen=True)
class Asked:
    """What the command was given, beside the source."""

    command: str
    out: Path
    model: Path
    candidates: Sequence[Path]
    policy: Policy
    window: Window
    label_delay_ms: int | None
    lists: Lists
    keep_features: bool
    overwrite: bool
    past: Snapshot | None
    offsets: Offsets


def tokeniser_of(given: Path | None, out: Path) -> Tokeniser:
    """That of the key given, or of one that the directory keeps: a run that goes on needs the same."""
    if given is not None:
        return load_tokeniser(given)
    own = out / OWN_KEY
    if not own.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_new_key(own)
    return load_tokeniser(own)


def replay(asked: Asked, source: Source, known_frauds: Callable[[], pl.DataFrame], tokeniser: Tokeniser) -> Result:
    """Judge what the source holds; on Ctrl-C keep what is done, say so, and raise KeyboardInterrupt."""
    seats = seated(asked.model, asked.candidates, asked.policy)
    identity = _identity(asked, source, seats, tokeniser)
    _make_room(asked.out, identity, overwrite=asked.overwrite)
    frauds = _kept(asked.out / FRAUDS, known_frauds)
    request = Request(
        identity, source, asked.window, seats, frauds, tokeniser, asked.keep_features, asked.lists, asked.past
    )
    with _seldom_collected(), _interruptible() as stop, progress("replaying", source.total) as advance:
        run = Run(request, asked.out, stop, advance)
        try:
            run()
        except Interrupted:
            _say(
                f"interrupted: {run.counts.payments:,} payments are judged and kept in {asked.out};"
                " the same command goes on with the rest"
            )
            raise KeyboardInterrupt from None
    if not run.counts.payments:
        raise UserError("the window holds no payments", hint="check --from, --to and the offsets")
    about = About(
        command=asked.command,
        created_at=time.time_ns() // 1_000_000,
        source=source.description,
        start=asked.window.start,
        end=asked.window.end,
        warm_up_ms=asked.window.warm_up_ms,
        label_delay_ms=asked.label_delay_ms,
        policy_version=asked.policy.version,
        judges=tuple(seat.judge for seat in seats),
        payments=run.counts.payments,
        warm_up_payments=run.counts.warm_up,
        frauds=run.counts.frauds,
        unreadable=run.unreadable,
        seconds=round(run.counts.seconds, 3),
        notes=source.notes,
        software=version("fraudstream"),
        policy=asked.policy,
    )
    if asked.lists.entries:
        asked.lists.write(asked.out / LISTS)
    (asked.out / RUN).write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=1) + b"\n")
    return Result.open(asked.out)


def tidy(out: Path) -> None:
    """Remove what only an interrupted backtest needs, once everything else is written."""
    shutil.rmtree(out / PARTS)
    (out / FILE).unlink()
    (out / FRAUDS).unlink()


def verify(asked: Asked, source: Source, decided: Frames, tokeniser: Tokeniser) -> Verification:
    """Judge again what was decided live; leaves verification.json, and differences.parquet where there are any."""
    seats = {seat.judge.sha256: seat for seat in seated(asked.model, asked.candidates, asked.policy)}
    asked.out.mkdir(parents=True, exist_ok=True)
    with progress("verifying", source.total) as advance:
        verifier = Verifier(source, decided, asked.window, seats, tokeniser, asked.past)
        verification, differences = verifier(advance, os.cpu_count() or 1)
    if not verification.payments:
        raise UserError("the window holds no payments", hint="check --from, --to and the offsets")
    (asked.out / VERIFICATION).write_bytes(msgspec.json.format(msgspec.json.encode(verification), indent=1) + b"\n")
    if differences.height:
        differences.write_parquet(asked.out / DIFFERENCES)
    else:
        (asked.out / DIFFERENCES).unlink(missing_ok=True)
    return verification


def findings(verification: Verification) -> Iterator[str]:
    """What was found, in sentences."""
    yield f"{verification.same:,} of {verification.payments:,} payments come out as they were decided live"
    for reason, count in verification.reasons.items():
        if reason != SAME:
            yield f"{count:,}: {reason}; {WHAT_TO_DO.get(reason, 'a fault: see ' + DIFFERENCES)}"
    for model, count in verification.challengers_not_given.items():
        yield f"{count:,}: the challenger {model} is not given and was not compared; {WHAT_TO_DO[MODEL]}"
    if repeats := sum(part.repeats for part in verification.partitions):
        yield f"{repeats:,} decisions are repeats, as at_least_once leaves them"
    if without := sum(part.without_payment for part in verification.partitions):
        yield f"{without:,} decisions are about payments outside of what was read"
    yield f"features, scores and decisions, live     sha256 {verification.live_sha256}"
    yield f"features, scores and decisions, replayed sha256 {verification.replayed_sha256}"


def summary(result: Result) -> Iterator[str]:
    """What was replayed, in sentences."""
    run = result.run
    rate = (run.payments + run.warm_up_payments) / max(run.seconds, 1e-9)
    yield (
        f"{run.payments:,} payments of {run.source} judged by {', '.join(judge.name for judge in run.judges)}"
        f" in {run.seconds:,.1f} s ({rate:,.0f}/s)"
    )
    if run.warm_up_payments:
        yield f"{run.warm_up_payments:,} payments before {show_time(run.start or 0)} were the payers' past"
    if run.unreadable:
        yield f"{run.unreadable:,} records could not be read as payments, as live"
    yield from run.notes


def _identity(asked: Asked, source: Source, seats: Sequence[Seat], tokeniser: Tokeniser) -> str:
    """A hash of all that the scores follow from."""
    told = (
        source.description,
        (asked.window.start, asked.window.end, asked.window.warm_up_ms),
        [(seat.judge.name, seat.judge.sha256) for seat in seats],
        asked.policy.version,
        asked.lists.entries,
        asked.keep_features,
        [sorted(each.items()) for each in (asked.offsets.first, asked.offsets.end, asked.offsets.known)],
        tokeniser.token("identity"),
        asked.label_delay_ms,
    )
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def _kept(path: Path, known_frauds: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """The frauds that were known when the run began: verdicts go on arriving, and a run that goes on has the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        known_frauds().write_parquet(path)
    return pl.read_parquet(path)


def _make_room(out: Path, identity: str, *, overwrite: bool) -> None:
    """Leave in the directory only what this request goes on from. Raises UserError for what is another's."""
    checkpoint = Checkpoint.load(out)
    if overwrite or (checkpoint is None and not (out / RUN).exists()):
        if (out / FEATURES).is_symlink():  # a what-if's, to those of its parent
            (out / FEATURES).unlink()
        for name in (PARTS, FEATURES):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in (FILE, FRAUDS, LISTS, RUN, SCORES, METRICS, REPORT):
            (out / name).unlink(missing_ok=True)
        return
    if checkpoint is None:
        raise UserError(f"{out} holds a backtest already", hint="choose another --out, or give --overwrite")
    if checkpoint.request != identity:
        raise UserError(
            f"{out} holds an interrupted backtest of something else",
            hint="give the same options as then to go on with it, another --out, or --overwrite",
        )
    _say(f"going on after {checkpoint.counts.payments:,} payments")


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """As in the worker: what stands by now stays, and payments hold no cycles."""
    former = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*former)
        gc.unfreeze()


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one ends the process as usual."""
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        stop.set()
        for each, handler in former.items():
            signal.signal(each, handler)

    former = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(text)
