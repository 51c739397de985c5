"""What the model means for those who work with its alerts: thresholds, bands, days."""

from models.report import plots
from models.report.findings import alerts
from models.report.measured import Measured
from models.report.page import Figure, Part, Section, Table
from models.report.words import count, india, number, odds, one_in, percent, rupees


def thresholds(measured: Measured) -> Section:
    """What alerts from each score would cost and bring."""
    found = alerts.thresholds(measured)
    names = {band.from_score: band.name for band in measured.manifest.bands[1:]}
    rows, marked = [], set()
    for number_, t in enumerate(found):
        own = t.score == measured.manifest.alert_score
        if own:
            marked.add(number_)
        where = "alerts" if own else names.get(t.score, "")
        rows.append(
            (
                str(t.score),
                where,
                odds(t.odds),
                count(t.alerts_per_day),
                percent(t.flagged_share, 3),
                percent(t.recall),
                percent(t.false_positive_rate, 3),
                percent(t.precision),
                one_in(t.rare_precision),
                rupees(t.saved_rupees),
                percent(t.saved_share),
            )
        )
    head = (
        "from score", "begins", "odds of fraud", "alerts a day", "of payments", "recall", "false positives",
        "precision", "were 1 in 10,000 fraud", "value of frauds caught", "of all fraud",
    )  # fmt: skip
    table = Table(
        head,
        rows,
        "Each row: alerts on every payment from this score on",
        words=(1,),
        marked=frozenset(marked),
    )
    return Section(
        "thresholds",
        "What a threshold means",
        "A lower threshold catches more and bothers more. Choose the row whose alerts a day the team can look at;"
        " 125 points are ten times the odds. Value counts a fraud as saved when it had an alert.",
        [table],
    )


def bands(measured: Measured) -> Section:
    """The score bands as they turned out, and the distribution behind them."""
    found = alerts.bands(measured)
    rows = [
        (
            band.name,
            str(band.from_score),
            count(band.payments),
            count(band.frauds),
            number(band.expected_frauds, 1),
            percent(band.frauds / band.payments if band.payments else None, 3),
            rupees(band.rupees_of_fraud),
        )
        for band in found
    ]
    head = ("band", "from score", "payments", "frauds", "frauds expected", "share fraud", "value of its frauds")
    parts: list[Part] = [
        Figure(plots.scores(measured), "Both heights are shares of their own: there are far more honest payments."),
        Table(head, rows, "Bands in the measured window; expected is the sum of the probabilities given"),
    ]
    return Section(
        "bands",
        "Score bands",
        "The score is a ruler on the odds: 500 is even. Bands begin where 1.3, 0.5 and 0.1 % of the honest payments of"
        " the validation window lie at or above.",
        parts,
    )


def days(measured: Measured) -> Section:
    """Alerts over time."""
    found = alerts.periods(measured)
    length = found[0].days if found else 1
    rows = [(india(p.start)[:11], str(p.caught), str(p.wrong), str(p.missed)) for p in found]
    what = "Week from" if length > 1 else "Day"
    numbers = Table((what, "right alerts", "wrong alerts", "frauds without"), rows, "Alerts over time")
    caption = (
        f"By {'week' if length > 1 else 'day'} in India; the first and the last may be cut short. A slow rise of wrong"
        " or missing alerts says that payments have moved away from those the model knows."
    )
    return Section(
        "days", "Alerts over time", "Does it hold over the window?", [Figure(plots.daily(found), caption, numbers)]
    )
