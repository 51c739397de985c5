"""The reduced job in plain Faust: an agent, a table in RocksDB, the model called for each payment.

Run by bench.peers, in .venv-peers. Faust's exactly-once loses or repeats records when partitions move, so its users run
it at least once; so does this.
"""

import sys
from typing import Any

import faust
import numpy as np
import orjson
import xgboost

from bench.peers.job import Job
from bench.peers.reference import judge, new_record


def make_app(job: Job) -> faust.App:
    """The app with its agent."""
    booster = xgboost.Booster(model_file=job.model)
    booster.set_param({"nthread": 1})
    app = faust.App(
        job.group,
        broker=f"kafka://{job.bootstrap_servers}",
        store="rocksdb://",
        datadir=job.directory,
        topic_partitions=job.partitions,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        **job.settings,
    )
    transactions = app.topic(job.transactions, key_type=bytes, value_type=bytes, value_serializer="raw")
    alerts = app.topic(job.alerts, key_type=bytes, value_type=bytes, value_serializer="raw")
    payers = app.Table("payers", default=new_record, partitions=job.partitions, options={"driver": "rocksdict"})

    @app.agent(transactions)
    async def score(payments: Any) -> None:
        async for value in payments:
            payment = orjson.loads(value)
            payer = payment["payer"]
            record = payers[payer]
            features = np.array([judge(payment, record)], dtype=np.float32)
            payers[payer] = record
            probability = float(booster.inplace_predict(features)[0])
            if probability >= job.threshold:
                alert = {"id": payment["transaction_id"], "payer": payer, "score": probability}
                await alerts.send(key=payer.encode(), value=orjson.dumps(alert))

    return app


if __name__ == "__main__":
    app = make_app(Job.given())
    # Faust took --loop from the command line when it was imported.
    sys.argv = ["faust", *sys.argv[2:], "worker", "--loglevel", "warn", "--without-web"]
    app.main()
