"""The jars of Apache Kafka: which ones exactly (kafka-jars.lock), and a local copy that was checked against it.

`python -m stream.broker_jars` resolves the versions below anew and rewrites the lock file.

Downloading goes through jgo: its configured repositories (`jgo.conf`), the proxy and certificate variables that
`requests` knows, and Maven's local repository (`M2_REPO`, ~/.m2/repository), where a jar that is there already
is taken from. Nothing is resolved while downloading: the lock file is the list.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import FraudStreamError

KAFKA_VERSION = "4.3.1"
ROOTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
"""What the lock file is resolved from: the broker, and the binding that writes its log."""

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
DOWNLOADS_AT_ONCE = 6
HTTP_TIMEOUT_S = 60


class JarError(FraudStreamError):
    """The broker's jars could not be had, or are not the ones locked."""


@dataclass(frozen=True)
class Jar:
    """A file of Maven's, by coordinate and content."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @classmethod
    def parse(cls, line: str) -> "Jar":
        """Reads `group:artifact:version sha256:hex`."""
        coordinate, _, digest = line.partition(" sha256:")
        group, artifact, version = coordinate.split(":")
        return cls(group, artifact, version, digest.strip())


def read_lock(path: Path = LOCK_FILE) -> list[Jar]:
    """The locked jars, in the order of the class path."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [Jar.parse(line) for line in lines if line and not line.startswith("#")]


def cache_directory() -> Path:
    """Where FraudStream keeps what can be fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fraudstream"


def ensure_jars(jars: Sequence[Jar] | None = None, cache: Path | None = None) -> list[Path]:
    """Paths of the locked jars, downloaded on first use, their checksums checked every time.

    Safe with several processes at once: one downloads into a directory aside, which is renamed when it is complete.
    Raises JarError.
    """
    jars = read_lock() if jars is None else jars
    cache = (cache or cache_directory()) / "kafka"
    content = hashlib.sha256("".join(f"{jar.coordinate} {jar.sha256}\n" for jar in jars).encode()).hexdigest()
    directory = cache / f"{KAFKA_VERSION}-{content[:16]}"
    if not directory.is_dir():
        with _locked(cache):
            if not directory.is_dir():
                _download(jars, directory)
    paths = [directory / jar.file_name for jar in jars]
    wrong = [path for path, jar in zip(paths, jars, strict=True) if not path.exists() or _sha256(path) != jar.sha256]
    if wrong:
        raise JarError(
            f"{wrong[0]} is not the jar that kafka-jars.lock names ({len(wrong)} of {len(jars)} differ)",
            hint=f"remove {directory} to have them downloaded again",
        )
    return paths


def _download(jars: Sequence[Jar], directory: Path) -> None:
    for left in directory.parent.glob(".partial-*"):  # by a process that was killed: this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=".partial-", dir=directory.parent))
    try:
        context = _maven(staging / "repository")
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(lambda jar: _fetch(context, jar, staging / jar.file_name), jars))
        shutil.rmtree(staging / "repository", ignore_errors=True)
        staging.rename(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fetch(context: Any, jar: Jar, target: Path) -> None:
    """Puts one jar at `target`, from Maven's local repository if it is there unharmed, else downloaded."""
    local = _local_repository() / jar.group.replace(".", "/") / jar.artifact / jar.version / jar.file_name
    if local.is_file() and _sha256(local) == jar.sha256:
        shutil.copyfile(local, target)
        return
    try:
        fetched = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
        raise JarError(f"cannot download {jar.coordinate}: {error}", hint=_download_hint(error)) from error
    found = _sha256(fetched)
    if found != jar.sha256:
        raise JarError(
            f"{jar.coordinate} was downloaded with sha256 {found}, locked is {jar.sha256}",
            hint="do not use it: the repository or what lies between serves another file",
        )
    fetched.replace(target)


def _download_hint(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "set REQUESTS_CA_BUNDLE to the file with the certificates that your network uses"
    return (
        "the first start needs Maven Central, or a mirror named in jgo's configuration; "
        "or give --bootstrap-servers of a cluster you have"
    )


def _maven(repository: Path) -> Any:
    """jgo's view of Maven: the user's own repositories, then Central."""
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError as error:
        raise JarError("the local broker is not installed", hint="pip install 'fraudstream[broker]'") from error
    remotes = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=repository, remote_repos=remotes, timeout=HTTP_TIMEOUT_S)


def _local_repository() -> Path:
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _relock() -> None:
    """Resolves ROOTS and writes the lock file."""
    with tempfile.TemporaryDirectory() as directory:
        context = _maven(Path(directory))
        roots, rest = context.resolver.resolve([context.create_dependency(root) for root in ROOTS])
        lines = [
            f"{found.groupId}:{found.artifactId}:{found.version} sha256:{_sha256(found.artifact.resolve())}\n"
            for found in [*roots, *rest]
            if found.scope in (None, "compile", "runtime")
        ]
    header = "# The broker's jars, in the order of the class path. Made by `python -m stream.broker_jars`.\n"
    LOCK_FILE.write_text(header + "".join(lines), encoding="ascii")


if __name__ == "__main__":
    _relock()
