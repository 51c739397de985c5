"""What a lake holds, as a table."""

from collections.abc import Sequence

from rich.table import Table

from fraudstream.times import show_time
from schemas.lake import TOPICS, LakeTopic, Take, gaps
from stream.errors import Stop
from stream.lake import About, Lake


def table(lake: Lake) -> Table:
    """A row for each topic and partition. Raises `Stop` when there is none."""
    shown = Table(
        "topic", "partition", "offsets", "gaps", "rows", "files", "MB", "from (UTC)", "to", box=None, pad_edge=False
    )
    shown.columns[0].no_wrap = True
    for topic in TOPICS:
        sizes = lake.blocks(topic)
        partitions: dict[int, list[tuple[Take, About]]] = {}
        for take, about in lake.takes_with_about(topic):
            partitions.setdefault(take.block.partition, []).append((take, about))
        for partition, taken in partitions.items():
            size = sum(size for block, size in sizes.items() if block.partition == partition)
            shown.add_row(topic, str(partition), *_cells(lake, topic, taken, size))
    if not shown.row_count:
        raise Stop(f"{lake.url} holds no lake", hint="fill it with `fraudstream archive --lake`")
    return shown


def _cells(lake: Lake, topic: LakeTopic, taken: Sequence[tuple[Take, About]], size: int) -> tuple[str, ...]:
    takes = [take for take, _ in taken]
    holes = list(gaps(takes))
    first = [about.first_ms for _, about in taken if about.first_ms is not None]
    last = [about.last_ms for _, about in taken if about.last_ms is not None]
    return (
        f"{takes[0].first:,} to {takes[-1].end:,}",
        ", ".join(f"{begin:,} to {end:,}" for begin, end in holes) or "none",
        f"{sum(_rows(lake, take, about) for take, about in taken):,}",
        f"{len(takes):,}",
        f"{size / 1e6:,.1f}",
        show_time(min(first))[:16] if first else "",
        show_time(max(last))[:16] if last else "",
    )


def _rows(lake: Lake, take: Take, about: About) -> int:
    """Rows that a reader takes; a block that begins behind another is counted by looking."""
    if take.first == take.block.first:
        return about.rows
    return len(lake.rows(take, ["published"]))
