"""What a cluster asks a worker: is it alive, is it ready, and how much of what."""

import json
import urllib.error
import urllib.request

import pytest

from stream.errors import Stop
from stream.health import HealthServer
from stream.metrics import Metrics


class Asked:
    """A running server, and the conditions that it reports."""

    def __init__(self):
        self.live, self.ready = {"loop": True}, {"tables": False, "partitions of scoring": True}
        self.metrics = Metrics()
        self.server = HealthServer(0, self.metrics.registry, lambda: self.live, lambda: self.ready)
        self.server.start()

    def get(self, path: str) -> tuple[int, str, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read()


@pytest.fixture
def asked():
    asked = Asked()
    yield asked
    asked.server.stop()


def test_it_is_ready_once_every_condition_holds(asked):
    status, _, body = asked.get("/health/ready")
    assert status == 503
    assert json.loads(body) == {"tables": False, "partitions of scoring": True}
    asked.ready["tables"] = True
    assert asked.get("/health/ready")[0] == 200


def test_live_and_ready_are_two_things(asked):
    assert asked.get("/health/live")[0] == 200
    asked.live["loop"] = False
    assert asked.get("/health/live?verbose=1")[0] == 503


def test_metrics_are_prometheus_text(asked):
    asked.metrics.payments.inc(3)
    status, kind, body = asked.get("/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert b"fraudstream_payments_total 3.0" in body


def test_another_path_says_which_there_are(asked):
    status, _, body = asked.get("/")
    assert status == 404
    assert b"/health/ready" in body


def test_a_port_that_is_taken_is_one_clear_error(asked):
    with pytest.raises(Stop, match=f"cannot listen on port {asked.server.port}") as taken:
        HealthServer(asked.server.port, asked.metrics.registry, dict, dict)
    assert "--metrics-port" in taken.value.hint
