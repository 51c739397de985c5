"""Whom models protect: kinds of attack, amounts, hours; and where two models differ, payment by payment."""

from collections.abc import Iterator, Sequence

from backtest.compare import Comparison
from backtest.compare.comparison import Contest, Example, Examples, Group
from backtest.report import plots
from backtest.report.sections.work import no_fraud
from backtest.report.verdict import champion_of
from models.report.findings.rates import Rate
from models.report.page import Case, Figure, Heading, Paragraph, Part, Section, Table
from models.report.words import brief, count, number, rupees, title, utc


def kinds(comparison: Comparison) -> Section:
    """Recall by kind of attack."""
    groups = {name: judge.kinds for name, judge in comparison.judges.items()}
    shows = "Share of each kind's frauds that each model caught, with 95 % intervals."
    parts = _recalls("kinds.svg", shows, groups, "kind of attack", "In brackets the number of frauds.")
    return Section(
        "kinds",
        "Kinds of attack",
        "Which attacks are caught, at the models' own thresholds? The most frequent come first. Where there are few"
        " frauds the interval is wide.",
        list(_parts(comparison, parts)),
    )


def amounts_and_hours(comparison: Comparison) -> Section:
    """Recall by amount, frauds by hour."""
    amounts = {name: judge.amounts for name, judge in comparison.judges.items()}
    hours = {name: judge.hours for name, judge in comparison.judges.items()}
    parts = _recalls("amounts.svg", "Recall by amount.", amounts, "amount", "By amount of the payment.", half=True)
    parts.append(
        Figure(
            plots.hours(hours, comparison.settings.time_zone),
            f"By hour of the day ({comparison.settings.time_zone}): frauds, and those caught.",
            _group_table(hours, "hour"),
            half=True,
        )
    )
    return Section(
        "amounts",
        "Amounts and hours",
        "Does a model look away where it is dear, or at night?",
        list(_parts(comparison, parts)),
    )


def differences(comparison: Comparison) -> Section:
    """Overlap and examples, a candidate at a time; of a champion alone, examples."""
    champion = champion_of(comparison)
    parts: list[Part] = []
    for name, contest in comparison.contests.items():
        parts += [
            *([Heading(f"{champion} and {name}")] if len(comparison.contests) > 1 else []),
            Figure(
                plots.overlap(contest.own, champion, name),
                "At their own thresholds. Of 100 payments flagged by either,"
                f" {number(100 * (contest.own.jaccard or 0), 0)} are flagged by both; ranks of all scores agree by"
                f" {number(contest.rank_agreement, 2)} (Spearman; 1 is the same order).",
                _overlap_table(contest, champion, name),
            ),
            *_cases(contest.examples),
        ]
    parts += _cases(comparison.examples)
    return Section(
        "differences",
        "Payment by payment",
        "The highest amounts of each sort, with the reasons the alerts would have given, the strongest first. Payments"
        " are named by their transaction id only; times are UTC. An honest payment may be a fraud nobody reported.",
        parts,
    )


def _recalls(file: str, shows: str, groups: plots.Groups, what: str, caption: str, *, half: bool = False) -> list[Part]:
    if not any(group.frauds for group in next(iter(groups.values()))):
        return []
    drawn = plots.recalls(file, shows, groups, width=5.6 if half else 9)
    return [Figure(drawn, caption, _group_table(groups, what), half=half)]


def _group_table(groups: plots.Groups, what: str) -> Table:
    first: Sequence[Group] = next(iter(groups.values()))
    counted = first[0].payments is not None
    head = [what, *(["payments"] if counted else []), "frauds", "their money"]
    for name in groups:
        head += [f"caught by {name}", "recall (95 %)", "money caught", *([f"alerts of {name}"] if counted else [])]
    rows = []
    for i, group in enumerate(first):
        cells = [title(group.name), *([count(group.payments)] if counted else []), count(group.frauds)]
        cells.append(rupees(group.rupees))
        for found in (judged[i] for judged in groups.values()):
            cells += [count(found.caught), brief(Rate(found.caught, found.frauds)), rupees(found.rupees_caught)]
            cells += [count(found.alerts)] if counted else []
        rows.append(tuple(cells))
    return Table(tuple(head), rows, f"Frauds caught by {what}")


def _overlap_table(contest: Contest, champion: str, candidate: str) -> Table:
    head = ("", "both", f"{champion} alone", f"{candidate} alone", "neither")
    rows = [
        ("frauds", *(count(share.payments) for share in contest.own.frauds)),
        ("their money", *(rupees(share.rupees) for share in contest.own.frauds)),
        ("false alerts", *(count(share.payments) for share in contest.own.false_alerts), ""),
        *((title(kind), *map(count, four)) for kind, four in contest.own.kinds.items()),
        ("frauds, equal alerts", *(count(share.payments) for share in contest.equal.frauds)),
    ]
    return Table(head, rows, "Frauds and false alerts by who flagged them; frauds also by kind")


def _cases(found: Sequence[Examples]) -> Iterator[Part]:
    for examples in found:
        yield Heading(examples.sort)
        if not examples.payments:
            yield Paragraph("There are none.")
        yield from (_case(example) for example in examples.payments)


def _case(example: Example) -> Case:
    scores = ", ".join(f"{name} {score}" for name, score in example.scores.items())
    return Case(
        f"{rupees(example.rupees)} · {title(example.kind) or 'honest'} · {scores}",
        f"{example.transaction_id} · {utc(example.event_time)}",
        [
            (f"{name} flagged it by {example.decided_by[name]}", reasons or ("no reasons kept",))
            for name, reasons in example.reasons.items()
        ],
    )


def _parts(comparison: Comparison, parts: list[Part]) -> Iterator[Part]:
    note = no_fraud(comparison)
    if note:
        yield note
    yield from parts
