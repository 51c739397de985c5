"""Settings of moving and keeping, one frozen class a concern, units in the names. Checked when made."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from schemas.errors import FraudStreamError

Guarantee = Literal["exactly_once", "at_least_once"]


class SettingsError(FraudStreamError):
    """A setting that cannot work."""


@dataclass(frozen=True)
class KafkaSettings:
    """How to reach the brokers, and who we are there."""

    bootstrap_servers: str
    app: str = "fraudstream"
    """Prefix of consumer groups, transactional ids and changelog topics."""
    slot: int = 0
    """This worker's ordinal; fixed over restarts, unique among the workers."""
    security: dict[str, str] = field(default_factory=dict, repr=False)
    """Properties security.*, sasl.*, ssl.* as librdkafka names them."""


@dataclass(frozen=True)
class ConsumerSettings:
    """How records are fetched and handed over."""

    max_batch: int = 8_000
    """Records in one step at most."""
    gather_ms: int = 0
    """How long a batch that is not full waits for more: fewer and larger steps, a little later."""
    poll_ms: int = 100
    """How long a quiet consumer waits before it looks after its other duties."""
    fetch_queue_backoff_ms: int = 2
    """librdkafka's default of 1,000 halves the rate once the prefetch queue is full."""
    queued_min_messages: int = 20_000
    queued_max_kbytes: int = 32_768
    max_partition_fetch_bytes: int = 4_194_304
    session_timeout_ms: int = 10_000
    max_poll_interval_ms: int = 300_000
    restore_threads: int = 2
    """Partitions restored at once."""
    revoke_timeout_ms: int = 5_000
    """How long a stopping worker waits for the step in progress; below the 10 s that it has after SIGTERM."""
    tell_ends: bool = False
    """Whether a batch also tells of the partitions that were read to their end; it may then hold no record."""

    def __post_init__(self) -> None:
        if not 0 < self.max_batch <= 100_000:
            raise SettingsError(f"max_batch is {self.max_batch}", hint="choose 1 to 100000 records a step")


@dataclass(frozen=True)
class BlockSettings:
    """How large the lake's blocks become, for each archived topic."""

    block_rows: int = 500_000
    open_rows: int = 500_000
    """Rows in memory over all partitions, at most: about 0.4 KB each for payments."""
    max_open_s: float = 600.0
    """How far the lake may lag."""

    def __post_init__(self) -> None:
        if min(self.block_rows, self.open_rows) < 1 or self.max_open_s <= 0:
            raise SettingsError("a block needs room for rows, and time", hint="leave the limits of blocks as they are")


@dataclass(frozen=True)
class ProducerSettings:
    """How results are published."""

    guarantee: Guarantee = "exactly_once"
    transaction_timeout_ms: int = 10_000
    message_timeout_ms: int = 8_000
    linger_ms: int = 1
    queue_messages: int = 500_000
    queue_kbytes: int = 262_144

    def __post_init__(self) -> None:
        if self.message_timeout_ms >= self.transaction_timeout_ms:
            raise SettingsError(
                f"message_timeout_ms {self.message_timeout_ms} is not below "
                f"transaction_timeout_ms {self.transaction_timeout_ms}",
                hint="a record must fail before its transaction does",
            )


@dataclass(frozen=True)
class StateSettings:
    """How much of the state is kept where."""

    directory: Path
    arena_rows: int = 262_144
    """Records held in memory over all partitions of one agent."""
    block_cache_bytes: int = 256 * 2**20
    write_buffer_bytes: int = 32 * 2**20
    """One memtable; RocksDB writes it out when full, which bounds what a restart replays."""
    write_buffers_bytes: int = 256 * 2**20
    """All memtables of an agent, over its partitions; the largest is written out when they reach it."""
    flush_every_s: float = 30.0
    unflushed_records: int = 100_000
    """Records of an agent, over its partitions, that may be in memtables only: what a restart after a kill replays."""

    def __post_init__(self) -> None:
        if self.arena_rows < 1:
            raise SettingsError(
                f"arena_rows is {self.arena_rows}", hint="keep at least three times as many rows as max_batch"
            )


@dataclass(frozen=True)
class RestoreSettings:
    """Limits of every wait of a restore: it never hangs."""

    committed_timeout_s: float = 30.0
    """Until the group's offsets are stable: above the transaction timeout and the broker's abort interval."""
    stalled_timeout_s: float = 60.0
    """Without a single record or end-of-partition from the changelog."""
    batch: int = 10_000
