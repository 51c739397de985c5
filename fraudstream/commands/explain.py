"""`fraudstream explain --transaction ID`: what was decided about a payment, by what, and why."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fraudstream import options

if TYPE_CHECKING:
    from rich.console import Console

    from fraudstream.audit import Finding, Search
    from schemas.types import DecidedBy

WHY: "dict[DecidedBy, str]" = {
    "model": "Why",
    "second_opinion": "Why the second opinion found it unusual",
    "rule": "What the model held against it",
    "list": "What the model held against it",
}
"""Heads an alert's reasons: what a rule or a list decided has its cause in the summary."""


def explain(
    transaction: Annotated[str, typer.Option("--transaction", help="The payment's transaction id.")],
    bootstrap_servers: options.BootstrapServers = None,
    topic_prefix: options.TopicPrefix = None,
    kafka: options.Kafka = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Decided at or after: ISO 8601 or epoch ms.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Decided before: ISO 8601 or epoch ms.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: options.Config = None,
) -> None:
    """Explain a payment: what was decided, by what, and why."""
    from rich.console import Console

    from fraudstream.audit import find
    from fraudstream.errors import UserError
    from fraudstream.settings import load
    from fraudstream.times import epoch_ms

    settings = load(locals(), config)
    from_ms = epoch_ms(since) if since else None
    to_ms = epoch_ms(until) if until else None
    with _ProgressBars() as progress:
        search = find(
            settings.kafka_settings(),
            transaction,
            settings.topics(),
            from_ms=from_ms,
            to_ms=to_ms,
            progress=progress,
        )
    if not search.findings:
        raise UserError(_not_found(transaction, search, since, until), hint=_where_else(since or until))
    if as_json:
        typer.echo(_as_json(search.findings))
        return
    for finding in search.findings:
        _print(Console(highlight=False), finding)


def _not_found(transaction: str, search: "Search", since: str | None, until: str | None) -> str:
    window = "".join([f" from {since}" if since else "", f" to {until}" if until else ""])
    searched = f"{search.payments:,} decisions in {search.records:,} records{window}"
    unreadable = f", {search.unreadable:,} of which could not be read" if search.unreadable else ""
    return f"no decision about payment {transaction} among {searched}{unreadable}"


def _where_else(narrowed: str | None) -> str:
    if narrowed:
        return "widen --from and --to: they are the times of the decision, not of the payment"
    return "check the id; it may be among the dead letters, not scored yet, or older than the decisions topic keeps"


class _ProgressBars:
    """A progress bar on stderr, one line a topic; nothing when stderr is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._bars = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "_ProgressBars":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def __call__(self, topic: str, passed: int, total: int) -> None:
        if topic not in self._tasks:
            self._tasks[topic] = self._bars.add_task(topic, total=total)
        self._bars.advance(self._tasks[topic], passed)


def _as_json(findings: "list[Finding]") -> str:
    import msgspec

    body = [
        {
            # 64 bits do not survive every JSON reader's numbers.
            "decision": finding.row
            | {"features_hash": f"{finding.row['features_hash']:016x}", "flags": finding.flags}
            | {"published_at": finding.published_at},
            "step": msgspec.to_builtins(finding.meta),
            "alert": msgspec.to_builtins(finding.alert),
        }
        for finding in findings
    ]
    return msgspec.json.format(msgspec.json.encode(body)).decode()


def _print(console: "Console", finding: "Finding") -> None:
    from rich.table import Table
    from rich.text import Text

    row, verdict = finding.row, _verdict(finding)
    console.print()
    console.print(Text(verdict, style="bold red" if row["flagged"] else "bold green"))
    if finding.alert is not None and finding.alert.summary:
        console.print(Text(finding.alert.summary, style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _facts(finding):
        table.add_row(name, Text(text))
    console.print(table)
    if finding.alert is not None and finding.alert.reasons:
        console.print(Text(WHY[finding.alert.decided_by], style="bold"))
        for reason in finding.alert.reasons:
            console.print(Text(f"  {reason.sentence}  ({reason.feature}, {reason.contribution:+.2f})"))
    elif row["flagged"] and finding.alert is None:
        console.print(Text("Its alert is no longer on the alerts topic, and the reasons with it.", style="yellow"))


def _verdict(finding: "Finding") -> str:
    row = finding.row
    what = "was flagged" if row["flagged"] else "was not flagged"
    by = f"the {_decider(row)}" + (f" {rule}" if (rule := _rule(finding)) else "")
    return f"Payment {row['transaction_id']} {what}: decided by {by}, score {row['score']} of 1000, band {row['band']}"


def _decider(row: dict[str, Any]) -> str:
    return str(row["decided_by"]).replace("_", " ")


def _second(finding: "Finding") -> list[tuple[str, str]]:
    """What the second opinion said, where there was one."""
    score, threshold = finding.row.get("second_score"), finding.meta.second_threshold
    if score is None:
        return []
    if threshold is None:
        return [("second opinion", f"{score} of 1000; the policy does not let it flag")]
    compared = "at or above" if score >= threshold else "below"
    return [("second opinion", f"{score} of 1000, {compared} its threshold {threshold}")]


def _rule(finding: "Finding") -> str | None:
    rule: str | None = finding.row.get("rule")
    return rule or (finding.alert.rule if finding.alert else None)


def _facts(finding: "Finding") -> list[tuple[str, str]]:
    from fraudstream.times import show_time

    meta, row = finding.meta, finding.row
    compared = "at or above" if row["score"] >= meta.threshold else "below"
    facts = [
        ("payment's time", show_time(row["event_time"])),
        ("decided at", show_time(meta.decided_at)),
        ("payer", f"{row['payer_token']} (token)"),
        ("probability", f"{row['probability']:.6f}"),
        ("score", f"{row['score']}, {compared} the threshold {meta.threshold}; band {row['band']}"),
        *_second(finding),
        ("decided by", _decider(row) + (f": {rule}" if (rule := _rule(finding)) else "")),
        ("model", f"{meta.model.name}, sha256 {meta.model.sha256}"),
        ("policy", f"version {meta.policy_version}"),
        ("lists", f"version {meta.list_version}"),
        ("features", f"catalogue {meta.catalogue_hash[:16]}…, row digest {row['features_hash']:016x}"),
        ("source", f"{meta.topic}, partition {meta.partition}, offset {row['offset']}"),
        ("flags", ", ".join(finding.flags) or "none"),
    ]
    known = {n.removeprefix("risk_"): v for n, v in row.items() if n.startswith("risk_") and v is not None and v == v}
    if known:
        facts.append(("entity risk used", ", ".join(f"{name} {value:g}" for name, value in known.items())))
    for number, challenger in enumerate(meta.challengers):
        value = row.get(f"challenger_{number}")
        if value is not None:
            facts.append(("challenger", f"{challenger.name}, probability {value:.6f} (in shadow)"))
    if finding.alert is not None:
        facts.append(("alert", f"{finding.alert.alert_id}, payee {finding.alert.payee_token} (token)"))
    return facts
