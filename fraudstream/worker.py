"""The worker: everything wired in one readable function, run by Faust until a signal or an error ends it."""

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mode import Service

from agents.breaker import REJECT_LIMIT, CircuitBreaker
from agents.champion import ModelWatch
from agents.drift import DriftWatch
from agents.entities import ENTITIES_PER_PAYER, Entities
from agents.labels import Labels
from agents.scoring import Scoring
from agents.tables import ListTable, RiskTable
from fraudstream.running import Running
from models.engine import TTL_MS
from models.entity_state import ENTITY_KEY_BYTES
from models.policy import Policy
from models.retrain import POLICY, RetrainPolicy
from models.state_format import codecs
from models.tokens import Tokeniser
from models.warm import warm
from stream.admin import partitions_of, topic_id
from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.errors import Stop
from stream.expiry import Collector, ExpirySettings
from stream.faust_app import make_app
from stream.health import HealthServer
from stream.keyed_state import DirectoryLock, KeyedState
from stream.logs import logger
from stream.metrics import METRICS
from stream.restore import Progress, Restorer
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings, RestoreSettings, StateSettings
from stream.standby import Standby
from stream.step import Outputs, StepRunner
from stream.table import TopicFollower
from stream.topics import Topics
from stream.transactions import make_producer

log = logger("worker")
TABLES_WITHIN_S = 600.0
SWITCH_INTERVAL_S = 0.0005
"""How long one agent's thread may keep the interpreter from another's. With Python's 5 ms, a scoring step waits that
long after each of its native calls while another agent is busy."""
ENTITIES_GATHER_MS = 25
"""No payment waits for the risk that follows from it, and each small step costs the broker a transaction."""
EXPIRY_GRACE_MS = 30 * 86_400_000
"""A payer's record is deleted so long after the payer counts as unknown, by the newest payment of the partition."""


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is given."""

    kafka: KafkaSettings
    consumer: ConsumerSettings
    producer: ProducerSettings
    state: StateSettings
    topics: Topics
    model: Path
    challengers: tuple[Path, ...] = ()
    policy: Path | None = None
    reject_limit: int = REJECT_LIMIT
    """Unreadable payments in a row with which the worker stops; 0: it never does."""
    retrain: RetrainPolicy = POLICY
    state_format: int | None = None
    """What state is written in; None: the newest that this build knows."""
    metrics_port: int = 9108
    standby: int = 0
    """Partitions of others, of each agent, whose state is kept current here."""
    accept_state_loss: bool = False
    """Start even where the state is behind the committed offsets, with what there is of it."""


def run(settings: WorkerSettings, tokeniser: Tokeniser) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises the `FraudStreamError` that ended it, if one did."""
    # The order matters: a second worker on the same directory, or one without topics or model, must end here, before
    # it joins the group or fences anyone.
    home = settings.state.directory / str(settings.kafka.slot)
    lock = DirectoryLock(home)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    topics = settings.topics
    partitions = partitions_of(settings.kafka, *topics.all())
    _check_paired(partitions, topics.transactions, topics.scoring_changelog)
    _check_paired(partitions, topics.entity_activity, topics.entities_changelog)
    payer_codec, entity_codec = codecs(settings.state_format)
    policy = Policy.load(settings.policy) if settings.policy else Policy()
    models = ModelWatch(settings.model, settings.challengers, policy)

    warm()
    # What stands by now stays, and batches of payments hold no cycles: the collector need not look so often.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    app = make_app(settings.kafka.app, home / "faust")
    worker = Judging(app, Standby(settings.kafka, settings.standby))
    risk = RiskTable(home / "entity-risk", topic_id(settings.kafka, topics.entity_risk), settings.state)
    lists = ListTable()
    worker.follow(TopicFollower(settings.kafka, topics.entity_risk, partitions[topics.entity_risk], risk))
    worker.follow(TopicFollower(settings.kafka, topics.entity_lists, partitions[topics.entity_lists], lists))
    worker.on_end(risk.close)

    drift = DriftWatch(settings.retrain)
    payers = KeyedState(payer_codec, home / "scoring", settings.state)
    scoring = Scoring(
        state=payers,
        tokeniser=tokeniser,
        models=lambda: models.current,
        risk=risk,
        lists=lists,
        topics=topics,
        activity_partitions=partitions[topics.entity_activity],
        slot=settings.kafka.slot,
        breaker=CircuitBreaker(settings.reject_limit, topics.dead_letter),
        drift=drift,
    )
    entity_rows = replace(settings.state, arena_rows=ENTITIES_PER_PAYER * settings.state.arena_rows)
    entities = Entities(KeyedState(entity_codec, home / "entities", entity_rows, ENTITY_KEY_BYTES), topics.entity_risk)
    labels = Labels(tokeniser, topics.entity_activity, partitions[topics.entity_activity])

    collector = Collector(payers, lambda records: records["last_seen_ms"], ExpirySettings(TTL_MS + EXPIRY_GRACE_MS))

    def judge(batch: Batch, applied: dict[int, int]) -> Outputs:
        outputs = scoring.compute(batch, applied)
        collector.collect(outputs)
        return outputs

    worker.agent(
        settings,
        "scoring",
        topics.transactions,
        judge,
        payers,
        topics.scoring_changelog,
        partitions[topics.scoring_changelog],
    )
    worker.agent(
        settings,
        "entities",
        topics.entity_activity,
        entities.compute,
        entities.state,
        topics.entities_changelog,
        partitions[topics.entities_changelog],
        gather_ms=ENTITIES_GATHER_MS,
    )
    worker.agent(settings, "labels", topics.labels, lambda batch, _: labels.compute(batch))

    models.start()
    worker.on_end(models.stop)
    drift.start()
    worker.on_end(drift.stop)
    health = HealthServer(settings.metrics_port, METRICS.registry, worker.live, worker.ready)
    health.start()
    log.info(
        "worker starts",
        slot=settings.kafka.slot,
        model=models.current.champion.bundle.manifest.name,
        sha256=models.current.champion.bundle.sha256,
        guarantee=settings.producer.guarantee,
        policy_version=policy.version,
        port=health.port,
    )
    try:
        worker.run()
    finally:
        health.stop()
        lock.release()
    log.info("worker stopped", slot=settings.kafka.slot)


def _check_paired(partitions: dict[str, int], source: str, changelog: str) -> None:
    if partitions[source] != partitions[changelog]:
        raise Stop(
            f"{source} has {partitions[source]} partitions, its changelog {changelog} {partitions[changelog]}",
            hint="give both the same number; a payer's state lies on the partition of its payments",
        )


class Judging(Running):
    """The worker's agents, with their states and tables."""

    def __init__(self, app: Any, standby: Standby) -> None:
        super().__init__(app)
        self._standby = standby
        self._followers: list[TopicFollower] = []
        self._states: dict[str, KeyedState] = {}
        self._runners: list[StepRunner] = []

    def follow(self, follower: TopicFollower) -> None:
        self._followers.append(follower)

    def agent(
        self,
        settings: WorkerSettings,
        name: str,
        topic: str,
        compute: Callable[[Batch, dict[int, int]], Outputs],
        state: KeyedState | None = None,
        changelog: str = "",
        partitions: int = 0,
        gather_ms: int = 0,
    ) -> None:
        """One Faust agent over one topic: its source, its producer, its steps, and the restore of its state.

        `partitions` is how many its changelog has; `gather_ms` see `ConsumerSettings`.
        """
        exact = settings.producer.guarantee == "exactly_once"
        restorer = (
            Restorer(
                settings.kafka,
                changelog,
                state,
                RestoreSettings(),
                agent=name,
                exact=exact,
                accept_loss=settings.accept_state_loss,
            )
            if state
            else None
        )

        def prepare(partition: int, committed: int, still_ours: Callable[[], bool]) -> int:
            if restorer is None:
                return committed

            def progress(now: Progress) -> None:
                METRICS.restoring(name, partition, now.records, now.left, now.seconds_left)

            self._standby.let_go(name, partition)
            restored = restorer.restore(partition, committed, still_ours, progress)
            runner.prepared(partition, restored.checkpoint)
            return restored.source_offset

        def release(partition: int) -> None:
            if state is not None:
                state.close(partition)
                self._standby.give_back(name, partition)

        consumer = replace(settings.consumer, gather_ms=gather_ms)
        source = BatchTopic(self._app, topic, name, settings.kafka, consumer, prepare=prepare, release=release)
        producer = make_producer(settings.kafka, settings.producer, name, changelog or None)
        runner = StepRunner(
            source, producer, lambda batch: compute(batch, runner.redo(batch)), state=state, changelog=changelog
        )

        self.take(source, runner.run)
        self._runners.append(runner)
        if state is not None:
            self._states[name] = state
            self._standby.agent(name, changelog, partitions, state, settled=source.is_ready)
        self._ends.append(producer.close)
        if state is not None:
            self._ends.append(state.close_all)

    def live(self) -> dict[str, bool]:
        return super().live() | {"steps": not any(runner.stuck for runner in self._runners)}

    def ready(self) -> dict[str, bool]:
        ready = super().ready() | {"steps": not any(runner.failing for runner in self._runners)}
        return ready | {"tables": all(follower.ready for follower in self._followers)}

    async def prepare(self, service: Service) -> bool:
        """Read the tables to their end: nothing is judged without them."""
        for follower in self._followers:
            follower.start()
        until = time.monotonic() + TABLES_WITHIN_S
        while not all(follower.ready for follower in self._followers):
            failures = [follower.failure for follower in self._followers if follower.failure]
            if failures:
                self.fail(failures[0])
                return False
            if time.monotonic() > until:
                self.fail(Stop("the tables could not be read in time", hint="look at the broker's health"))
                return False
            if service.should_stop:
                return False
            self.moves()
            await asyncio.sleep(0.02)
        self._standby.start()
        return True

    async def turned(self) -> None:
        for name, state in self._states.items():
            METRICS.state_rows.labels(name).set(state.rows_in_memory)
            METRICS.state_disk.labels(name).set(await asyncio.to_thread(state.disk_bytes))
            METRICS.state_records.labels(name).set(state.estimated_records())
            METRICS.standby_partitions.labels(name).set(len(self._standby.followed(name)))
            METRICS.standby_lag.labels(name).set(self._standby.lag(name))
        for follower in self._followers:
            if follower.failure is not None:
                self.fail(follower.failure)

    def stopping(self) -> None:
        self._standby.stop()
        for follower in self._followers:
            follower.stop()
