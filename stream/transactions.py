"""Publishing the results of a step, in one of two guarantees behind one protocol.

The caller's order is `begin`, then `send`, `send_bulk` and `send_changes` as often as it likes, `commit` or `abort`.
All of it blocks and belongs in one thread.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream import librdkafka
from stream.changelog import Change
from stream.errors import Fenced, Retry, Stop, StreamError, translated
from stream.failpoints import failpoint, watched
from stream.left_behind import Caller
from stream.logs import logger
from stream.settings import KafkaSettings, ProducerSettings

Offsets = Sequence[TopicPartition]
Sent = Callable[[int], None]
"""Called with the offset of a record once the broker has it."""
Report = Callable[[KafkaError | None, Message], None]
"""Called with what became of a record."""
INIT_TIMEOUT_S = 60.0
RENEW_TIMEOUT_S = 5.0
"""For a producer in place of one that was given up: a failed step is cleared up in reasonable time, or by the next."""
FULL_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 5.0
GRACE_S = 1.0
"""Beyond the timeout of a call that may not keep it."""
MAY_BE_LEFT_BEHIND = 5
"""Producers of one worker; each keeps its threads and its queue."""
log = logger("producer")


class Group(Protocol):
    """The consumer group that the offsets are of. `stream.batch_topic.BatchTopic` is one."""

    @property
    def group_metadata(self) -> Any:
        """Our place in it, as of the last fetch or later. With that of an older generation a commit is refused."""
        ...

    def commit_later(self, offsets: Offsets) -> None:
        """Commit offsets outside any transaction."""
        ...


class OutputProducer(Protocol):
    """Publishes what a step made; nothing of it counts before `commit` returned."""

    def begin(self) -> None:
        """Start a step's output. Raises `Retry`, `Fenced`, `Stop`; there is nothing to abort then."""
        ...

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        *,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
        sent: Sent | None = None,
    ) -> None: ...
    def send_bulk(self, topic: str, records: Iterable[dict[str, Any]]) -> None:
        """Records without headers, as dicts of key, value and optionally partition."""
        ...

    def send_changes(self, topic: str, changes: Sequence[Change], partition: int) -> None:
        """Records of a changelog; a value of None deletes its key."""
        ...

    def commit(self, group: Group, offsets: Offsets) -> None:
        """Make records and offsets count, or raise `Fenced`, `Stop` or `Retry`: nothing happened, or it is not known
        whether it did, and the committed offsets tell."""
        ...

    def abort(self) -> None:
        """Drop what was sent since `begin`. Never raises: what cannot be ended now is ended by the next `begin`."""
        ...

    def close(self) -> None: ...


class _Base:
    """What both have in common: a librdkafka producer and patience with its bounded queue."""

    _needs_reports = True
    """Whether a record that was not delivered shows in its report only."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings, agent: str) -> None:
        self._agent = agent
        self._config = librdkafka.producer(kafka, settings, agent)
        self._settings = settings
        self._failed: KafkaError | None = None
        self._producer: Any = self._make()

    def _make(self) -> Producer:
        return Producer(self._config)

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        *,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
        sent: Sent | None = None,
    ) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            failpoint("delivered", self._agent)
            if error is not None:
                self._failed = error
            elif sent is not None:
                sent(message.offset())

        report = delivered if sent is not None or self._needs_reports else None
        self._send_all(topic, [(key, value)], partition, report, headers)

    def send_bulk(self, topic: str, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            self._send_all(topic, [(record["key"], record["value"])], record.get("partition", -1), self._report)

    def send_changes(self, topic: str, changes: Sequence[Change], partition: int) -> None:
        self._send_all(topic, changes, partition, self._report)

    def _send_all(
        self,
        topic: str,
        records: Sequence[tuple[bytes | None, bytes | None]],
        partition: int,
        report: Report | None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """One call each: with the dicts that it wants, confluent-kafka's `produce_batch` (2.16) takes longer."""
        produce, more = self._producer.produce, {"headers": headers} if headers else {}
        for key, value in records:
            while True:
                try:
                    produce(topic, value, key, partition, report, **more)
                    break
                except BufferError:
                    self._wait_for_room(topic)
                except KafkaException as error:
                    raise self._problem(error, f"publishing to {topic}") from error

    @property
    def _report(self) -> Report | None:
        return self._delivered if self._needs_reports else None

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed = error

    def _wait_for_room(self, topic: str) -> None:
        if self._flush(FULL_TIMEOUT_S):
            raise Retry(f"the queue to {topic} stays full: the broker takes nothing")

    def _flush(self, timeout_s: float) -> int:
        """Records still on their way after so long. A fatal error comes out of any call that serves events."""
        try:
            return int(self._producer.flush(timeout_s))
        except KafkaException as error:
            raise self._problem(error, "publishing") from error

    def _problem(self, error: KafkaException, doing: str) -> StreamError:
        return translated(error, doing)

    def close(self) -> None:
        try:
            if self._producer is not None:
                self._flush(CLOSE_TIMEOUT_S)
        except StreamError as error:
            log.warning("producer closed after an error", agent=self._agent, error=str(error))

    def _check(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise translated(failed, "publishing")


class ExactlyOnce(_Base):
    """One Kafka transaction a step. The id is the slot's, so a successor fences us and ends what we left open.

    After a commit or an abort of unknown outcome the producer is given up: a new one with the same id makes the
    coordinator finish what was begun, so that the restore that follows need not wait for the transaction's timeout.
    One that was fenced is never made anew: it would fence its successor in turn.
    """

    _needs_reports = False  # a commit fails when a record of its transaction was not delivered
    _given_up = False
    _fenced: Fenced | None = None
    _begun = 0.0

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings, agent: str) -> None:
        self._caller = Caller(f"{agent}-offsets")
        super().__init__(kafka, settings, agent)

    def close(self) -> None:
        self._caller.close()
        super().close()

    def _make(self, timeout_s: float = INIT_TIMEOUT_S) -> Producer:
        producer = Producer(self._config)
        try:
            producer.init_transactions(timeout_s)
        except KafkaException as error:
            raise translated(error, "starting transactions") from error
        return producer

    def begin(self) -> None:
        self._failed = None
        if self._fenced is not None:
            raise self._fenced
        if self._given_up:
            self._renew()
        self._begun = time.monotonic()
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            self._given_up = True
            raise self._problem(error, "beginning a transaction") from error

    def _renew(self) -> None:
        log.warning("building the producer anew", agent=self._agent)
        self._producer = None  # the old one goes first: two of one id fence each other
        self._producer = self._make(RENEW_TIMEOUT_S)
        self._given_up = False

    def _problem(self, error: KafkaException, doing: str) -> StreamError:
        problem = translated(error, doing)
        if not isinstance(problem, Fenced):
            return problem
        if time.monotonic() - self._begun > self._settings.transaction_timeout_ms / 1000:
            # The coordinator aborts a transaction that took too long by fencing it: in the protocol, as a successor
            # would. If there is one, our next transaction is refused while it is young.
            self._given_up = True
            return Retry(f"{problem}; the transaction was older than its timeout", hint=problem.hint)
        self._fenced = problem
        return problem

    def commit(self, group: Group, offsets: Offsets) -> None:
        """1. Add the offsets, under the group's generation. 2. Commit, which waits for every record."""
        timeout = self._settings.transaction_timeout_ms / 1000
        try:
            if watched("produced"):
                self._flush(timeout)  # the fault is to find the records with the brokers
                failpoint("produced", self._agent)
            # 1: a rebalance changes the generation, which fences a zombie.
            self._add_offsets(list(offsets), group.group_metadata, timeout)
            failpoint("offsets-added", self._agent)
            # 2
            failpoint("committing", self._agent)
            self._producer.commit_transaction(timeout)
        except KafkaException as error:
            self._given_up = not error.args[0].txn_requires_abort()
            raise self._problem(error, "committing a transaction") from error

    def _add_offsets(self, offsets: list[TopicPartition], metadata: Any, timeout_s: float) -> None:
        producer = self._producer
        try:
            self._caller.call(
                lambda: producer.send_offsets_to_transaction(offsets, metadata, timeout_s), timeout_s + GRACE_S
            )
        except TimeoutError as error:
            # librdkafka's issues 5456 and 5511: it may wait for ever for a coordinator that went away.
            self._given_up = True
            doing = "adding offsets to a transaction never returns"
            if self._caller.left_behind > MAY_BE_LEFT_BEHIND:
                raise Stop(
                    doing, hint="look at the brokers' health; the worker goes on when it is started again"
                ) from error
            raise Retry(doing, hint="see whether the brokers are well") from error

    def abort(self) -> None:
        try:
            if not self._given_up:
                self._producer.abort_transaction(self._settings.transaction_timeout_ms / 1000)
        except KafkaException as error:
            self._given_up = True
            problem = self._problem(error, "aborting a transaction")
            log.warning("the transaction could not be aborted", agent=self._agent, error=str(problem))
        if self._given_up and self._fenced is None:
            try:
                self._renew()
            except StreamError as error:
                log.warning("the broker does not answer", agent=self._agent, error=str(error))


class AtLeastOnce(_Base):
    """No transaction: what others read is acknowledged before the changelog, and that before the offsets."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings, agent: str, changelog: str | None) -> None:
        super().__init__(kafka, settings, agent)
        self._changelog = changelog
        self._later: list[Callable[[], None]] = []

    def begin(self) -> None:
        self._later.clear()
        self._failed = None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        *,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
        sent: Sent | None = None,
    ) -> None:
        if topic == self._changelog:
            self._later.append(
                lambda: super(AtLeastOnce, self).send(
                    topic, key, value, partition=partition, headers=headers, sent=sent
                )
            )
        else:
            super().send(topic, key, value, partition=partition, headers=headers, sent=sent)

    def send_changes(self, topic: str, changes: Sequence[Change], partition: int) -> None:
        self._later.append(lambda: super(AtLeastOnce, self).send_changes(topic, changes, partition))

    def commit(self, group: Group, offsets: Offsets) -> None:
        """1. Results acknowledged. 2. Changelog acknowledged. 3. Offsets, which may follow later."""
        self._acknowledged()  # 1
        failpoint("produced", self._agent)
        for send in self._later:
            send()
        self._later.clear()
        self._acknowledged()  # 2
        failpoint("offsets-added", self._agent)
        failpoint("committing", self._agent)
        group.commit_later(offsets)  # 3

    def _acknowledged(self) -> None:
        if self._flush(self._settings.message_timeout_ms / 1000 + 1):
            raise Retry("the broker does not acknowledge")
        self._check()

    def abort(self) -> None:
        self._later.clear()


def make_producer(
    kafka: KafkaSettings, settings: ProducerSettings, agent: str, changelog: str | None
) -> OutputProducer:
    """The producer that the settings ask for."""
    if settings.guarantee == "exactly_once":
        return ExactlyOnce(kafka, settings, agent)
    return AtLeastOnce(kafka, settings, agent, changelog)
