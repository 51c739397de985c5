"""Results on public data as tables, beside the figures published for it."""

from collections.abc import Iterator

from bench.results import Result
from bench.table import Table, figure


def realdata(result: Result) -> Iterator[Table]:
    """All of it through broker and worker, at once and day by day."""
    passes = [(text, result[name]) for name, text in (("at_once", "at once"), ("by_day", "day by day, with verdicts"))]
    rows = [
        ("payments in", "payments_in"),
        ("decided", "decided"),
        ("alerts out", "alerts_out"),
        ("dead letters", "dead_letters"),
        ("steps done again", "failed_steps"),
        ("verdicts sent", "verdicts"),
        ("payments a second", "rate"),
        ("worker, peak memory, MiB", "worker_peak_rss_mib"),
    ]
    body = [[text, *(figure(figures.get(name)) for _, figures in passes)] for text, name in rows]
    yield Table("The whole data set through broker and worker", ["", *(text for text, _ in passes)], body)
    columns = (
        *("payments", "frauds", "alerts", "frauds_alerted"),
        *("auc", "average_precision", "recall_at_fpr_0.013", "card_precision_100"),
    )
    head = ["period", *("CP@100" if name.startswith("card") else name.replace("_", " ") for name in columns)]
    for text, figures in passes:
        periods = figures["periods"].items()
        yield Table(
            f"Quality of the scores, {text}",
            head,
            [[period, *(figure(found.get(name)) for name in columns)] for period, found in periods],
        )


_HANDBOOK = (
    ("XGBoost, as published, this window", ".862", ".639", ".273"),
    ("XGBoost, as published, mean of four windows from this one on", ".869", ".687", ".303"),
    ("balanced bagging, likewise", ".879", ".680", ".305"),
)
"""The Handbook's figures for 7 days of training, of delay and of test; the first is for training from 25 July 2018."""


def handbook_week(result: Result) -> Iterator[Table]:
    """The Handbook's protocol on one week."""
    title = (
        f"Training from {result['settings']['train_start']}: {result['payments']:,} payments, {result['frauds']} frauds"
    )
    ours = ["FraudStream", *(f"{value:.3f}".lstrip("0") for value in result["figures"].values())]
    yield Table(title, ["", "AUC", "average precision", "card precision@100"], [ours, *map(list, _HANDBOOK)])


def handbook(result: Result) -> Iterator[Table]:
    """Candidates of the Handbook's protocol, on weeks before the tested one."""
    title = f"Mean of {len(result['settings']['windows'])} windows whose test week ends before 25 July 2018"
    rows = [
        [name + (" (chosen)" if name == result["chosen"] else ""), *(f"{value:.4f}" for value in found.values())]
        for name, found in result["candidates"].items()
    ]
    yield Table(title, ["", "AUC", "average precision", "card precision@100"], rows)


FIGURES = {"auc": "AUC", "average_precision": "average precision", "recall_at_fpr_0.013": "recall"}
THREE_MONTHS = {"7d": (0.911, 0.763, 0.787), "3d": (0.950, 0.856, 0.870), "1d": (0.970, 0.902, 0.914)}
"""Published for plain XGBoost over three months and a terminal's risk from verdicts that late, tested on 8 to 14
August 2018: AUC, average precision, recall at 1.3 % false positives."""
_CARDS = "card_precision_100"


def public_replay(result: Result) -> Iterator[Table]:
    """The replays by label delay."""
    delays, week = result["delays"], result["settings"]["tested"]
    beside = []
    for delay, found in delays.items():
        tested = found["periods"][week]
        pairs = zip((tested[name] for name in FIGURES), THREE_MONTHS[delay], strict=True)
        beside.append([delay, *(cell for ours, theirs in pairs for cell in (f"{ours:.4f}", f"{theirs:.3f}"))])
    tested = next(iter(delays.values()))["periods"][week]
    yield Table(
        f"{week}: all {tested['payments']:,} payments, {tested['frauds']} frauds; recall at 1.3 % false positives",
        ["label delay", *(head for name in FIGURES.values() for head in (name, "published"))],
        beside,
    )
    yield Table(
        "By period",
        ["label delay, period", "payments", "frauds", *FIGURES.values(), "card precision@100"],
        [
            [f"{delay}, {period}", *(figure(each[name]) for name in ("payments", "frauds", *FIGURES, _CARDS))]
            for delay, found in delays.items()
            for period, each in found["periods"].items()
        ],
    )
    yield Table(
        "What is caught on 8 to 14 August at 1.3 % false positives",
        ["label delay, kind", "frauds", "recall"],
        [
            [f"{delay}, {kind.replace('_', ' ')}", figure(each["frauds"]), figure(each["recall"])]
            for delay, found in delays.items()
            for kind, each in found["caught"].items()
        ],
    )
    about = (
        ("payments replayed", "payments"),
        ("before them, the payers' past", "warm_up_payments"),
        ("replaying both, s", "seconds"),
        ("payments a second", "rate"),
        ("the whole command, with comparison and report, s", "wall_s"),
        ("its processor time, s", "cpu_s"),
        ("its peak memory, MiB", "peak_rss_mib"),
        ("training before it, s", "train_s"),
    )
    rows = [[text, *(figure(found[name]) for found in delays.values())] for text, name in about]
    yield Table("What it takes", ["label delay", *delays], rows)


def public_replay_choice(result: Result) -> Iterator[Table]:
    """Candidates of the replays' training."""
    rows = []
    for name, found in result["candidates"].items():
        cells = (f"{each[figure]:.4f}" for each in found.values() for figure in FIGURES)
        rows.append([name + (" (chosen)" if name == result["settings"]["chosen"] else ""), *cells])
    delays = next(iter(result["candidates"].values()))
    head = ["", *(f"{delay}: {word}" for delay in delays for word in FIGURES.values())]
    yield Table("Trained on April and May, measured on 1 June to 7 August", head, rows)
