"""The smallest agent with state, end to end: counts the records of each key. Also a process of its own, to be killed:

    python counting_job.py '{"bootstrap_servers": …, "source": …, "results": …, "changelog": …, "directory": …}'

A record is a key of 16 bytes and, as value, its number among the key's records, from 1. Each makes one result
`partition-offset:count:disorder`, so that a lost, doubled or disordered record shows in the results.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mode import Service
from mode.worker import Worker
from numpy.typing import NDArray

from models.keys import as_keys
from stream.batch import Batch
from stream.batch_topic import BatchTopic
from stream.faust_app import make_app
from stream.keyed_state import DirectoryLock, KeyedState
from stream.restore import Restorer
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings, RestoreSettings, StateSettings
from stream.step import Outputs, StepRunner
from stream.transactions import make_producer

COUNT = np.dtype([("count", "i8"), ("last", "i8"), ("disorder", "i8")])


class CountCodec:
    """A version byte, then the record's bytes."""

    dtype = COUNT

    def encode(self, records: NDArray[np.void], rows: NDArray[np.int64]) -> list[bytes]:
        return [b"\x01" + records[row].tobytes() for row in rows.tolist()]

    def decode(self, values: Sequence[bytes], records: NDArray[np.void], rows: NDArray[np.int64]) -> None:
        if any(len(value) != 1 + COUNT.itemsize or value[0] != 1 for value in values):
            raise ValueError("not a count")
        records[rows] = np.frombuffer(b"".join(value[1:] for value in values), dtype=COUNT)


@dataclass(frozen=True)
class Job:
    """Where a counting job runs, and how."""

    bootstrap_servers: str
    source: str
    results: str
    changelog: str
    directory: str
    slot: int = 0
    guarantee: str = "exactly_once"
    max_batch: int = 500
    arena_rows: int = 4_000
    write_buffer_bytes: int = 1 << 20
    session_timeout_ms: int = 6_000

    def as_argument(self) -> str:
        return json.dumps(asdict(self))

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(self.bootstrap_servers, app=self.source, slot=self.slot)

    @property
    def state(self) -> StateSettings:
        return StateSettings(
            Path(self.directory), arena_rows=self.arena_rows, write_buffer_bytes=self.write_buffer_bytes
        )


def count(state: KeyedState, results: str, applied: Callable[[Batch], dict[int, int]]) -> Callable[[Batch], Outputs]:
    """The step's own function."""

    def compute(batch: Batch) -> Outputs:
        outputs = Outputs(bulk={results: []})
        done = applied(batch)
        for partition in np.unique(batch.partitions).tolist():
            mine = np.flatnonzero(batch.partitions == partition).tolist()
            keys = [batch.keys[i] or b"" for i in mine]
            rows = state.rows(partition, as_keys(keys))
            for i, row in zip(mine, rows.tolist(), strict=True):
                record = state.records[row]
                if batch.offsets[i] >= done[partition]:
                    number = int(batch.values[i] or b"0")
                    record["disorder"] += number != record["last"] + 1
                    record["last"] = number
                    record["count"] += 1
                result = f"{partition}-{batch.offsets[i]}:{record['count']}:{record['disorder']}"
                outputs.bulk[results].append({"key": batch.keys[i], "value": result.encode()})
            touched, first = np.unique(rows, return_index=True)
            outputs.changed[partition] = (as_keys([keys[i] for i in first.tolist()]), touched)
        return outputs

    return compute


class Counting(Service):
    """The job as a Faust app with one agent, wired as a worker wires its own."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.app = make_app(job.source, Path(job.directory) / "faust")
        self.counts = KeyedState(CountCodec(), Path(job.directory) / "state", job.state)
        exact = job.guarantee == "exactly_once"
        restorer = Restorer(job.kafka, job.changelog, self.counts, RestoreSettings(), exact=exact)
        self.producer = make_producer(
            job.kafka,
            ProducerSettings(guarantee=job.guarantee),
            "counting",
            job.changelog,  # type: ignore[arg-type]
        )

        def prepare(partition: int, committed: int, still_ours: Callable[[], bool]) -> int:
            restored = restorer.restore(partition, committed, still_ours)
            self.runner.prepared(partition, restored.checkpoint)
            return restored.source_offset

        self.source = BatchTopic(
            self.app,
            job.source,
            "counting",
            job.kafka,
            ConsumerSettings(max_batch=job.max_batch, session_timeout_ms=job.session_timeout_ms),
            prepare=prepare,
            release=self.counts.close,
        )
        compute = count(self.counts, job.results, lambda batch: self.runner.redo(batch))
        self.runner = StepRunner(self.source, self.producer, compute, state=self.counts, changelog=job.changelog)

        async def steps(stream: AsyncIterator[Batch]) -> None:
            async for batch in stream:
                await self.runner.run(batch)

        self.app.agent(self.source.channel, name="counting")(steps)

    async def on_start(self) -> None:
        await self.add_runtime_dependency(self.app)
        self.source.on_failure = self._fail
        await self.add_runtime_dependency(self.source)
        self.app.flow_control.resume()

    def _fail(self, error: Any) -> None:
        sys.exit(f"{error} ({error.hint})")

    def close(self) -> None:
        self.producer.close()
        self.counts.close_all()


def main(argument: str) -> None:
    job = Job(**json.loads(argument))
    lock = DirectoryLock(Path(job.directory))
    counting = Counting(job)
    try:
        Worker(counting, loglevel="warning", redirect_stdouts=False).execute_from_commandline()
    finally:
        counting.close()
        lock.release()


if __name__ == "__main__":
    main(sys.argv[1])
