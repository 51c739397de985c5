"""How well the model ranks, and whether its probabilities can be believed."""

from collections.abc import Sequence

from models.evaluation import FALSE_POSITIVE_RATES
from models.report import plots
from models.report.findings import ranking, trust
from models.report.findings.rates import rate
from models.report.findings.trust import Trust
from models.report.measured import Measured
from models.report.page import Figure, Note, Part, Section, Table
from models.report.words import count, interval, number, percent, title

SINGLES_SHOWN = 10
LEAST_EXPECTED = 0.67
"""Frauds expected for each that was there, and the inverse: beyond, the page points it out."""
NOT_TO_TELL = "This needs frauds and honest payments in the measured window."


def rank(measured: Measured) -> Section:
    """ROC and precision-recall."""
    parts: list[Part] = [Note(NOT_TO_TELL)]
    if measured.has_both:
        curves = ranking.curves(measured)
        share = float(measured.is_fraud.mean())
        parts = [
            Figure(
                plots.roc(curves, FALSE_POSITIVE_RATES, zoom=False),
                f"Area under the curve {curves.auc:.4f}. Under so few frauds, most of this picture is of no use: nobody"
                " can look at 10 % of all payments.",
                half=True,
            ),
            Figure(
                plots.roc(curves, FALSE_POSITIVE_RATES, zoom=True),
                "The same at false-positive rates a bank can afford; marked are 0.1, 0.5 and 1.3 %.",
                half=True,
            ),
            Figure(
                plots.precision_recall(curves, share),
                f"Average precision {curves.average_precision:.3f}. Precision falls with the share of fraud: the lower"
                " curve has the same model where one payment in 10,000 is fraud.",
                half=True,
            ),
            _operating_points(measured, curves),
        ]
    return Section(
        "ranking",
        "Ranking",
        "Does a fraud score higher than honest payments? Each point of a curve is a threshold: what it catches, and"
        " how many honest payments it bothers.",
        parts,
    )


def _operating_points(measured: Measured, curves: ranking.Curves) -> Table:
    rows = []
    for limit in FALSE_POSITIVE_RATES:
        flagged = measured.flagged_at(limit)
        hit = rate(flagged, measured.is_fraud)
        i = int((curves.false_positive_rate <= limit).sum()) - 1
        rows.append(
            (
                percent(limit),
                percent(hit.share),
                interval(hit),
                percent(rate(measured.is_fraud, flagged).share),
                percent(float(curves.rare_precision[i]), 2),
            )
        )
    head = ("false positives", "recall", "95 % interval", "precision", "at 1 in 10,000")
    return Table(head, rows, "Recall and precision at three false-positive rates", words=(), half=True)


def calibrated(measured: Measured) -> Section:
    """The calibration curve, and its figures over all payments and at the top."""
    parts: list[Part] = [Note(NOT_TO_TELL)]
    everywhere = trust.trust(measured)
    if everywhere:
        bins = trust.bins(measured)
        rows = [
            (
                f"{b.low} – {b.high}",
                count(b.observed.total),
                count(b.observed.hits),
                percent(b.predicted, 3),
                percent(b.observed.share, 3),
                interval(b.observed),
            )
            for b in bins
        ]
        head = ("score", "payments", "frauds", "probability given", "was fraud", "95 % interval")
        numbers = Table(head, rows, "Calibration by score", words=(0,))
        parts = [
            Figure(
                plots.calibration(bins),
                "On the dashed line, a probability is what it says. Points are payments of neighbouring scores; bins"
                " without any fraud are in the table only.",
                numbers,
                half=True,
            ),
            _trust_table([t for t in (everywhere, trust.trust_at_the_top(measured)) if t]),
            *_far_off(everywhere),
        ]
    return Section(
        "calibration",
        "Calibration",
        "When the model says 20 %, is it fraud in 20 of 100 cases? This decides whether probabilities may be weighed"
        " against money.",
        parts,
    )


def _trust_table(found: Sequence[Trust]) -> Table:
    rows = [
        ("payments", *(count(t.payments) for t in found)),
        ("frauds", *(count(t.frauds) for t in found)),
        ("frauds expected", *(count(t.expected_frauds) for t in found)),
        ("slope", *(number(t.slope, 2) for t in found)),
        ("Brier score", *(number(t.brier, 5) for t in found)),
        ("Brier skill", *(percent(t.brier_skill) for t in found)),
    ]
    return Table(
        ("within", "all payments", "highest 1 % of scores")[: 1 + len(found)],
        rows,
        "Slope: 1 is right, below 1 the model is too sure of itself. Brier skill: how much of the squared error the"
        " probabilities save over giving every payment the mean.",
        half=True,
    )


def _far_off(everywhere: Trust) -> list[Part]:
    ratio = everywhere.expected_frauds / everywhere.frauds
    if LEAST_EXPECTED <= ratio <= 1 / LEAST_EXPECTED:
        return []
    return [
        Note(
            f"The probabilities add up to {count(everywhere.expected_frauds)} frauds; {count(everywhere.frauds)} there"
            " were. They were calibrated on verdicts known by the cutoff: where many come later, or fraud grows, they"
            " are too low. The order of payments is not touched by this, nor are thresholds set by false positives."
        )
    ]


def alone(measured: Measured) -> Section:
    """What single features could do."""
    parts: list[Part] = [Note(NOT_TO_TELL)]
    if measured.has_both:
        rows = [
            (
                title(single.name),
                single.group,
                number(single.auc),
                "higher" if single.higher_is_riskier else "lower",
                single.description,
            )
            for single in ranking.singles(measured)[:SINGLES_SHOWN]
        ]
        head = ("feature", "group", "AUC", "riskier when", "what it is")
        parts = [Table(head, rows, f"The {SINGLES_SHOWN} strongest features on their own", words=(0, 1, 3, 4))]
    return Section(
        "single",
        "Single features",
        "How well each feature alone would rank payments, in its better direction, values not known put at the better"
        f" end; on all frauds and at most {ranking.MOST_HONEST:,} honest payments. One close to 1 would be a leak.",
        parts,
    )
