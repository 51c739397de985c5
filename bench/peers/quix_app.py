"""The reduced job in Quix Streams: a streaming dataframe with state, the model called for each payment.

Run by bench.peers, in .venv-peers.
"""

from typing import Any

import numpy as np
import xgboost
from quixstreams import Application, State

from bench.peers.job import Job
from bench.peers.reference import judge, new_record


def make_app(job: Job) -> Application:
    """The application with its one pipeline."""
    booster = xgboost.Booster(model_file=job.model)
    booster.set_param({"nthread": 1})
    app = Application(
        broker_address=job.bootstrap_servers,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.directory,
        loglevel="WARNING",
        **job.settings,
    )

    def score(payment: dict[str, Any], state: State) -> dict[str, Any]:
        record = state.get("record") or new_record()
        features = np.array([judge(payment, record)], dtype=np.float32)
        state.set("record", record)
        return {
            "id": payment["transaction_id"],
            "payer": payment["payer"],
            "score": float(booster.inplace_predict(features)[0]),
        }

    payments = app.dataframe(app.topic(job.transactions, key_deserializer="str", value_deserializer="json"))
    scores = payments.apply(score, stateful=True)
    alerts = scores[scores["score"] >= job.threshold]
    alerts.to_topic(app.topic(job.alerts, key_serializer="str", value_serializer="json"))
    return app


if __name__ == "__main__":
    make_app(Job.given()).run()
