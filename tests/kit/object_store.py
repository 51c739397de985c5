"""A real S3-compatible server, moto's, on a port of its own; it ends with the block.

with object_store() as environment:
    …  # a process, or fsspec here, with these variables finds it

One in a process: fsspec keeps to the first that it met, and moto's buckets outlive its servers.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import fsspec

BUCKET = "lake"


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """Serves an empty bucket; the variables that lead to it are set here, too, meanwhile."""
    from moto.server import ThreadedMotoServer  # takes its time

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        with mock.patch.dict(os.environ, environment):
            fsspec.filesystem("s3", skip_instance_cache=True).mkdir(BUCKET)
            yield environment
    finally:
        server.stop()
