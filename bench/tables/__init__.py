"""A result as tables, by its benchmark."""

from collections.abc import Callable, Iterator

from bench.model.tables import model_tables
from bench.results import Result, console
from bench.table import Table
from bench.tables import backtests, entity_lag, job, models, peers, public, reliability

_TABLES: dict[str, Callable[[Result], Iterator[Table]]] = {
    "throughput": job.throughput,
    "latency": job.latency,
    "scale": job.scale,
    "regress": job.regress,
    "faults": reliability.faults,
    "restore": reliability.restore,
    "failover": reliability.failover,
    "damaged": reliability.damaged,
    "determinism": reliability.determinism,
    "entity_lag": entity_lag.entity_lag,
    "peers": peers.peers,
    "model": model_tables,
    "training": models.training,
    "large": models.large,
    "robustness": models.robustness,
    "unseen": models.unseen,
    "backtest": backtests.backtest,
    "verified": backtests.verified,
    "realdata": public.realdata,
    "handbook": public.handbook,
    "handbook_week": public.handbook_week,
    "public_replay": public.public_replay,
    "public_replay_choice": public.public_replay_choice,
}


def show(result: Result) -> None:
    """The result's tables on the terminal."""
    for table in tables(result):
        console.print(f"[bold]{table.title}[/bold]", table.rich(), "", sep="\n")


def tables(result: Result) -> list[Table]:
    """The tables of any benchmark's result."""
    return list(_TABLES[result["benchmark"]](result))
