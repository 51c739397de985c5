"""The rules of a restore, against a real changelog."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from kit.changelog import COMPACT, WAIT_S, Bench, key, recreate
from stream.errors import Retry, Stop
from stream.restore import Progress

pytestmark = pytest.mark.broker


@pytest.fixture
def bench(counting, kafka, make_topic, tmp_path):
    bench = Bench(counting, kafka, make_topic(**COMPACT), tmp_path)
    yield bench
    bench.state.close_all()


def test_an_empty_disk_is_filled_from_the_changelog(bench):
    bench.owner.step({1: 1, 2: 1}, 10)
    bench.owner.step({2: 2, 3: 1}, 20)
    restored = bench.restorer().restore(0, 20)
    assert restored.source_offset == 20
    assert restored.checkpoint.source_offset == 20
    assert bench.counts(1, 2, 3, 4) == [1, 2, 1, 0]


def test_only_what_is_missing_locally_is_replayed(bench):
    bench.owner.step(dict.fromkeys(range(50), 1), 50)
    bench.restorer().restore(0, 50)
    bench.restart()
    bench.owner.step({7: 2}, 60)
    assert bench.restorer().restore(0, 60).records == 1
    assert bench.counts(6, 7) == [1, 2]


def test_the_latest_record_of_a_key_counts_and_a_deleted_key_is_gone(bench):
    for count in range(1, 6):
        bench.owner.step({1: count, 2: count}, 10 * count)
    bench.owner.forget(2, 60)
    assert bench.restorer().restore(0, 60).records == 11
    assert bench.counts(1, 2) == [5, 0]
    assert bench.state.get(0, key(2)) is None


def test_a_restore_that_was_cut_short_goes_on_where_it_was(bench):
    bench.owner.step(dict.fromkeys(range(100), 1), 100)
    seen: list[Progress] = []
    with pytest.raises(Retry, match="given up"):
        bench.restorer(batch=19).restore(0, 100, still_ours=lambda: len(seen) < 3, progress=seen.append)
    bench.restart()
    assert 20 <= seen[-1].records < 100
    assert bench.restorer().restore(0, 100).records == 100 - seen[-1].records
    assert bench.counts(0, 99) == [1, 1]


def test_its_progress_counts_down_to_nothing(bench):
    bench.owner.step(dict.fromkeys(range(100), 1), 100)
    seen: list[Progress] = []
    bench.restorer(batch=19).restore(0, 100, progress=seen.append)
    lefts = [progress.left for progress in seen]
    assert lefts == sorted(lefts, reverse=True)
    assert seen[-1] == Progress(100, 0, 0.0)
    assert seen[0].seconds_left > 0


def test_a_group_without_offsets_starts_at_the_beginning(bench):
    restored = bench.restorer().restore(0, -1001)
    assert restored.source_offset == -1
    assert restored.records == 0


def test_what_was_aborted_does_not_count(bench):
    bench.owner.step({1: 1}, 10)
    bench.owner.begin({1: 99}, 99)
    bench.owner.producer.abort_transaction(WAIT_S)
    bench.restorer().restore(0, 10)
    assert bench.counts(1) == [1]


def test_it_waits_for_the_changelogs_own_commit_marker(bench):
    """The group's offset may be stable before the marker is there."""
    bench.owner.step({1: 1}, 10)
    bench.owner.begin({1: 2}, 20)
    reading = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        restored = pool.submit(bench.restorer().restore, 0, 20, progress=lambda now: reading.set())
        assert reading.wait(WAIT_S)
        assert not restored.done()
        bench.owner.producer.commit_transaction(WAIT_S)
        assert restored.result(WAIT_S).checkpoint.source_offset == 20
    assert bench.counts(1) == [2]


def test_a_transaction_that_never_ends_stops_it(bench):
    bench.owner.step({1: 1}, 10)
    bench.owner.begin({1: 2}, 20)
    with pytest.raises(Stop, match="nothing more comes"):
        bench.restorer(stalled_s=2.0).restore(0, 20)


def test_a_changelog_short_of_the_committed_offset_stops_it(bench):
    bench.owner.step({1: 1}, 10)
    with pytest.raises(Stop, match="stands at source offset 10, the group committed 25") as raised:
        bench.restorer().restore(0, 25)
    assert "docs/operations.md" in raised.value.hint


def test_a_changelog_beyond_the_committed_offset_stops_it(bench):
    bench.owner.step({1: 1}, 30)
    with pytest.raises(Stop, match="the group committed 25"):
        bench.restorer().restore(0, 25)


def test_in_at_least_once_what_lies_beyond_the_committed_offset_is_done_again(bench):
    bench.owner.step({1: 1}, 30)
    restored = bench.restorer(exact=False).restore(0, 25)
    assert (restored.source_offset, restored.checkpoint.source_offset) == (25, 30)


def test_a_changelog_made_again_stops_it_although_the_disk_is_intact(bench):
    bench.owner.step({1: 1}, 10)
    bench.restorer().restore(0, 10)
    bench.restart()
    recreate(bench)
    with pytest.raises(Stop, match="made again") as raised:
        bench.restorer().restore(0, 10)
    assert "docs/operations.md" in raised.value.hint


def test_a_rebuilt_changelog_replaces_the_local_state(bench):
    """As after a rebuild on another machine."""
    bench.owner.step({1: 1, 2: 1}, 10)
    bench.restorer().restore(0, 10)
    bench.restart()
    recreate(bench)
    bench.owner.rebuilt({1: 5}, 10)
    assert bench.restorer().restore(0, 10).records == 1
    assert bench.counts(1, 2) == [5, 0]


def test_a_changelog_made_again_to_which_a_worker_wrote_stops_it(bench):
    """It agrees with the offsets and lacks most of the state."""
    bench.owner.step({1: 1, 2: 1}, 10)
    bench.restorer().restore(0, 10)
    bench.restart()
    recreate(bench)
    bench.owner.step({1: 5}, 20)
    with pytest.raises(Stop, match=r"made again .* was not rebuilt"):
        bench.restorer().restore(0, 20)
    assert bench.counts(1, 2) == [1, 1]


def test_a_changelog_made_again_stops_it_on_an_empty_disk(bench):
    bench.owner.step({1: 1}, 10)
    recreate(bench)
    with pytest.raises(Stop, match="stands at source offset -1, the group committed 10"):
        bench.restorer().restore(0, 10)


def test_a_truncated_changelog_stops_it(bench):
    bench.owner.step({1: 1}, 10)
    bench.owner.step({2: 1}, 20)
    client = AdminClient({"bootstrap.servers": bench.kafka.bootstrap_servers})
    set_policy(client, bench.changelog, "delete")  # a compacted topic refuses the deletion
    client.delete_records([TopicPartition(bench.changelog, 0, 2)])[TopicPartition(bench.changelog, 0)].result()
    with pytest.raises(Stop, match="truncated"):
        bench.restorer().restore(0, 20)


def set_policy(client: AdminClient, topic: str, policy: str) -> None:
    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in client.incremental_alter_configs([resource]).values():
        future.result()


def test_an_accepted_loss_goes_on_without_the_state(bench):
    bench.owner.step({1: 1}, 10)
    recreate(bench)
    restored = bench.restorer(accept_loss=True).restore(0, 10)
    assert restored.source_offset == 10
    assert bench.counts(1) == [0]


def test_damaged_local_state_is_rebuilt(bench, tmp_path):
    bench.owner.step({k: k for k in range(1, 50)}, 50)
    bench.restorer().restore(0, 50)
    bench.restart()
    for file in (tmp_path / "0").glob("*.sst"):
        file.write_bytes(file.read_bytes()[:-40])
    assert bench.restorer().restore(0, 50).records == 49
    assert bench.counts(1, 49) == [1, 49]


def test_a_local_state_that_is_ahead_of_the_changelog_stops_it(bench):
    """As after an unclean election that lost records: the local state would be the only one to know of them."""
    bench.owner.step({1: 1}, 10)
    checkpoint = bench.restorer().restore(0, 10).checkpoint
    ahead = type(checkpoint)(10, checkpoint.changelog_offset + 100, checkpoint.topic_id)
    bench.state.restore(0, [], ahead)
    bench.restart()
    with pytest.raises(Stop, match="short of the local state"):
        bench.restorer().restore(0, 10)


def test_a_partition_given_up_ends_its_restore(bench):
    bench.owner.step({1: 1}, 10)
    with pytest.raises(Retry, match="given up"):
        bench.restorer().restore(0, 10, still_ours=lambda: False)
