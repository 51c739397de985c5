"""What a backtest says, in a sentence, and the figures behind it in large type."""

from collections.abc import Callable

from backtest.compare import Comparison
from backtest.compare.comparison import Contest, Figures, Interval
from models.report.page import Tile
from models.report.words import SPACE, count, percent, rupees

Write = Callable[[float], str]
JOINED = "\N{WORD JOINER}"
NO_FRAUD = "Cannot be told: no fraud is known in these payments."


def champion_of(comparison: Comparison) -> str:
    """Its name."""
    return next(iter(comparison.judges))


def leader(comparison: Comparison) -> str | None:
    """The candidate that saves most net of reviews with the champion's number of alerts; None without candidates."""
    names = list(comparison.contests)
    return max(names, key=lambda name: comparison.judges[name].equal.net_saved) if names else None


def headline(comparison: Comparison) -> str:
    """The verdict on the leading candidate, or what the champion alone did."""
    champion = champion_of(comparison)
    own = comparison.judges[champion].own
    if not comparison.frauds:
        return "No fraud is known in these payments: what models catch cannot be told"
    name = leader(comparison)
    if name is None:
        return (
            f"{champion} caught {count(own.caught)} of {count(comparison.frauds)} frauds with"
            f" {count(own.alerts_per_day)} alerts a day"
        )
    equal = comparison.judges[name].equal
    more, money = equal.caught - own.caught, equal.rupees_caught - own.rupees_caught
    frauds = f"{count(abs(more))} {'more' if more > 0 else 'fewer'} frauds" if more else "as many frauds"
    worth = f"{rupees(abs(money))} {'more' if money > 0 else 'less'}" if abs(money) >= 1 else "the same money"
    return f"{name} would have caught {frauds}, {worth}, within the same {count(own.alerts_per_day)} alerts a day"


def explanation(comparison: Comparison) -> str:
    """Whether the headline could be chance, and what the leading candidate does at its own threshold."""
    name, champion = leader(comparison), champion_of(comparison)
    if name is None or not comparison.frauds:
        return ""
    difference = comparison.contests[name].equal_difference
    new, old = comparison.judges[name].own, comparison.judges[champion].own
    return (
        f"{chance(difference.caught, 'frauds', plainly)} {chance(difference.rupees_caught, 'money', rupees)}"
        f" At its own threshold {name} makes {count(new.alerts_per_day)} alerts a day where {champion} makes"
        f" {count(old.alerts_per_day)}, and catches {count(new.caught)} frauds where that catches {count(old.caught)}."
    )


def chance(difference: Interval, what: str, write: Write) -> str:
    """A difference's interval, and in words whether chance alone could have made it."""
    if difference.beyond_chance is None:
        return f"The difference in {what} cannot be told."
    verdict = "more than chance alone explains" if difference.beyond_chance else "chance alone may explain it"
    return f"In {what} the difference is {span(difference, write)} (95 % interval): {verdict}."


def span(interval: Interval, write: Write) -> str:
    """`+3 to +12`."""
    if interval.low is None or interval.high is None:
        return "–"
    return f"{signed(interval.low, write)} to {signed(interval.high, write)}"


def signed(value: float | None, write: Write) -> str:
    """`+3`, `−3`, `0`."""
    if value is None:
        return "–"
    text = write(abs(value))
    return text if text == write(0) else f"{'+' if value > 0 else '−'}{JOINED}{text}"


def points(value: float) -> str:
    """A difference of shares: `3.1 points`."""
    return f"{100 * value:.1f}{SPACE}points"


def plainly(value: float) -> str:
    return f"{value:,.0f}"


def tiles(comparison: Comparison) -> list[Tile]:
    """Large figures: the champion's, and where there is a candidate, what takes their place."""
    champion, name = champion_of(comparison), leader(comparison)
    contest = comparison.contests[name] if name else None

    def tile(label: str, figure: str, write: Callable[[float | None], str], meaning: str) -> Tile:
        before = getattr(comparison.judges[champion].own, figure)
        if name is None:
            return Tile(label, write(before), meaning, f"judges.{champion}.own.{figure}")
        after = getattr(comparison.judges[name].equal, figure)
        return Tile(
            label,
            f"{write(before)} → {write(after)}",
            f"{meaning} {_difference(contest, figure)}".strip(),
            f"judges.{name}.equal.{figure}",
        )

    def money(value: float | None) -> str:
        return "–" if value is None else rupees(value)

    settings = comparison.settings
    full = comparison.judges[name or champion].capacity
    frauds = f"Of {count(comparison.frauds)} frauds." if comparison.frauds else NO_FRAUD
    return [
        tile("Frauds caught", "caught", count, frauds),
        tile("Money of the frauds caught", "rupees_caught", money, f"Of {rupees(comparison.rupees_of_fraud)}."),
        tile("Net saved", "net_saved", money, f"After {rupees(settings.review_cost)} for each alert."),
        tile("Alerts that are right", "precision", percent, "The others hold up honest customers."),
        tile("Alerts a day", "alerts_per_day", count, f"{count(settings.capacity)} can be looked at."),
        _capacity(comparison, champion, name, full),
    ]


def _capacity(comparison: Comparison, champion: str, name: str | None, full: Figures) -> Tile:
    settings, before = comparison.settings, comparison.judges[champion].capacity
    value = percent(full.recall) if name is None else f"{percent(before.recall)} → {percent(full.recall)}"
    return Tile(
        "Frauds caught if all analysts were busy",
        value,
        f"{count(settings.analysts)} analysts, {count(settings.alerts_per_analyst)} alerts each a day: alerts from"
        f" score {full.threshold}.",
        f"judges.{name or champion}.capacity.recall",
    )


def _difference(contest: Contest | None, figure: str) -> str:
    interval = getattr(contest.equal_difference, figure, None) if contest else None
    if interval is None or interval.low is None:
        return ""
    write: Write = {"caught": plainly, "precision": points}.get(figure, rupees)
    beyond = "more than chance" if interval.beyond_chance else "may be chance"
    return f"Difference {span(interval, write)}: {beyond}."
