"""Errors by what the caller does about them: redo the step, or stop the worker and tell an operator why."""

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import FraudStreamError


class StreamError(FraudStreamError):
    """Something on the way between Kafka, memory and disk failed."""


class Retry(StreamError):
    """The step did not happen: abort it, go back to the committed offsets, try again."""


class Fenced(StreamError):
    """Another process has taken over this slot: stop, and leave everything as it is."""


class Stop(StreamError):
    """Going on would lose or double something: stop and let an operator act on the hint."""


_FENCED = {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.FENCED_INSTANCE_ID}
_FENCED_INSTANCE = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
# The group moved on without us, or the broker is away for a while: nothing of the step counts, it can be redone.
_REDO = {
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._RESOLVE,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
    KafkaError._STATE,
    KafkaError._MAX_POLL_EXCEEDED,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.CONCURRENT_TRANSACTIONS,
    # A partition is changing its leader, or its replicas are behind; librdkafka does not flag these everywhere.
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
}
_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}


_WELL = "see whether the brokers are well; everything goes on from the committed offsets"


def translated(error: KafkaException | KafkaError, doing: str) -> StreamError:
    """The typed error for one of librdkafka's. One with no retriable, abortable or fatal flag counts as fatal."""
    kafka = error.args[0] if isinstance(error, KafkaException) else error
    message = f"{doing}: {kafka.str()}"
    if kafka.txn_requires_abort():
        return Retry(message, hint=_WELL)
    if kafka.code() in _FENCED or (kafka.code() == KafkaError._FATAL and _FENCED_INSTANCE in kafka.str()):
        return Fenced(message, hint="another worker runs with the same slot; give each worker a slot of its own")
    if kafka.code() in _DENIED:
        return Stop(message, hint="grant the worker the rights listed in docs/operations.md, then start it again")
    if kafka.retriable() or kafka.code() in _REDO:
        return Retry(message, hint=_WELL)
    return Stop(
        message, hint="look at the broker's log for this client; the worker starts again from the committed offsets"
    )


def of_known_partition(error: KafkaException, doing: str) -> StreamError:
    """As `translated`, of a partition that exists: one that the client does not know has no leader just now."""
    if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:
        return Retry(f"{doing}: it has no leader", hint=_WELL)
    return translated(error, doing)
