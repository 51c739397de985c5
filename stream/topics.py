"""The topics: their names, what each needs, and making them on a cluster.

`create_topics` may run again and again: what exists and fits stays as it is, what does not fit is an error, because
state and source are paired partition by partition.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ConfigSource, NewTopic, ResourceType

from schemas.errors import FraudStreamError
from stream.librdkafka import admin
from stream.settings import KafkaSettings

REACH_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 15.0
POLL_S = 0.1
DAY_MS = 86_400_000
WIDE_MAX_BYTES = 8 * 2**20
"""A whole step's rows travel as one record; a dead letter is as large as what came."""


class TopicError(FraudStreamError):
    """Topics could not be made, or the ones that exist do not fit."""


@dataclass(frozen=True)
class Topics:
    """Every topic's name. Written nowhere else."""

    transactions: str = "transactions"
    alerts: str = "alerts"
    decisions: str = "decisions"
    dead_letter: str = "transactions.dead-letter"
    entity_activity: str = "entity-activity"
    entity_risk: str = "entity-risk"
    labels: str = "labels"
    entity_lists: str = "entity-lists"
    scoring_changelog: str = "fraudstream-scoring-changelog"
    entities_changelog: str = "fraudstream-entities-changelog"

    @classmethod
    def named(cls, *, prefix: str = "", app: str = "fraudstream") -> "Topics":
        """The names with a prefix before each; the changelogs carry the application's id."""
        plain = cls(scoring_changelog=f"{app}-scoring-changelog", entities_changelog=f"{app}-entities-changelog")
        return cls(**{each.name: prefix + getattr(plain, each.name) for each in fields(cls)})

    def all(self) -> list[str]:
        return [getattr(self, each.name) for each in fields(self)]


@dataclass(frozen=True)
class TopicSpec:
    """What a topic must be. `configs` in Kafka's names; replication comes from the cluster."""

    name: str
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        """Whether it keeps the last record of each key for ever."""
        return self.configs.get("cleanup.policy") == "compact"


@dataclass(frozen=True)
class TopicState:
    """A topic as found: `created` tells whether this call made it; no partitions means that it is not there."""

    name: str
    partitions: int
    created: bool = False


def topic_specs(topics: Topics, partitions: int, entity_partitions: int | None = None) -> list[TopicSpec]:
    """Every topic with what it needs. Sources, their results and their changelogs share the number of partitions.

    The topics of entities may have a number of their own: each step writes to all partitions of `entity-activity`, and
    each costs its transaction time; as many as there are workers are enough.
    """
    entities = partitions if entity_partitions is None else entity_partitions
    if min(partitions, entities) < 1:
        raise TopicError(f"{min(partitions, entities)} partitions are too few", hint="choose 1 or more")
    return [
        TopicSpec(topics.transactions, partitions, _kept(days=7)),
        TopicSpec(topics.alerts, partitions, _kept(days=30)),
        TopicSpec(topics.decisions, partitions, _kept(days=30) | _wide()),
        TopicSpec(topics.dead_letter, partitions, _kept(days=30) | _wide()),  # whatever came, and its headers
        TopicSpec(topics.entity_activity, entities, _kept(days=7) | _wide()),
        TopicSpec(topics.entity_risk, entities, _compacted()),
        TopicSpec(topics.labels, partitions, _kept(days=90)),
        TopicSpec(topics.entity_lists, 1, _compacted()),  # one order for all changes
        TopicSpec(topics.scoring_changelog, partitions, _compacted()),
        TopicSpec(topics.entities_changelog, entities, _compacted()),
    ]


def create_topics(
    kafka: KafkaSettings,
    topics: Topics | None = None,
    *,
    partitions: int = 4,
    entity_partitions: int | None = None,
    replication_factor: int = 1,
) -> list[TopicState]:
    """Makes the missing topics; returns when every one has its leaders. See `topic_specs`.

    1. compare what exists; nothing is made when something does not fit
    2. create what is missing
    3. wait until the cluster shows all of it

    Raises TopicError: brokers out of reach, rights missing, partitions or compaction of an existing topic unfit.
    """
    specs = topic_specs(topics or Topics.named(app=kafka.app), partitions, entity_partitions)
    client = _client(kafka)
    found = _partitions(client, kafka, [spec.name for spec in specs])
    existing = [spec for spec in specs if found[spec.name]]
    _check_partitions(existing, found)  # 1
    _check_compaction(client, existing)
    missing = [spec for spec in specs if not found[spec.name]]
    _create(client, missing, replication_factor)  # 2
    _wait_for(client, kafka, missing)  # 3
    return [TopicState(spec.name, spec.partitions, spec in missing) for spec in specs]


def recreate_topic(kafka: KafkaSettings, spec: TopicSpec, *, like: str) -> None:
    """Delete a topic, if it is there, and make it again, empty, with the settings that it had; else those of `spec`.

    Its replicas are as many as it had, or as those of the topic `like`. Raises TopicError.
    """
    client = _client(kafka)
    known = client.list_topics(timeout=REACH_TIMEOUT_S).topics
    model = known.get(spec.name) or known[like]
    replication_factor = len(next(iter(model.partitions.values())).replicas)
    if spec.name in known:
        spec = replace(spec, configs=_own_configs(client, spec.name))
        _delete(client, spec.name)
    _create(client, [spec], replication_factor)
    _wait_for(client, kafka, [spec])


def list_topics(kafka: KafkaSettings, topics: Topics) -> list[TopicState]:
    """Every topic as it is on the cluster; one that is missing has 0 partitions. Raises TopicError."""
    found = _partitions(_client(kafka), kafka, topics.all())
    return [TopicState(name, count) for name, count in found.items()]


def _client(kafka: KafkaSettings) -> AdminClient:
    return AdminClient({**admin(kafka), "log_level": 0})  # our errors say it, once


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


def _wide() -> dict[str, str]:
    return {"max.message.bytes": str(WIDE_MAX_BYTES)}


def _compacted() -> dict[str, str]:
    """The active segment is never compacted: small ones, closed in time, bound what a restore reads."""
    return {
        "cleanup.policy": "compact",
        "segment.bytes": str(64 * 2**20),
        "segment.ms": str(DAY_MS),
        "min.cleanable.dirty.ratio": "0.3",
        "max.compaction.lag.ms": str(7 * DAY_MS),
    }


def _partitions(
    client: AdminClient, kafka: KafkaSettings, names: Sequence[str], *, led: bool = False
) -> dict[str, int]:
    """Partitions by topic, 0 for one that does not exist; with `led`, only those that have a leader."""
    try:
        known = client.list_topics(timeout=REACH_TIMEOUT_S).topics
    except KafkaException as error:
        raise TopicError(
            f"no broker answers at {kafka.bootstrap_servers}: {error.args[0].str()}",
            hint="start one with `fraudstream broker start`, or check --bootstrap-servers",
        ) from error
    found = {name: [each.leader >= 0 for each in topic.partitions.values()] for name, topic in known.items()}
    return {name: sum(found.get(name, ())) if led else len(found.get(name, ())) for name in names}


def _check_partitions(specs: Iterable[TopicSpec], found: Mapping[str, int]) -> None:
    for spec in specs:
        if found[spec.name] != spec.partitions:
            raise TopicError(
                f"topic {spec.name} has {found[spec.name]} partitions, asked for were {spec.partitions}",
                hint=f"state is paired with its source partition by partition: use --partitions {found[spec.name]} "
                "(--entity-partitions for the topics of entities), or another --topic-prefix for topics of your own",
            )


def _check_compaction(client: AdminClient, specs: Iterable[TopicSpec]) -> None:
    """A changelog that forgets by age loses the state of payers who were quiet."""
    asked = [ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs if spec.compacted]
    if not asked:
        return
    for resource, future in client.describe_configs(asked, request_timeout=REQUEST_TIMEOUT_S).items():
        try:
            policy = future.result()["cleanup.policy"].value
        except KafkaException as error:
            raise _translated(error, f"reading the settings of topic {resource.name}") from error
        if "compact" not in policy or "delete" in policy:
            raise TopicError(
                f"topic {resource.name} has cleanup.policy {policy}, it must be compact",
                hint=f"set it: kafka-configs.sh --alter --entity-type topics --entity-name {resource.name} "
                "--add-config cleanup.policy=compact",
            )


def _create(client: AdminClient, specs: Sequence[TopicSpec], replication_factor: int) -> None:
    if not specs:
        return
    # A transaction survives the loss of one replica, where there is one to lose.
    in_sync = {"min.insync.replicas": str(max(1, replication_factor - 1))}
    wanted = [
        NewTopic(spec.name, spec.partitions, replication_factor, config={**in_sync, **spec.configs}) for spec in specs
    ]
    for name, future in client.create_topics(wanted, request_timeout=REQUEST_TIMEOUT_S).items():
        try:
            future.result()
        except KafkaException as error:
            if (
                error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS
            ):  # somebody else was quicker: `_wait_for` compares
                raise _translated(error, f"creating topic {name}") from error


def _own_configs(client: AdminClient, name: str) -> dict[str, str]:
    """What was set on the topic itself."""
    asked = ConfigResource(ResourceType.TOPIC, name)
    try:
        found = client.describe_configs([asked], request_timeout=REQUEST_TIMEOUT_S)[asked].result()
    except KafkaException as error:
        raise _translated(error, f"reading the settings of topic {name}") from error
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {each.name: each.value for each in found.values() if each.source == own and each.value is not None}


def _delete(client: AdminClient, name: str) -> None:
    try:
        client.delete_topics([name], request_timeout=REQUEST_TIMEOUT_S)[name].result()
    except KafkaException as error:
        raise _translated(error, f"deleting topic {name}") from error
    until = time.monotonic() + REQUEST_TIMEOUT_S
    while name in client.list_topics(timeout=REACH_TIMEOUT_S).topics:
        if time.monotonic() > until:
            raise TopicError(f"topic {name} is still there after its deletion", hint="look at the controller's log")
        time.sleep(POLL_S)


def _wait_for(client: AdminClient, kafka: KafkaSettings, specs: Sequence[TopicSpec]) -> None:
    names = [spec.name for spec in specs]
    until = time.monotonic() + REQUEST_TIMEOUT_S
    while specs and _partitions(client, kafka, names, led=True) != {spec.name: spec.partitions for spec in specs}:
        if time.monotonic() > until:
            _check_partitions(specs, _partitions(client, kafka, names))
            raise TopicError("the new topics have no leaders", hint="look at the brokers' logs")
        time.sleep(POLL_S)


_HINTS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant this client Create, Describe and DescribeConfigs on the topics",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "grant this client Create on the cluster",
    KafkaError.INVALID_REPLICATION_FACTOR: "there are fewer brokers than replicas: lower --replication-factor",
    KafkaError.POLICY_VIOLATION: "the cluster's own policy refuses it: ask its administrator",
}


def _translated(error: KafkaException, doing: str) -> TopicError:
    kafka = error.args[0]
    return TopicError(f"{doing} failed: {kafka.str()}", hint=_HINTS.get(kafka.code(), "look at the broker's log"))
