"""The scale benchmark's pure parts: where a clone belongs, and the table."""

from zlib import crc32

from bench.scale import Shape, _by_partition, _clone
from bench.tables import tables


def test_every_name_belongs_on_one_partition_whoever_asks() -> None:
    names = [_clone(f"payer{k}@bank", k % 7) for k in range(200)]
    found = dict(_by_partition(names, 4))
    assert sorted(i for mine in found.values() for i in mine) == list(range(200))
    assert all(crc32(names[i].encode()) % 4 == partition for partition, mine in found.items() for i in mine)


def test_clones_have_names_of_their_own() -> None:
    assert len({_clone(payer, number) for payer in ("1.asha", "asha") for number in range(3)}) == 6


def test_the_table_has_a_line_for_each_shape() -> None:
    shape = Shape(payers=1_000, partitions=2, workers=2)
    run = {
        "payers": shape.payers, "partitions": shape.partitions, "workers": shape.workers, "rate": 40_000, "us": 25.0,
        "ready_s": 4.0, "at_rest_s": 7.5, "restore_peak_rss_mib": 500.0,
        "alerts": 12, "worker_cpu_s": 3.0, "worker_peak_rss_mib": 600.0, "disk_mib": 7, "rows_in_memory": 900,
    }  # fmt: skip
    settings = {"payments": 10_000, "arena_rows": 262_144, "record_bytes": 584}
    (table,) = tables({"benchmark": "scale", "settings": settings, "runs": [run]})
    assert table.rows[0][0] == "1,000 payers, 2 partitions, 2 workers"
    assert dict(zip(table.head, table.rows[0], strict=True))["payments/s"] == "40,000"
