"""Writes steps to a database until it is killed: `python crashing_store.py DIRECTORY`. Step n sets every key to n."""

import sys
from pathlib import Path

import numpy as np

from stream.changelog import Checkpoint
from stream.keyed_state import KeyedState
from stream.settings import StateSettings

VALUE = np.dtype([("value", "i8")])
KEYS = [b"%016d" % k for k in range(200)]


class ValueCodec:
    dtype = VALUE

    def encode(self, records, rows):
        return [records[row].tobytes() for row in rows]

    def decode(self, values, records, rows):
        records[rows] = np.frombuffer(b"".join(values), dtype=VALUE)


def main(directory: str) -> None:
    settings = StateSettings(Path(directory), arena_rows=400, write_buffer_bytes=1 << 16)
    state = KeyedState(ValueCodec(), Path(directory), settings)
    found = state.open(0)
    step = found.source_offset if found else 0
    sys.stdout.write("open\n")
    sys.stdout.flush()
    while True:
        step += 1
        state.persist(0, [(key, step.to_bytes(8, "little")) for key in KEYS], Checkpoint(step, step, b"t" * 16))


if __name__ == "__main__":
    main(sys.argv[1])
