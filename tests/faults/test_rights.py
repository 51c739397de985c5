"""A worker with a principal of its own and no right more than it needs, and what it says when one is taken: row 30."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from kit.bank import Bank, Worker
from kit.oracle import Findings, audit
from kit.ports import HOST, free_port
from stream.local_broker import BrokerSettings, LocalBroker

pytestmark = [pytest.mark.broker, pytest.mark.slow]
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
READ, WRITE = AclOperation.READ, AclOperation.WRITE


class GuardedBroker:
    """A broker that gives nobody a right by itself. Tests are its super-user, on a listener of their own."""

    def __init__(self) -> None:
        listeners = {"PLAINTEXT": free_port(), "WORKERS": free_port(), "CONTROLLER": free_port()}
        self.for_workers = f"{HOST}:{listeners['WORKERS']}"
        addresses = ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items())
        properties = {
            "listeners": addresses,
            "advertised.listeners": addresses,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,WORKERS:SASL_PLAINTEXT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.workers.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.workers.plain.sasl.jaas.config": f'{LOGIN} required user_worker="secret";',
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        }
        ports = {"port": listeners["PLAINTEXT"], "controller_port": listeners["CONTROLLER"]}
        self.broker = LocalBroker(BrokerSettings(**ports, properties=properties))

    @property
    def bootstrap_servers(self) -> str:
        """For the super-user."""
        return self.broker.bootstrap_servers

    def grant(self, *rights: AclBinding) -> None:
        client = self._client()  # must outlive its futures
        for future in client.create_acls(list(rights)).values():
            future.result()

    def revoke(self, right: AclBinding) -> None:
        client = self._client()
        (taken,) = [future.result() for future in client.delete_acls([_exactly(right)]).values()]
        assert len(taken) == 1

    def _client(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers})


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedBroker]:
    guarded = GuardedBroker()
    with guarded.broker:
        yield guarded


@dataclass(frozen=True)
class Rights:
    """The worker's part of the table in docs/operations.md, "Rights", right by right."""

    bank: Bank

    def all(self) -> list[AclBinding]:
        topics = self.bank.topics
        changelogs = (topics.scoring_changelog, topics.entities_changelog)
        read = (topics.transactions, topics.labels, topics.entity_lists)
        written = (topics.alerts, topics.decisions, topics.dead_letter)
        both = (topics.entity_activity, topics.entity_risk, *changelogs)
        groups = [f"{self.bank.name}-{group}" for group in ("scoring", "entities", "labels", "reader")]
        return [
            *(self.topic(name, READ) for name in (*read, *both)),
            *(self.topic(name, WRITE) for name in (*written, *both)),
            *(_right(ResourceType.GROUP, name, READ) for name in groups),
            self.transactions,
        ]

    def topic(self, name: str, operation: AclOperation) -> AclBinding:
        return _right(ResourceType.TOPIC, name, operation)

    @property
    def transactions(self) -> AclBinding:
        prefixed = ResourcePatternType.PREFIXED
        return _right(ResourceType.TRANSACTIONAL_ID, f"{self.bank.name}-", WRITE, prefixed)


def _right(
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    pattern: ResourcePatternType = ResourcePatternType.LITERAL,
) -> AclBinding:
    return AclBinding(kind, name, pattern, "User:worker", "*", operation, AclPermissionType.ALLOW)


def _exactly(right: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        right.restype,
        right.name,
        right.resource_pattern_type,
        right.principal,
        right.host,
        right.operation,
        right.permission_type,
    )


def start(bank: Bank, guarded: GuardedBroker, state: str = "state") -> Worker:
    """A worker that logs in as `worker`."""
    security = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "worker",
        "sasl.password": "secret",
    }
    options = [part for name, value in security.items() for part in ("--kafka", f"{name}={value}")]
    return bank.worker(0, "--bootstrap-servers", guarded.for_workers, *options, state=bank.home / state)


@pytest.mark.row(30)
@pytest.mark.usefixtures("only_full")
def test_a_right_taken_from_a_running_worker_is_named_and_nothing_is_lost(guarded, make_bank, stream_of, row):
    bank = make_bank(guarded)
    rights = Rights(bank)
    guarded.grant(*rights.all())
    payments = pl.concat(stream_of(6_000))
    taken = {
        bank.topics.transactions: rights.topic(bank.topics.transactions, READ),
        "ransactional": rights.transactions,
    }
    for part, (named, right) in enumerate(taken.items()):
        worker = start(bank, guarded)
        worker.wait_ready()
        bank.publish(payments.slice(2_000 * part, 1_000))
        bank.finish()
        guarded.revoke(right)
        bank.publish(payments.slice(2_000 * part + 1_000, 1_000))
        assert worker.wait(90) == 1
        told = worker.output().splitlines()[-2:]
        assert named in "\n".join(told), told
        assert "grant" in "\n".join(told), told
        guarded.grant(right)
    start(bank, guarded)
    bank.publish(payments.tail(2_000))
    findings = finished(bank)
    row(30, findings)
    assert findings.clean, findings


@pytest.mark.row(30)
@pytest.mark.usefixtures("only_full")
def test_every_one_of_its_rights_is_needed(guarded, make_bank, stream_of, row):
    """Without it a worker ends, or it fails at each step and says so."""
    bank = make_bank(guarded)
    rights = Rights(bank).all()
    guarded.grant(*rights)
    payments = pl.concat(stream_of(12_000))
    first = start(bank, guarded)
    bank.publish(payments.head(1_000))  # every changelog has something that must be read
    bank.finish()
    first.kill()
    for number, right in enumerate(rights):
        guarded.revoke(right)
        worker = start(bank, guarded, state=f"state-{number}")  # an empty disk, so that it has to read all there is
        bank.publish(payments.slice(1_000 + 500 * number, 500))
        bank.publish_raw([(b"payer", b"no payment")])
        try:
            until_refused(worker)
        except AssertionError:
            raise AssertionError(f"it works without {right}") from None
        worker.kill()
        guarded.grant(right)
    start(bank, guarded)
    findings = finished(bank)
    row(30, findings)
    assert findings.clean, findings


def until_refused(worker: Worker) -> None:
    """Until it has ended because of the right it lacks, or a step of it has failed."""
    deadline = time.monotonic() + 60
    while worker.process.poll() is None and not worker.metric("step_failures_total"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert worker.process.returncode in (None, 1)


def finished(bank: Bank) -> Findings:
    """Everything is committed, the workers ended well, and the oracle has spoken."""
    bank.finish()
    bank.stop()
    return audit(bank)
