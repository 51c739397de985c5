"""The reduced job on our own machinery, end to end: published, judged, committed, compared."""

from pathlib import Path

import pytest

from bench.peers.__main__ import stand
from bench.peers.participants import OURS, QUIX, STREAMS
from bench.peers.prepare import expected
from bench.peers.running import run_once
from bench.world import World
from schemas.history import HistoryWriter
from simulator.config import SimulationConfig
from simulator.simulation import Simulation
from stream.local_broker import LocalBroker

PAYMENTS = 12_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A history with labels, and as the payments that are sent the same again."""
    home = tmp_path_factory.mktemp("world")
    config = SimulationConfig(PAYMENTS, 1_500, fraud_rate=0.03, seed=5, full_telemetry=True)
    for name in ("history", "payments"):
        with HistoryWriter(home / name) as history:
            for slot in Simulation(config).history():
                history.write(slot.payments, slot.labels)
    sent = home / "payments"
    return World(sent, PAYMENTS, model=Path(), policy=Path(), token_key=Path())


@pytest.mark.broker
def test_our_own_job_is_the_reduced_job(broker: LocalBroker, world: World) -> None:
    with stand(broker, world, expected(world)) as standing:
        assert 0.005 < len(standing.due) / PAYMENTS < 0.01
        figures = run_once(standing, OURS, number=1, seconds=60)
    assert figures["problems"] == []
    assert figures["committed"] == PAYMENTS
    assert figures["alerts"]["compared"] == len(standing.due)


def test_a_participant_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.peers.participants.PEERS_PYTHON", tmp_path / "python")
    assert "make peers" in (QUIX.missing() or "")
    monkeypatch.setattr("bench.peers.participants.shutil.which", lambda name: None)
    assert "install JDK 17" in (STREAMS.missing() or "")
    monkeypatch.setattr("bench.peers.participants.shutil.which", lambda name: None if name == "mvn" else name)
    assert "install Maven" in (STREAMS.missing() or "")
