"""The reduced job on our own machinery: the same topic, step, state and trees as the product, with 20 features.

Run by bench.peers.
"""

import gc
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
import xgboost

from bench.peers.features import CODEC, Payment, judge, rows_of
from bench.peers.job import Job
from fraudstream.worker import SWITCH_INTERVAL_S, Judging, WorkerSettings
from models.calibration import probability_of
from models.forest import Forest
from models.keys import TOKEN_BYTES, as_keys
from schemas.codec import encode
from stream import logs
from stream.batch import Batch
from stream.faust_app import make_app
from stream.keyed_state import KeyedState
from stream.settings import ConsumerSettings, KafkaSettings, ProducerSettings, StateSettings
from stream.standby import Standby
from stream.step import Outputs
from stream.topics import Topics

_payment = msgspec.json.Decoder(Payment).decode


class Alert(msgspec.Struct):
    """What goes out."""

    id: str
    payer: str
    score: float


@dataclass(frozen=True)
class Reduced:
    """What a step of the reduced job needs."""

    state: KeyedState
    forest: Forest
    threshold: float
    alerts: str

    def compute(self, batch: Batch) -> Outputs:
        """Judge a batch."""
        outputs = Outputs()
        payments = [_payment(value or b"") for value in batch.values]
        keys = [key or b"" for key in batch.keys]
        at = np.empty(len(payments), dtype=np.int64)
        for partition in np.unique(batch.partitions).tolist():
            mine = np.flatnonzero(batch.partitions == partition)
            accounts = as_keys([blake2b(keys[i], digest_size=TOKEN_BYTES).digest() for i in mine.tolist()])
            at[mine] = self.state.rows(partition, accounts)
            touched, first = np.unique(at[mine], return_index=True)
            outputs.changed[partition] = (accounts[first], touched)
        features = judge(rows_of(payments), self.state.records, at)
        scores = probability_of(self.forest.margin(features).astype(np.float64))
        outputs.bulk[self.alerts] = [
            {"key": keys[i], "value": encode(Alert(payments[i].transaction_id, payments[i].payer, float(scores[i])))}
            for i in np.flatnonzero(scores >= self.threshold).tolist()
        ]
        outputs.counts = {"payments": len(payments)}
        return outputs


def run(job: Job) -> None:
    """Until a signal ends it."""
    logs.configure(level="warning")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    home = Path(job.directory)
    home.mkdir(parents=True)
    name, _, agent = job.group.rpartition("-")
    settings = WorkerSettings(
        KafkaSettings(job.bootstrap_servers, app=name),
        ConsumerSettings(**job.settings.get("consumer", {})),
        ProducerSettings(**job.settings.get("producer", {})),
        StateSettings(home, **job.settings.get("state", {})),
        Topics(),
        Path(job.model),
    )
    state = KeyedState(CODEC, home / agent, settings.state)
    reduced = Reduced(state, Forest.of(xgboost.Booster(model_file=job.model)), job.threshold, job.alerts)
    _warm(reduced)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as the product's worker
    worker = Judging(make_app(name, home / "faust"), Standby(settings.kafka, 0))
    worker.agent(
        settings,
        agent,
        job.transactions,
        lambda batch, _: reduced.compute(batch),
        state,
        f"{job.group}-changelog",
        job.partitions,
    )
    worker.run()


def _warm(reduced: Reduced) -> None:
    """Compile before anything is read."""
    payment = Payment("warm", 1_700_000_000_000, "payer", "payee", 100)
    features = judge(rows_of([payment]), np.zeros(1, dtype=CODEC.dtype), np.zeros(1, dtype=np.int64))
    reduced.forest.margin(features)
    none = np.zeros(1, dtype=CODEC.dtype)
    CODEC.decode(CODEC.encode(none, np.arange(1)), none, np.arange(1))


if __name__ == "__main__":
    run(Job.given())
