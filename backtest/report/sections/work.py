"""Models side by side, and what other thresholds would cost and bring."""

from collections.abc import Sequence

from backtest.compare import Comparison
from backtest.compare.comparison import Figures, Intervals, JudgeFigures
from backtest.report import plots
from backtest.report.verdict import champion_of, plainly, points, signed, span
from models.report.page import Figure, Note, Part, Section, Table
from models.report.words import SPACE, count, number, percent, rupees

SWEPT = (0.25, 0.5, 0.75, 1, 1.5, 2, 4)
"""Rows of the sweep's table, as multiples of the champion's alerts."""


def side_by_side(comparison: Comparison) -> Section:
    """Every model at its own threshold, at the champion's alerts, and at what analysts can look at."""
    parts: list[Part] = [
        _table(comparison, "own", "At their own thresholds"),
        _table(comparison, "equal", "With the champion's number of alerts: the fair comparison"),
        _table(comparison, "capacity", f"With {count(comparison.settings.capacity)} alerts a day: all analysts busy"),
    ]
    if not comparison.contests:
        parts.pop(1)
    parts.append(_episodes(comparison.judges))
    return Section(
        "models",
        "The models side by side",
        "Money counts as saved when a fraud had an alert before it left; net of reviews, each alert is paid for. Lists"
        " and rules decide as they did; a second opinion's threshold moves with the model's.",
        parts,
    )


def chance(comparison: Comparison) -> Section:
    """Whether candidates differ from the champion by more than chance."""
    rows: list[tuple[str, ...]] = []
    for name, contest in comparison.contests.items():
        rows += _differences(f"{name}, equal alerts", contest.equal_difference)
        rows += _differences(f"{name}, own thresholds", contest.own_difference)
    head = ("compared", "figure", "difference", "95 % interval", "verdict")
    return Section(
        "chance",
        "More than chance?",
        f"Other payers might have been attacked. From those of these payments {comparison.settings.draws:,} samples"
        f" are drawn; the interval holds 95{SPACE}% of the differences in them. Where it includes 0, chance alone may"
        " explain the difference.",
        [Table(head, rows, f"Candidate less {champion_of(comparison)}", words=(0, 1, 4))],
    )


def sweep(comparison: Comparison) -> Section:
    """Every threshold, drawn, and the best."""
    own = comparison.judges[champion_of(comparison)].own
    rows = []
    for name, judge in comparison.judges.items():
        for times in SWEPT:
            found = _within(judge, times * own.alerts_per_day)
            rows.append(_swept_row(name, judge, found, f"{times:g} × the champion's alerts"))
        rows.append(_swept_row(name, judge, judge.sweep.best, "highest net saving"))
    head = ("model", "where", "from score", "alerts a day", "recall", "precision", "money caught", "net saved")
    return Section(
        "thresholds",
        "Other thresholds",
        "Each point of a curve is a threshold, the dot a model's own. What the analysts can look at is the dashed line:"
        " alerts beyond it wait. The threshold with the highest net saving was found on these very payments.",
        [
            Figure(plots.recall_by_alerts(comparison), "How many alerts a day buy how many frauds.", half=True),
            Figure(plots.money_by_alerts(comparison), "Money caught less the cost of all alerts.", half=True),
            Table(head, rows, "Thresholds; all 1,002 are in metrics.json under judges.NAME.sweep", words=(0, 1)),
        ],
    )


def days(comparison: Comparison) -> Section:
    """Alerts and frauds by day."""
    names = list(comparison.judges)
    heads = [f"{what}, {name}" for name in names for what in ("alerts", "caught", "false alerts", "money caught")]
    rows = []
    for i, day in enumerate(comparison.judges[names[0]].days):
        cells = [day.name, count(day.payments), count(day.frauds)]
        for name in names:
            found = comparison.judges[name].days[i]
            cells += [count(found.alerts), count(found.caught), count((found.alerts or 0) - found.caught)]
            cells.append(rupees(found.rupees_caught))
        rows.append(tuple(cells))
    numbers = Table(("day", "payments", "frauds", *heads), rows, "Alerts and frauds by day")
    capacity = comparison.settings.capacity
    return Section(
        "days",
        "Day by day",
        f"Days of {comparison.settings.time_zone}; the first and the last may be cut short.",
        [
            Figure(plots.alerts_by_day(comparison, capacity), "Work: alerts, right and wrong ones.", half=True),
            Figure(plots.frauds_by_day(comparison), "What the work was worth.", numbers, half=True),
        ],
    )


def _table(comparison: Comparison, at: str, caption: str) -> Table:
    rows = []
    for name, judge in comparison.judges.items():
        f: Figures = getattr(judge, at)
        counts = (f.threshold, f.alerts_per_day, f.caught, f.false_alerts)
        shares = (percent(f.recall), percent(f.precision), percent(f.false_positive_rate, 2))
        rows.append(
            (name, *map(count, counts), *shares, rupees(f.rupees_caught), percent(f.saved_share), rupees(f.net_saved))
        )
    head = (
        "model", "from score", "alerts a day", "frauds caught", "false alerts", "recall", "precision", "honest flagged",
        "money caught", "saved", "net saved",
    )  # fmt: skip
    return Table(head, rows, caption)


def _differences(what: str, found: Intervals) -> Sequence[tuple[str, ...]]:
    written = (
        ("frauds caught", found.caught, plainly),
        ("recall", found.recall, points),
        ("precision", found.precision, points),
        ("share of money saved", found.saved_share, points),
        ("money caught", found.rupees_caught, rupees),
        ("net saved", found.net_saved, rupees),
    )
    words = {True: "more than chance", False: "may be chance", None: "cannot be told"}
    return [
        (what, name, signed(one.estimate, write), span(one, write), words[one.beyond_chance])
        for name, one, write in written
    ]


def _episodes(judges: dict[str, JudgeFigures]) -> Table:
    rows = [
        (
            name,
            count(judge.episodes.payers),
            count(judge.episodes.alerted),
            percent(judge.episodes.alerted_share),
            rupees(judge.episodes.rupees_before),
            number(judge.episodes.rupees_before_per_payer, 0),
        )
        for name, judge in judges.items()
    ]
    head = ("model", "defrauded payers", "with an alert", "share", "lost before it", "₹ a payer")
    return Table(
        head, rows, "By defrauded payer, at their own thresholds: one alert may end a whole attack. Lost before it: the"
        " payer's frauds before the first with an alert; all of them where there is none."
    )  # fmt: skip


def _within(judge: JudgeFigures, alerts_per_day: float) -> int:
    return next((t for t, alerts in enumerate(judge.sweep.alerts_per_day) if alerts <= alerts_per_day + 1e-9), 1001)


def _swept_row(name: str, judge: JudgeFigures, threshold: int, where: str) -> tuple[str, ...]:
    s = judge.sweep
    return (
        name,
        where,
        str(threshold),
        count(s.alerts_per_day[threshold]),
        percent(s.recall[threshold]),
        percent(s.precision[threshold]),
        rupees(s.rupees_caught[threshold]),
        rupees(s.net_saved[threshold]),
    )


def no_fraud(comparison: Comparison) -> Note | None:
    """Said where nothing can be caught."""
    return None if comparison.frauds else Note("No fraud is known in these payments: recall cannot be told.")
