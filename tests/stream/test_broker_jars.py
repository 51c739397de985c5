"""The broker's jars: locked, cached, checked."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from stream.broker_jars import KAFKA_VERSION, ROOTS, Jar, JarError, ensure_jars, read_lock

LIBRARY = Jar.parse(next(f"{jar.coordinate} sha256:{jar.sha256}" for jar in read_lock() if jar.artifact == "jspecify"))
"""A small one."""


def test_the_lock_names_every_jar_once_with_its_checksum():
    jars = read_lock()
    assert [jar.coordinate for jar in jars][: len(ROOTS)] == list(ROOTS)
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars) > 40
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)


def test_the_lock_has_one_version_of_kafka():
    assert {jar.version for jar in read_lock() if jar.group == "org.apache.kafka"} == {KAFKA_VERSION}


@pytest.fixture
def no_network(monkeypatch):
    """Every request fails, and says that it was made."""

    def refuse(*arguments, **options):
        raise AssertionError(f"asked the network: {arguments}")

    monkeypatch.setattr("requests.request", refuse)


def test_a_second_start_asks_no_network(broker, no_network):
    paths = ensure_jars()
    assert all(path.is_file() for path in paths)


@pytest.fixture
def maven_repository(broker, tmp_path, monkeypatch) -> Path:
    """A user's local Maven repository that holds the one jar."""
    cached = next(path for path in ensure_jars() if path.name == LIBRARY.file_name)
    place = tmp_path / "m2" / LIBRARY.group.replace(".", "/") / LIBRARY.artifact / LIBRARY.version
    place.mkdir(parents=True)
    (place / LIBRARY.file_name).write_bytes(cached.read_bytes())
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    return place


def test_a_jar_of_the_local_maven_repository_is_taken(maven_repository, no_network, tmp_path):
    (path,) = ensure_jars([LIBRARY], tmp_path / "cache")
    assert path.read_bytes() == (maven_repository / LIBRARY.file_name).read_bytes()


def test_processes_starting_together_share_one_download(maven_repository, no_network, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: ensure_jars([LIBRARY], tmp_path / "cache")[0], range(8)))
    assert len(found) == 1
    assert not list((tmp_path / "cache").rglob(".partial-*"))


def test_what_a_killed_download_left_is_removed(maven_repository, no_network, tmp_path):
    left = tmp_path / "cache" / "kafka" / ".partial-dead"
    left.mkdir(parents=True)
    ensure_jars([LIBRARY], tmp_path / "cache")
    assert not left.exists()


def test_a_tampered_jar_in_the_cache_is_detected(maven_repository, no_network, tmp_path):
    (path,) = ensure_jars([LIBRARY], tmp_path / "cache")
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(JarError, match=LIBRARY.file_name) as caught:
        ensure_jars([LIBRARY], tmp_path / "cache")
    assert str(path.parent) in caught.value.hint


def test_a_tampered_jar_in_the_local_maven_repository_is_not_taken(maven_repository, no_network, tmp_path):
    (maven_repository / LIBRARY.file_name).write_bytes(b"something else")
    with pytest.raises(AssertionError, match="asked the network"):
        ensure_jars([LIBRARY], tmp_path / "cache")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A Maven repository over HTTP that serves something else for every jar, named in jgo's configuration."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"something else")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    config = tmp_path / "jgo.conf"
    config.write_text(f"[repositories]\nours = http://127.0.0.1:{server.server_port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "empty"))
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_file_from_a_repository_is_refused_and_nothing_is_kept(mirror, tmp_path):
    with pytest.raises(JarError, match=f"{LIBRARY.coordinate} was downloaded with sha256"):
        ensure_jars([LIBRARY], tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache" / "kafka").iterdir()] == [".lock"]


def test_a_repository_out_of_reach_is_an_error_with_the_way_out(monkeypatch, tmp_path):
    def refuse(*arguments, **options):
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr("requests.request", refuse)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "empty"))
    with pytest.raises(JarError, match=f"cannot download {LIBRARY.coordinate}: no route to host") as caught:
        ensure_jars([LIBRARY], tmp_path / "cache")
    assert "--bootstrap-servers" in caught.value.hint
