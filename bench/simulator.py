"""How fast payments are made, written, encoded and published, on one polars thread.

    POLARS_MAX_THREADS=1 python -m bench.simulator [--payments 300000] [--publish] [--json OUT]

Rates are payments a second: `wall` by the clock, `cpu` by the processor time that the process used.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from schemas.history import HistoryWriter, read_transactions
from simulator.config import SimulationConfig
from simulator.encode import encode
from simulator.publish import PublishSettings, publish
from simulator.simulation import Simulation


def measured(count: int, work: Callable[[], object]) -> dict[str, int]:
    """Payments a second of `work`, which handles `count`."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "wall": round(count / (time.perf_counter() - wall)),
        "cpu": round(count / max(time.process_time() - cpu, 1e-9)),
    }


def to_directory(config: SimulationConfig, directory: Path) -> None:
    """What `fraudstream simulate --out` does."""
    with HistoryWriter(directory) as history:
        for slot in Simulation(config).history():
            history.write(slot.payments, slot.labels)


def to_broker(config: SimulationConfig, directory: Path) -> dict[str, int]:
    """What `fraudstream publish` does, to a broker of its own on this machine."""
    from confluent_kafka.admin import AdminClient, NewTopic

    from stream.local_broker import BrokerSettings, LocalBroker

    with LocalBroker(BrokerSettings(heap="bench")) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_topics([NewTopic("transactions", 4)])["transactions"].result(30)
        settings = PublishSettings(broker.bootstrap_servers)
        publish(read_transactions(directory), settings)  # warms the broker up
        return measured(config.payments, lambda: publish(read_transactions(directory), settings))


def main() -> None:
    """Measure, and print or write what came out."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--payments", type=int, default=300_000)
    arguments.add_argument("--payers", type=int, default=200_000)
    arguments.add_argument("--publish", action="store_true")
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    config = SimulationConfig(payments=given.payments, payers=given.payers, days=18, full_telemetry=True)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "history"
        results: dict[str, object] = {"parquet": measured(config.payments, lambda: to_directory(config, directory))}
        payments = pl.concat(read_transactions(directory))
        encode(payments[:20_000])
        sizes: list[int] = []

        def encode_all() -> None:
            for part in payments.iter_slices(20_000):
                sizes.extend(map(len, encode(part)))

        results["json"] = measured(config.payments, encode_all)
        results["mean_json_bytes"] = round(float(np.mean(sizes)), 1)
        if given.publish:
            results["publish"] = to_broker(config, directory)
    results |= {
        "payments": config.payments,
        "payers": config.payers,
        "polars": pl.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
        "polars_threads": pl.thread_pool_size(),
    }
    text = json.dumps(results, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
