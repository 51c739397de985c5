"""The demo from its first process to its last, in the order in which it happens."""

import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from fraudstream.demo.children import Child, Report, Talking
from fraudstream.demo.display import Now, Title, display
from fraudstream.demo.ending import Ends
from fraudstream.demo.stages import Stage, Stages
from fraudstream.demo.summary import show, summarise
from fraudstream.demo.watch import Watch
from fraudstream.demo.world import FRAUD_RATE, World, world_days
from fraudstream.errors import UserError
from fraudstream.token_key import write_new_key
from models.bundle import Bundle, BundleError
from schemas.alert import Alert
from schemas.codec import encode
from stream.local_broker import BrokerSettings, LocalBroker
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics

PARTITIONS = 4
TICK_S = 0.2
TRAIN_WITHIN_S = 900.0
READY_WITHIN_S = 180.0
PAST_WITHIN_S = 600.0
DRAIN_WITHIN_S = 60.0
WORKER_STOP_S = 10.0


@dataclass(frozen=True)
class DemoSettings:
    """What the user asked for."""

    seconds: float
    rate: float
    world: World
    keep: Path | None = None
    retrain: bool = False

    @property
    def payments(self) -> int:
        """Live payments in all."""
        return max(1, round(self.seconds * self.rate))


def run(settings: DemoSettings, console: Console) -> None:
    """
    1. a model: the cached one, or one trained meanwhile
    2. a broker with its topics
    3. the bank's past onto the transactions topic
    4. a worker, which judges the past first, so that it knows the customers
    5. live payments; alerts and decisions are read as a subscriber would
    6. every payment decided: the worker is stopped, the alerts are held against the truth

    Raises UserError, or another FraudStreamError, when something failed, KeyboardInterrupt after Ctrl-C or SIGTERM.
    Either way all processes have ended and the directory is gone, unless it is to be kept.
    """
    settings.world.check_lasts(settings.rate, settings.seconds, time.time_ns() // 1_000_000)
    with Ends() as ends:
        home = _home(settings.keep, ends)
        topics = Topics.named()
        with Stages(console) as stages:
            training = _begin_training(settings, home, stages, ends)  # 1
            kafka = _start_broker(home, topics, stages, ends)  # 2
            past = stages.begin("past payments")
            feed = ends.own(lambda: Feed(settings, kafka, home, past), Feed.end)  # 3
            bundle = training()
            worker = _start_worker(kafka, bundle, home, stages, ends)  # 4
            shown = display(console, _title(settings, bundle))
            kept = ends.own(lambda: _Kept(home / "alerts.jsonl"), _Kept.close)
            watch = ends.own(lambda: Watch(kafka, topics, PARTITIONS, kept.also(shown.alert)), Watch.close)
            alive = [worker.check, feed.child.check, lambda: _check_watch(watch)]
            _warm_up(watch, feed, alive, stages.begin("warm-up"))
        watch.go_live()  # 5
        feed.child.tell("live")
        began = time.monotonic()
        with shown:

            def show_now() -> None:
                elapsed = time.monotonic() - began
                shown.update(Now(elapsed, feed.published, watch.rate(), watch.figures))

            _wait(feed.child.finished, settings.seconds + DRAIN_WITHIN_S, "the payments were not sent", alive, show_now)
            _wait(lambda: _settled(watch, feed), DRAIN_WITHIN_S, "payments are not decided", alive, show_now)
        if not worker.terminate(WORKER_STOP_S):  # 6
            raise UserError(f"the worker did not stop within {WORKER_STOP_S:.0f} s", hint="look at its log with --keep")
        worker.check()
        summary = summarise(feed.published, feed.seconds, watch.figures, home / "truth.parquet")
    if settings.keep:
        (settings.keep / "summary.json").write_text(json.dumps(summary.as_record(), indent=2) + "\n")
    show(summary, console)
    if not summary.adds_up:
        raise UserError(
            "the counts do not add up: payments or alerts are missing, or came twice\n" + "\n".join(watch.ledger.odd),
            hint="give --keep DIR and look at worker.log there",
        )


class Feed:
    """The process that sends payments, and what it reports."""

    def __init__(self, settings: DemoSettings, kafka: KafkaSettings, home: Path, stage: Stage) -> None:
        self.past: int | None = None
        """Payments of the past, once all are published."""
        self.published = 0
        """Live payments."""
        self.failed = 0
        self.seconds = 0.0
        self._stage = stage
        self._total = settings.world.config.payments
        order: Report = {
            "bootstrap_servers": kafka.bootstrap_servers,
            "customers": settings.world.customers,
            "seed": settings.world.seed,
            "rate": settings.rate,
            "payments": settings.payments,
            "truth": str(home / "truth.parquet"),
        }
        self.child = Talking("the feed", "fraudstream.demo.feed", order, home / "feed.log", self._hear)

    def end(self) -> None:
        self.child.end()

    def _hear(self, report: Report) -> None:
        whole = report.get("whole", False)
        if report["stage"] == "live":
            self.published = report["published"]
            self.seconds = report.get("seconds", 0.0)
        elif whole:
            self.past = report["published"]
            self._stage.done(f"{self.past:,} published")
        else:
            self._stage.at(report["published"], self._total, "publishing")
        self.failed += report.get("failed", 0)


def _home(keep: Path | None, ends: Ends) -> Path:
    """The directory for everything; unless kept it goes at the end."""
    if keep is None:
        temporary = tempfile.TemporaryDirectory(prefix="fraudstream-demo-", ignore_cleanup_errors=True)
        return Path(ends.own(lambda: temporary, lambda it: it.cleanup()).name)
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UserError(f"{keep} is not an empty directory", hint="choose another --keep")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.absolute()


def _begin_training(settings: DemoSettings, home: Path, stages: Stages, ends: Ends) -> Callable[[], Bundle]:
    """The model, or its training in a process of its own; the returned function waits for it."""
    cached, out = settings.world.cached_model, home / "model"
    stage = stages.begin("model")
    if not settings.retrain and _load(cached):
        found = Bundle.load(Path(shutil.copytree(cached, out)))
        stage.done(f"{_facts(found)}, kept from before")
        return lambda: found

    def heard(report: Report) -> None:
        stage.at(report["done"], 1.0, report["stage"])

    order: Report = {"customers": settings.world.customers, "seed": settings.world.seed, "out": str(out)}
    log = home / "training.log"
    child = ends.own(lambda: Talking("training", "fraudstream.demo.training", order, log, heard), Talking.end)

    def trained() -> Bundle:
        _wait(child.finished, TRAIN_WITHIN_S, "the model was not trained", [], lambda: None)
        bundle = Bundle.load(out)
        _put_into_cache(out, cached)
        stage.done(_facts(bundle))
        return bundle

    return trained


def _facts(bundle: Bundle) -> str:
    return f"{bundle.manifest.trees} trees on {bundle.manifest.train.payments:,} payments"


def _load(path: Path) -> Bundle | None:
    try:
        return Bundle.load(path)
    except BundleError:
        return None


def _put_into_cache(bundle: Path, cached: Path) -> None:
    """Only a convenience: a cache that cannot be written makes the next demo slower, not this one fail."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=cached.parent))
        shutil.copytree(bundle, fresh / "model")
        shutil.rmtree(cached, ignore_errors=True)
        (fresh / "model").rename(cached)
    except OSError:
        return
    fresh.rmdir()


def _start_broker(home: Path, topics: Topics, stages: Stages, ends: Ends) -> KafkaSettings:
    stage = stages.begin("Apache Kafka", "starts; at first it is downloaded")
    broker = ends.own(lambda: LocalBroker(BrokerSettings(directory=home / "broker")), LocalBroker.stop)
    broker.start()
    kafka = KafkaSettings(broker.bootstrap_servers)
    create_topics(kafka, topics, partitions=PARTITIONS)
    stage.done(f"{broker.bootstrap_servers}, {len(topics.all())} topics")
    return kafka


def _start_worker(kafka: KafkaSettings, bundle: Bundle, home: Path, stages: Stages, ends: Ends) -> Child:
    """A worker as anybody would start it; returns when it is ready."""
    stage = stages.begin("worker", "starting")
    key, log = home / "token.key", home / "worker.log"
    write_new_key(key)
    arguments = ["fraudstream", "worker", "--bootstrap-servers", kafka.bootstrap_servers]
    arguments += ["--model", str(bundle.path), "--state-dir", str(home / "state"), "--token-key-file", str(key)]
    arguments += ["--metrics-port", "0", "--log-format", "json"]
    worker = ends.own(lambda: Child.guarded("the worker", arguments, log), Child.end)
    _wait(lambda: _is_ready(log), READY_WITHIN_S, "the worker is not ready", [worker.check], lambda: None)
    stage.done("ready")
    return worker


def _is_ready(log: Path) -> bool:
    """Asks the worker's health endpoint, on the port that its log names."""
    port = next((line["port"] for line in _log_lines(log) if line.get("event") == "worker starts"), None)
    if port is None:
        return False
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _log_lines(log: Path) -> Iterator[Report]:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


def _title(settings: DemoSettings, bundle: Bundle) -> Title:
    return Title(
        model=bundle.manifest.name,
        sha256=bundle.sha256,
        trees=bundle.manifest.trees,
        threshold=bundle.manifest.alert_score,
        customers=settings.world.customers,
        days_a_second=world_days(settings.world, settings.rate),
        fraud_rate=FRAUD_RATE,
        seconds=settings.seconds,
        rate=settings.rate,
    )


def _warm_up(watch: Watch, feed: Feed, alive: list[Callable[[], None]], stage: Stage) -> None:
    """Until every payment of the past is decided."""
    began = time.monotonic()

    def tell() -> None:
        stage.at(watch.past, feed.past, "the worker judges the past")

    _wait(lambda: feed.past == watch.past, PAST_WITHIN_S, "the past is not judged", alive, tell)
    stage.done(f"{watch.past:,} judged, {watch.past / (time.monotonic() - began):,.0f}/s")


def _check_watch(watch: Watch) -> None:
    if watch.failure:
        raise UserError(f"alerts and decisions cannot be read: {watch.failure}", hint="--keep DIR keeps all logs")


def _settled(watch: Watch, feed: Feed) -> bool:
    """Whether all payments are decided and all flagged ones alerted. Too many end the wait too: the summary tells."""
    figures = watch.figures
    return figures.decided >= feed.published and len(figures.alerted) >= figures.flagged


def _wait(
    reached: Callable[[], bool],
    within_s: float,
    otherwise: str,
    alive: list[Callable[[], None]],
    each_tick: Callable[[], None],
) -> None:
    """Until `reached`; raises UserError after `within_s`, and whatever the checks in `alive` raise."""
    until = time.monotonic() + within_s
    while not reached():
        for check in alive:
            check()
        if time.monotonic() > until:
            raise UserError(f"{otherwise} within {within_s:.0f} s", hint="give --keep DIR and look at the logs there")
        each_tick()
        time.sleep(TICK_S)
    each_tick()


class _Kept:
    """Writes every live alert to a file, a line each."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def also(self, show: Callable[[Alert], None]) -> Callable[[Alert], None]:
        """Write, then show."""

        def both(alert: Alert) -> None:
            self._file.write(encode(alert) + b"\n")
            show(alert)

        return both

    def close(self) -> None:
        self._file.close()
