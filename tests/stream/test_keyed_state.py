"""State on disk: what a crash, damage and a second process do to it."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.keys import as_bytes, as_keys
from stream.changelog import Checkpoint
from stream.errors import Retry, Stop
from stream.keyed_state import CHECKPOINT_KEY, DirectoryLock, KeyedState
from stream.settings import StateSettings

TOPIC = b"t" * 16
CRASHES = 5


def key(k: int) -> bytes:
    return b"%016d" % k


@pytest.fixture
def make_state(counting, tmp_path):
    def make(**settings) -> KeyedState:
        settings = {"arena_rows": 64, "write_buffer_bytes": 1 << 16} | settings
        return KeyedState(counting.CountCodec(), tmp_path, StateSettings(tmp_path, **settings))

    return make


def add_one(state: KeyedState, keys: list[bytes], source_offset: int) -> None:
    """A step that counts each key once more and is committed."""
    step = state.begin()
    rows = state.rows(0, as_keys(keys))
    state.records["count"][rows] += 1
    state.persist(0, list(zip(keys, state.encode(rows), strict=True)), Checkpoint(source_offset, source_offset, TOPIC))
    state.keep(step)


def counts(state: KeyedState, keys: list[bytes]) -> list[int]:
    step = state.begin()
    found = state.records["count"][state.rows(0, as_keys(keys))].tolist()
    state.keep(step)
    return found


def test_records_outlive_the_arena_and_the_process(make_state):
    state = make_state()
    assert state.open(0) is None
    for start in range(0, 200, 20):
        add_one(state, [key(k) for k in range(start, start + 20)], start + 20)
    assert state.rows_in_memory <= 64
    assert counts(state, [key(0), key(199), key(200)]) == [1, 1, 0]
    state.close_all()
    again = make_state()
    assert again.open(0) == Checkpoint(200, 200, TOPIC)
    assert counts(again, [key(0), key(199)]) == [1, 1]
    again.close_all()


def test_a_key_may_repeat_in_a_step(make_state):
    state = make_state()
    state.open(0)
    state.begin()
    rows = state.rows(0, as_keys([key(1), key(2), key(1)]))
    assert rows[0] == rows[2] != rows[1]
    state.close_all()


def test_a_failed_step_leaves_no_trace(make_state):
    state = make_state()
    state.open(0)
    add_one(state, [key(1)], 1)
    state.begin()
    state.records["count"][state.rows(0, as_keys([key(1), key(2)]))] += 5
    state.discard()
    assert counts(state, [key(1), key(2)]) == [1, 0]
    state.close_all()


def test_a_step_that_fails_takes_the_next_one_with_it(make_state):
    state = make_state()
    state.open(0)
    add_one(state, [key(1)], 1)
    for keys in ([key(1), key(2)], [key(1), key(3)]):
        state.begin()
        state.records["count"][state.rows(0, as_keys(keys))] += 5
    state.discard()
    assert counts(state, [key(1), key(2), key(3)]) == [1, 0, 0]
    state.close_all()


def test_the_next_step_sees_what_an_unfinished_one_changed_and_neither_writes_the_others_record(make_state):
    state = make_state()
    state.open(0)
    first = state.begin()
    rows = state.rows(0, as_keys([key(1)]))
    state.records["count"][rows] = 1
    encoded = state.encode(rows)
    second = state.begin()
    state.records["count"][state.rows(0, as_keys([key(1)]))] += 1
    state.persist(0, [(key(1), encoded[0])], Checkpoint(1, 1, TOPIC))
    state.keep(first)
    assert state.get(0, key(1)) == encoded[0]
    assert counts(state, [key(1)]) == [2]
    state.persist(0, [(key(1), state.encode(rows)[0])], Checkpoint(2, 2, TOPIC))
    state.keep(second)
    state.close_all()


def test_what_a_kill_can_take_is_bounded_by_records(make_state):
    state = make_state(unflushed_records=100)
    state.open(0)
    for start in range(0, 400, 20):
        add_one(state, [key(k) for k in range(start, start + 20)], start + 20)
    assert 400 <= state.estimated_records() <= 420  # each flush has its checkpoint
    assert state.disk_bytes() > 0
    until = time.monotonic() + 30
    while not list(state.path(0).glob("*.sst")):  # written in the background
        assert time.monotonic() < until
        time.sleep(0.01)
    state.close_all()


def test_a_deleted_record_is_gone(make_state):
    state = make_state()
    state.open(0)
    add_one(state, [key(1), key(2)], 1)
    state.persist(0, [(key(1), None)], Checkpoint(2, 2, TOPIC))
    state.close_all()
    state.open(0)
    assert counts(state, [key(1), key(2)]) == [0, 1]
    state.close_all()


def test_a_scan_finds_what_is_on_disk_and_what_is_not_in_order_of_keys(make_state):
    state = make_state()
    state.open(0)
    add_one(state, [key(k) for k in range(0, 40, 2)], 1)
    state.close(0)
    state.open(0)
    add_one(state, [key(k) for k in range(1, 40, 2)], 2)
    found, records = state.scan(0, key(4), 10)
    assert as_bytes(found) == [key(k) for k in range(5, 15)]
    assert set(records["count"].tolist()) == {1}
    assert [each for each in state.keys(0) if each != CHECKPOINT_KEY] == [key(k) for k in range(40)]
    state.close_all()


def test_a_partition_that_is_not_open_is_refused_and_keeps_its_files(make_state):
    state = make_state()
    state.open(0)
    add_one(state, [key(1)], 1)
    state.close(0)
    with pytest.raises(Retry, match="not open"):
        counts(state, [key(1)])
    assert state.open(0) == Checkpoint(1, 1, TOPIC)
    assert counts(state, [key(1)]) == [1]
    state.close_all()


def test_nothing_stays_in_memory_when_a_partition_is_opened_again(make_state):
    state = make_state()
    state.open(0)
    add_one(state, [key(1)], 1)
    state.begin()
    state.records["count"][state.rows(0, as_keys([key(1)]))] = 99  # what a step of unknown outcome may leave
    state.open(0)
    assert counts(state, [key(1)]) == [1]
    state.close_all()


def test_a_kill_leaves_an_older_step_whole(tmp_path):
    program = Path(__file__).with_name("crashing_store.py")
    rng = random.Random(4)
    reached = 0
    for _ in range(CRASHES):
        process = subprocess.Popen([sys.executable, program, tmp_path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        time.sleep(rng.uniform(0.05, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        reached = check_whole(tmp_path, at_least=reached)
    assert reached > 0


def check_whole(directory: Path, at_least: int) -> int:
    """Every key stands at the checkpoint's step, which is returned; it never goes back."""

    class Values:
        dtype = np.dtype([("value", "i8")])

        def encode(self, records, rows):
            raise AssertionError("nothing is written here")

        def decode(self, values, records, rows):
            records[rows] = np.frombuffer(b"".join(values), dtype=self.dtype)

    state = KeyedState(Values(), directory, StateSettings(directory, arena_rows=400))
    checkpoint = state.open(0)
    step = checkpoint.source_offset if checkpoint else 0
    state.begin()
    values = state.records["value"][state.rows(0, as_keys([key(k) for k in range(200)]))]
    state.close_all()
    assert set(values.tolist()) == {step}
    assert step >= at_least
    return step


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_damaged_files_are_noticed_and_the_partition_starts_empty(make_state, tmp_path, name):
    state = make_state()
    state.open(0)
    add_one(state, [key(k) for k in range(50)], 50)
    state.close_all()
    for file in (tmp_path / "0").glob(name):
        content = bytearray(file.read_bytes())
        for at in range(0, len(content), 3):
            content[at] ^= 0x55
        file.write_bytes(content)
    again = make_state()
    assert again.open(0) is None
    assert counts(again, [key(1)]) == [0]
    add_one(again, [key(1)], 1)
    assert counts(again, [key(1)]) == [1]
    again.close_all()


def test_a_record_that_cannot_be_decoded_asks_for_a_restore(make_state):
    state = make_state()
    state.open(0)
    state.restore(0, [(key(1), b"nonsense")], Checkpoint(1, 1, TOPIC))
    with pytest.raises(Retry, match="damaged"):
        counts(state, [key(1)])
    assert state.open(0) is None
    state.close_all()


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_a_full_disk_stops_the_worker_and_keeps_the_checkpoint(counting, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        state = KeyedState(
            counting.CountCodec(), small, StateSettings(small, arena_rows=2_000, write_buffer_bytes=1 << 16)
        )
        state.open(0)

        def fill() -> None:
            for step in range(1, 500):
                records = [(key(k), os.urandom(500)) for k in range(step, step + 200)]
                state.restore(0, records, Checkpoint(step, step, TOPIC))

        with pytest.raises(Stop, match="cannot be kept") as raised:
            fill()
        assert "disk" in raised.value.hint
        state.close_all()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_second_process_on_the_same_directory_is_sent_away(tmp_path):
    lock = DirectoryLock(tmp_path)
    code = "import sys; from pathlib import Path; from stream.keyed_state import DirectoryLock as Lock"
    code += "; Lock(Path(sys.argv[1]))"
    second = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert "another worker uses the state directory" in second.stderr
    lock.release()
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
