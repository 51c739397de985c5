"""`fraudstream backtest`: what models would have done with the payments of a historic topic, a lake or a history."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraudstream import comparing, options
from fraudstream.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from backtest.decided import Frames
    from backtest.source import Offsets, Source, Window
    from fraudstream.settings import Settings
    from models.tokens import Tokeniser


def backtest(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Directory for scores.parquet, metrics.json and report.html.")],
    model: options.Model = None,
    candidates: Annotated[
        list[Path] | None, typer.Option("--candidate", help="Bundle to compare with the model; repeat for more.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="History directory, or a lake by path or URL; default: the topic.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Topic of the payments; default: transactions.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Event time of the first payment.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Event time before which it ends.")] = None,
    from_offsets: Annotated[
        list[str] | None, typer.Option("--from-offset", metavar="PARTITION=OFFSET", help="Begin there; repeatable.")
    ] = None,
    to_offsets: Annotated[
        list[str] | None, typer.Option("--to-offset", metavar="PARTITION=OFFSET", help="End before; repeatable.")
    ] = None,
    warm_up: Annotated[
        str | None,
        typer.Option(help="How long before --from payments count as the payers' past; default: all there are."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="A worker's state directory, or a copy: begin with what it knew, where it had got to."),
    ] = None,
    label_delay: Annotated[
        str | None, typer.Option(help="Take verdicts as known so long after the payment; default: as the labels say.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="History or lake with the labels; default: where the payments are.")
    ] = None,
    lists: Annotated[
        Path | None,
        typer.Option(help="Entities listed, as `fraudstream lists show --json` prints them; default: none."),
    ] = None,
    keep_features: Annotated[
        bool, typer.Option(help="Keep the features: for reasons in the report, and what-if with new rules.")
    ] = True,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with what was decided live, and explain what differs.")
    ] = False,
    analysts: comparing.Analysts = None,
    alerts_per_analyst: comparing.AlertsPerAnalyst = None,
    review_cost: comparing.ReviewCost = None,
    recovered_share: comparing.RecoveredShare = None,
    time_zone: comparing.TimeZone = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a backtest in --out.")] = False,
    policy_file: options.PolicyFile = None,
    token_key_file: options.TokenKeyFile = None,
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    config: options.Config = None,
) -> None:
    """Replay historic payments through the engine and compare models on them; nothing live is written to.

    Payments are read once and their features made once, for all models. Ctrl-C keeps what is done: the same command
    goes on.
    """
    from backtest.listed import NO_LISTS, read_lists
    from backtest.result import REPORT
    from backtest.snapshot import Snapshot
    from backtest.source import Offsets, Window
    from fraudstream.backtesting import Asked, findings, replay, summary, tidy, tokeniser_of
    from fraudstream.backtesting import verify as verify_live
    from fraudstream.settings import load
    from fraudstream.times import duration_ms, epoch_ms
    from models.policy import Policy
    from models.report import drawing

    settings = load(
        {
            "model": model, "policy_file": policy_file, "token_key_file": token_key_file,
            "bootstrap_servers": bootstrap_servers, "topic_prefix": topic_prefix, "kafka": kafka,
        },
        config,
    )  # fmt: skip
    if settings.model is None:
        raise UserError("no model is set", hint="set --model to a bundle made by `fraudstream train`")
    if data is not None and topic:
        raise UserError("--data and --topic are two sources", hint="give one of them")
    window = Window(
        epoch_ms(start) if start else None,
        epoch_ms(end) if end else None,
        duration_ms(warm_up) if warm_up else None,
        as_published=verify,
    )
    if window.start is None and window.warm_up_ms is not None:
        raise UserError("--warm-up is the time before --from, which is not given", hint="give --from")
    delay = duration_ms(label_delay) if label_delay else None
    tokeniser = tokeniser_of(settings.token_key_file, out)
    past = Snapshot.read(state) if state else None
    offsets = Offsets(_offsets(from_offsets), _offsets(to_offsets), past.offsets if past else {})
    source = _source(data, topic, window, offsets, settings, tokeniser)
    asked = Asked(
        command=context.obj,
        out=out,
        model=settings.model,
        candidates=candidates or (),
        policy=Policy.load(settings.policy_file) if settings.policy_file else Policy(),
        window=window,
        label_delay_ms=delay,
        lists=read_lists(lists, lambda: tokeniser) if lists else NO_LISTS,
        keep_features=keep_features,
        overwrite=overwrite,
        past=past,
        offsets=offsets,
    )
    if verify:
        decided = _decided(data, source, settings, topic)
        verification = verify_live(asked, source, decided, tokeniser)
        for line in (*findings(verification), *source.notes):
            typer.echo(line)
        raise typer.Exit(1 if verification.faults else 0)
    drawing.require()  # before the work, not after
    compare_settings = comparing.settings_of(
        analysts, alerts_per_analyst, review_cost, recovered_share, time_zone, delay
    )
    result = replay(asked, source, lambda: _frauds(labels or data, settings, delay), tokeniser)
    for line in summary(result):
        typer.echo(line)
    typer.echo(comparing.reported(result, compare_settings))
    tidy(out)
    typer.echo(f"report: {out / REPORT}")


def _source(
    data: str | None,
    topic: str | None,
    window: "Window",
    offsets: "Offsets",
    settings: "Settings",
    tokeniser: "Tokeniser",
) -> "Source":
    from stream.history import lake_at

    if data is not None:
        if (lake := lake_at(data)) is not None:
            from backtest.lake import LakeSource

            return LakeSource(lake, tokeniser, window, offsets)
        from backtest.history import HistorySource
        from backtest.source import Offsets

        if offsets != Offsets():
            raise UserError(f"{data} has no offsets", hint="--state and offsets are of a topic, or of a lake")

        return HistorySource(Path(data), tokeniser, window)
    from backtest.topic import TopicSource

    name = topic or settings.topics().transactions
    return TopicSource(settings.kafka_settings(), name, tokeniser, window, offsets)


def _decided(data: str | None, source: "Source", settings: "Settings", topic: str | None) -> "Frames":
    from stream.history import lake_at

    if data is not None:
        from backtest.lake import decided_in_lake

        lake = lake_at(data)
        if lake is None or not lake.partitions("decisions"):
            raise UserError(f"{data} holds no decisions", hint="verify a topic, or a lake of decisions too")
        return decided_in_lake(lake)
    from backtest.decided import decided_on_topic

    topics = settings.topics()
    return decided_on_topic(settings.kafka_settings(), topics.decisions, topic or topics.transactions)


def _frauds(data: str | None, settings: "Settings", delay_ms: int | None) -> "pl.DataFrame":
    from backtest.verdicts import frauds_of, labels_of_topic
    from stream.history import scan_labels

    if data is not None:
        return frauds_of(scan_labels(data), delay_ms)
    return frauds_of(labels_of_topic(settings.kafka_settings(), settings.topics().labels), delay_ms)


def _offsets(given: list[str] | None) -> dict[int, int]:
    """Partitions and offsets. Raises UserError."""
    found = {}
    for pair in given or []:
        partition, _, offset = pair.partition("=")
        if not (partition.isdecimal() and offset.isdecimal()):
            raise UserError(f"{pair} is no PARTITION=OFFSET", hint="write 0=12345")
        found[int(partition)] = int(offset)
    return found
