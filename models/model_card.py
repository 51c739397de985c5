"""The model card: a bundle's manifest in words, for the person who has to approve it.

Its sections are those of M. Mitchell et al., "Model cards for model reporting" (2019), as far as a manifest can fill
them. What a manifest of an earlier version does not hold is left out.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from models.bundle import Manifest, Window
from models.calibration import odds_at

DAY_MS = 86_400_000
REPORT = "report.html"
FILES = {
    "model.ubj": "the trees, in XGBoost's own format",
    "manifest.json": "everything on this page as data, with the sha256 of every other file",
    REPORT: "the full report: curves, calibration, kinds of attack, segments, reasons, errors; open it in a browser",
    "second_opinion.ubj": "the trees of the second opinion",
    "drift.json": "what payments were like on validation: live payments are compared with it",
}
"""Files of a bundle that this page can explain; pictures are the report's."""


def model_card(manifest: Manifest, files: Collection[str] = ()) -> str:
    """Markdown; `files` are those beside the trees. The hashes are left to the manifest, which lists this page's."""
    held: dict[str, Any] = msgspec.to_builtins(manifest)
    sections = [_about(manifest), _use(), _data(manifest), _features(manifest, held), _bands(manifest)]
    sections += [_metrics(manifest), _limits(manifest), _fairness(), _second_opinion(manifest), _files(files)]
    return "\n".join(section for section in sections if section)


def _about(manifest: Manifest) -> str:
    parameters = "".join(f"| `{name}` | {value} |\n" for name, value in sorted(manifest.parameters.items()))
    return (
        f"# {manifest.name}\n\n"
        f"Probability that an instant payment is fraud. {manifest.trees} boosted trees (XGBoost) on"
        f" {len(manifest.feature_names)} features, trained {_time(manifest.created_at)} (UTC).\n\n"
        f"| parameter | value |\n|---|---|\n{parameters}"
    )


def _use() -> str:
    return (
        "## Intended use\n\n"
        "Ranking instant payments (UPI) while the customer waits: payments from the alert score on are held back or"
        " looked at by an analyst, who sees the reasons of each alert beside it.\n\n"
        "Not meant for: closing or refusing an account; credit, insurance or employment; judging a person rather than"
        " a payment; proof of guilt; payments of another kind (cards, cheques) or another country without training it"
        " again. A high score is a reason to ask, never the only reason to refuse.\n"
    )


def _data(manifest: Manifest) -> str:
    windows = [("trees fitted on", manifest.train), ("stopped, calibrated, banded on", manifest.validation)]
    if manifest.test:
        windows.append(("measured on", manifest.test))
    rows = "".join(f"| {name} | {_window(window)} |\n" for name, window in windows)
    days = manifest.label_delay_ms / DAY_MS
    return (
        "## Data and verdicts\n\n| | from | to | payments | frauds | share |\n|---|---|---|---|---|---|\n"
        f"{rows}\n"
        "Split by time, never at random. A payment is a fraud when an analyst or a chargeback said so. Verdicts count"
        f" from when they became known: none after {_time(manifest.cutoff)}, and payments of the"
        f" {days:g} day{'' if days == 1 else 's'} before it were left out of fitting, their frauds being unknown"
        " yet. A fraud that nobody had reported by then was taken for honest, as it would have been on that day. The"
        " measured frauds are all that are known by now; those never reported count as honest there too.\n"
    )


def _features(manifest: Manifest, held: Mapping[str, Any]) -> str:
    lines = [
        f"## Features\n\n{len(manifest.feature_names)} features of device, location, transaction and behaviour, with"
        " what is known of payee, device and SIM over all customers. Identifiers (accounts, devices, numbers) are not"
        " features. A missing value is a value of its own.\n"
    ]
    for name, what in (("risk_rises_with", "never falls"), ("risk_falls_with", "never rises")):
        if bound := held["parameters"].get(name):
            lines.append(f"\nWhatever else holds, the risk {what} as one of these rises: {bound}.\n")
    return "".join(lines)


def _bands(manifest: Manifest) -> str:
    rows = "".join(
        f"| {band.name} | {band.from_score} | {odds_at(band.from_score):.2g} | {band.false_positive_rate:.3%}"
        f" | {band.recall:.1%} |\n"
        for band in manifest.bands
    )
    return (
        "## Score bands\n\n| band | from score | odds of fraud | honest payments at or above | frauds at or above |\n"
        f"|---|---|---|---|---|\n{rows}\n"
        f"The model alerts from score {manifest.alert_score}: {manifest.alert_false_positive_rate:.3%} of honest"
        " payments. 500 is even odds, 125 points more are ten times the odds. Shares were measured on validation.\n"
    )


def _second_opinion(manifest: Manifest) -> str:
    """What the second opinion is and adds; "" without one."""
    about = manifest.second_opinion
    if about is None:
        return ""
    parameters = "".join(f"| `{name}` | {value} |\n" for name, value in sorted(about.parameters.items()))
    added = ""
    if about.added_recall is not None and about.added_false_positive_rate is not None:
        added = (
            f" In the test window it added {about.added_recall:.1%} of the frauds, for"
            f" {about.added_false_positive_rate:.3%} of the honest payments."
        )
    return (
        f"## Second opinion\n\nFor attacks never seen in training: {about.trees} trees of their own, that tell honest"
        " payments from honest ones with parts of known attacks, or with what is rare, in them. Its score tells how"
        " rare a payment is among honest ones: 500 is one in 100, 250 points more are ten times as rare. It alerts from"
        f" {about.alert_score}: beside the model's alerts {about.false_positive_rate:.3%} of the honest validation"
        f" payments.{added}\n\n| parameter | value |\n|---|---|\n{parameters}"
    )


def _metrics(manifest: Manifest) -> str:
    rows = "".join(
        f"| {name.replace('_', ' ')} | {'unknown' if value is None else f'{value:.4g}'} |\n"
        for name, value in manifest.metrics.items()
    )
    kinds = "".join(f"| {kind} | {recall:.1%} |\n" for kind, recall in sorted(manifest.recall_by_kind.items()))
    by_kind = f"\n| kind of attack | frauds with an alert |\n|---|---|\n{kinds}" if kinds else ""
    where = "the test window" if manifest.test else "validation, there being no later payment: expect less"
    return (
        f"## Measured on {where}\n\n"
        "Once, on payments later than all that training knew. `recall at fpr 0.005` is the share of frauds above the"
        " threshold that at most 0.5 % of the honest payments pass. Precision `1 in 10000` is what it would be if one"
        " payment in 10,000 were fraud. Value saved counts a fraud as saved when it had an alert.\n\n"
        f"| metric | value |\n|---|---|\n{rows}{by_kind}"
    )


def _limits(manifest: Manifest) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in sorted(manifest.recall_by_kind)) or "none that is named"
    return (
        "## Limits\n\n"
        f"- It knows the attacks of its training window only (measured here: {kinds}). Expect less of new ones.\n"
        "- A payment cannot tell why it is made. Where victims pay of their own will, on their own device and in their"
        " own rhythm, what gives it away is the payee, the amount and the moment, or nothing.\n"
        "- Of a new customer, device or payee there is no past to compare with; of a phone without telemetry no rhythm"
        " and no place.\n"
        "- A probability holds at the share of fraud of the validation window. Precision falls in proportion where"
        " fraud is rarer, and frauds reported late make probabilities too low.\n"
        "- Attackers adapt, and payments change with festivals, limits and apps: train again when drift asks for it.\n"
    )


def _fairness() -> str:
    return (
        "## Fairness\n\n"
        "Age, sex, religion, caste, language, income and home address are not features. Some features may go along"
        " with them: slow typing with age and disability, a shared or old phone with income, a position with where one"
        " lives, a night shift with an occupation. Rhythm and place are therefore compared with the customer's own"
        " past first. The report shows recall and wrong alerts for slow typists, by amount, hour, length of the"
        " relation and missing telemetry; look there before approving, and again when complaints come from one group.\n"
    )


def _files(files: Collection[str]) -> str:
    present = {"model.ubj", "manifest.json", *files}
    known = "".join(f"| [{name}]({name}) | {what} |\n" for name, what in FILES.items() if name in present)
    pictures = sorted(name for name in files if name.endswith((".svg", ".png")))
    drawn = f"\nThe report's pictures: {', '.join(f'[{name}]({name})' for name in pictures)}.\n" if pictures else ""
    return (
        f"## Files, and how to verify them\n\n| file | what it is |\n|---|---|\n{known}{drawn}\n"
        "`fraudstream models verify DIRECTORY --sha256 SHA256` checks every file against the manifest, and the manifest"
        " against the sha256 that was printed when the model was trained. Keep that one apart from the bundle.\n"
    )


def _window(window: Window) -> str:
    share = window.frauds / window.payments if window.payments else 0.0
    return f"{_time(window.start)} | {_time(window.end)} | {window.payments:,} | {window.frauds:,} | {share:.3%}"


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")
