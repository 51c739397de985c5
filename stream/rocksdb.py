"""Our settings as RocksDB's: the only place that knows its options."""

from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    MemtableFactory,
    Options,
    Rdict,
    ReadOptions,
    SliceTransform,
    WriteBufferManager,
    WriteOptions,
)

from stream.settings import StateSettings

LONGEST_KEY = 64
BYTES_PER_BUCKET = 1_024
"""About one record's."""
_ENVIRONMENT = (
    "No space left",
    "Permission denied",
    "Read-only file system",
    "Too many open files",
    "Disk quota exceeded",
    "Resource temporarily unavailable",
)


def is_damage(error: Exception) -> bool:
    """Whether RocksDB complains about its files, which can be made anew, and not about the machine.

    RocksDB's exceptions have no types, only its own words.
    """
    return not any(words in str(error) for words in _ENVIRONMENT)


def is_stall(error: Exception) -> bool:
    """Whether a write was refused only because RocksDB is behind with its flushes or compactions."""
    return "Write stall" in str(error)


class SharedMemory:
    """What all partitions of an agent share: one block cache, and one budget of memtables."""

    def __init__(self, settings: StateSettings) -> None:
        self.cache = Cache(settings.block_cache_bytes)
        self.write_buffers = WriteBufferManager(settings.write_buffers_bytes, False)


def open_database(path: Path, settings: StateSettings, shared: SharedMemory) -> Rdict:
    """A database of raw bytes. It writes no log: the changelog is the truth, a lost memtable leaves an older prefix."""
    table = BlockBasedOptions()
    table.set_block_cache(shared.cache)
    table.set_bloom_filter(10, block_based=False)
    table.set_block_size(2_048)  # a record or four: what is read beside the one asked for is for nothing
    table.set_cache_index_and_filter_blocks(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_manager(shared.write_buffers)
    options.set_write_buffer_size(settings.write_buffer_bytes)
    options.set_max_write_buffer_number(3)
    # Records are asked for by their whole key, so a memtable is a hash table: a write, for which rocksdict holds the
    # interpreter's lock, takes a third of the time, and looking for a key that is not there half.
    options.set_prefix_extractor(SliceTransform.create_max_len_prefix(LONGEST_KEY))
    options.set_memtable_factory(MemtableFactory.hash_link_list(settings.write_buffer_bytes // BYTES_PER_BUCKET))
    options.set_allow_concurrent_memtable_write(False)
    # Memtables are written out early, to bound what a restart replays; so many of those small files are merged at once.
    options.set_level_zero_file_num_compaction_trigger(8)
    # A restore leaves more of them than can be merged at once. By its defaults, 20 and 36, RocksDB would slow writes
    # down, and refuse ours, until they are merged: with 10 million payers for most of a minute.
    options.set_level_zero_slowdown_writes_trigger(64)
    options.set_level_zero_stop_writes_trigger(96)
    options.set_compression_type(DBCompressionType.none())  # lz4 makes packed records 8 % smaller
    options.set_max_background_jobs(2)
    options.set_max_open_files(256)
    options.set_keep_log_file_num(2)
    database = Rdict(str(path), options)
    unlogged = WriteOptions()
    unlogged.disable_wal = True
    # A write that has to wait, for a flush that a full disk holds up, would wait with the interpreter's lock in hand.
    unlogged.no_slowdown = True
    database.set_write_options(unlogged)
    once = ReadOptions()
    once.fill_cache(False)  # the arena is the cache of records; this one is for indexes and filters
    database.set_read_options(once)
    return database


def in_order() -> ReadOptions:
    """For going over all keys, which otherwise shows nothing of a memtable. Sorts that first, while the interpreter's
    lock is held: about a microsecond a record."""
    options = ReadOptions()
    options.set_total_order_seek(True)
    return options


def in_memtables(database: Rdict) -> int:
    """How many records are not on disk yet."""
    names = ("rocksdb.num-entries-active-mem-table", "rocksdb.num-entries-imm-mem-tables")
    return sum(database.property_int_value(name) or 0 for name in names)


def open_read_only(path: Path) -> Rdict:
    """What of a database is on disk just now, also while a worker has it open; every file is held from here on."""
    options = Options(raw_mode=True)
    options.set_max_open_files(-1)
    return Rdict(str(path), options, access_type=AccessType.read_only())
