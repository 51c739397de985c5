"""Where a lake lies: a local directory, or an object store by its URL. The only module that knows fsspec.

Credentials, endpoints and the like are fsspec's own business: its configuration files, FSSPEC_S3_ENDPOINT_URL and
AWS's variables hold for what is written as for what is read.

A file appears as a whole or not at all: locally by a rename, once it is on disk; on an object store by its PUT.
"""

import io
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import polars as pl

from stream.errors import Retry, Stop

TAIL_BYTES = 65_536
"""Holds the footer of most files."""
MAGIC = b"PAR1"
EXTRAS = {"s3": "lake", "s3a": "lake"}
"""Which extra of ours has the package of a protocol."""
UNFINISHED = ".unfinished"
STALE_S = 3600.0
"""Far beyond what writing one file takes."""


class Gone(Retry):
    """A file that was listed is there no more: a compaction has put another one in its place."""


class LakeFiles:
    """Files by their names within the lake. For any thread."""

    def __init__(self, url: str) -> None:
        """Raises `Stop` where the URL's protocol is unknown, its package is missing, or it holds a password."""
        if urlsplit(url).password is not None:
            raise Stop(
                "the lake's URL holds a password, which would be in logs and reports",
                hint="leave it out, and set credentials where fsspec finds them: docs/lake.md, Object stores",
            )
        self.url = url
        protocol = url.partition("://")[0]
        try:
            self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            extra = EXTRAS.get(protocol)
            hint = f"pip install 'fraudstream[{extra}]'" if extra else "install the package that fsspec asks for"
            raise Stop(f"nothing here can read {protocol}:// ({error})", hint=hint) from error
        except ValueError as error:
            raise Stop(f"{url} is no place for a lake: {error}", hint="give a directory or a URL as s3://…") from error
        self._root = str(root).rstrip("/")
        self._local = "file" in self._fs.protocol

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each file below a folder, in order of their names; none where there is no folder."""
        with self._translated(f"listing {folder}"):
            if self._local:
                return _local_sizes(Path(self._root), folder)
            try:
                found = self._fs.find(f"{self._root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        return {name[len(self._root) + 1 :]: int(about["size"]) for name, about in sorted(found.items())}

    def write(self, name: str, frame: pl.DataFrame, notes: Mapping[str, str]) -> int:
        """Put a frame into a file, in place of any that is there; returns its bytes once it is durable."""
        stream = io.BytesIO()
        frame.write_parquet(stream, compression_level=3, statistics=True, metadata=dict(notes))
        content = stream.getvalue()
        with self._translated(f"writing {name}"):
            if self._local:
                _write_whole(Path(self._root), name, content)
            else:
                self._fs.pipe_file(f"{self._root}/{name}", content)
        return len(content)

    def read(self, name: str, wanted: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        """What is wanted of a file; from an object store, it is fetched into memory as a whole. Raises `Gone`."""
        with self._translated(f"reading {name}"):
            if self._local:
                return wanted(pl.scan_parquet(Path(self._root, name), hive_partitioning=False)).collect()
            # Without a range, s3fs asks for the size first: another round trip.
            content = self._fs.cat_file(f"{self._root}/{name}", start=0)
            return wanted(pl.scan_parquet(io.BytesIO(content))).collect()

    def notes(self, name: str) -> dict[str, str]:
        """What was noted in a file's footer, which is all that is read of it. Raises `Gone`."""
        with self._translated(f"reading {name}"):
            tail = self._tail(name, TAIL_BYTES)
            needed = int.from_bytes(tail[-8:-4], "little") + 8
            if len(tail) < needed:
                tail = self._tail(name, needed)
            return pl.read_parquet_metadata(io.BytesIO(MAGIC + tail[-needed:]))

    def delete(self, names: Iterable[str]) -> None:
        """Files that are gone already do no harm."""
        for name in names:
            with self._translated(f"deleting {name}"):
                try:
                    self._fs.rm_file(f"{self._root}/{name}")
                except FileNotFoundError:
                    continue

    def sweep(self, folder: str) -> None:
        """Delete what writers that died left of files they had not finished; nothing younger than `STALE_S`."""
        if not self._local:
            return  # a store that takes a file as a whole keeps no part of it
        with self._translated(f"sweeping {folder}"):
            for path in Path(self._root, folder).glob(f"**/*{UNFINISHED}"):
                with suppress(FileNotFoundError):  # finished meanwhile
                    if time.time() - path.stat().st_mtime > STALE_S:
                        path.unlink()

    def _tail(self, name: str, count: int) -> bytes:
        return bytes(self._fs.cat_file(f"{self._root}/{name}", start=-count))

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise Gone(
                f"{doing} in {self.url}: file or bucket is not there",
                hint="make the bucket; or do it again, if a compaction took the file away just now",
            ) from error
        except Exception as error:  # each store's package raises errors of its own
            raise Retry(
                f"{doing} in {self.url}: {type(error).__name__}: {error}",
                hint="see whether the place is there, has room, and lets this program in",
            ) from error


def _local_sizes(root: Path, folder: str) -> dict[str, int]:
    """As `sizes`. fsspec's own listing leaves out a directory that cannot be read, without a word."""

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    sizes = {}
    for directory, _, names in os.walk(root / folder, onerror=failed):
        for name in names:
            with suppress(FileNotFoundError):  # deleted meanwhile, or renamed once it was written
                path = Path(directory, name)
                sizes[path.relative_to(root).as_posix()] = path.stat().st_size
    return dict(sorted(sizes.items()))


def _write_whole(root: Path, name: str, content: bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    for folder in (path.parent, *(root / parent for parent in Path(name).parent.parents)):
        opened = os.open(folder, os.O_RDONLY)  # the rename, and folders just made
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
