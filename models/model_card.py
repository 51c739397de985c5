"""The model card: a bundle's manifest in words, for the person who has to approve it."""

from datetime import UTC, datetime

from models.bundle import Manifest, Window
from models.calibration import odds_at

DAY_MS = 86_400_000


def model_card(manifest: Manifest) -> str:
    """Markdown. The hashes are left to the manifest, which lists this page's own."""
    parts = (_about, _data, _bands, _second_opinion, _metrics, _use)
    return "\n".join(text for part in parts if (text := part(manifest)))


def _about(manifest: Manifest) -> str:
    parameters = "".join(f"| `{name}` | {value} |\n" for name, value in sorted(manifest.parameters.items()))
    return (
        f"# {manifest.name}\n\n"
        f"Probability that an instant payment is fraud. {manifest.trees} boosted trees (XGBoost) on"
        f" {len(manifest.feature_names)} features, trained {_time(manifest.created_at)} (UTC).\n\n"
        f"| parameter | value |\n|---|---|\n{parameters}"
    )


def _data(manifest: Manifest) -> str:
    windows = [("trees fitted on", manifest.train), ("stopped, calibrated, banded on", manifest.validation)]
    if manifest.test:
        windows.append(("measured on", manifest.test))
    rows = "".join(f"| {name} | {_window(window)} |\n" for name, window in windows)
    return (
        "## Data\n\n| | from | to | payments | frauds | share |\n|---|---|---|---|---|---|\n"
        f"{rows}\n"
        f"Split by time. Verdicts count from when they became known: none after {_time(manifest.cutoff)}, and"
        f" payments of the {manifest.label_delay_ms / DAY_MS:g} days before it were left out of fitting, their frauds"
        " being unknown yet. The measured frauds are all that are known by now.\n"
    )


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
    return f"## Measured on {where}\n\n| metric | value |\n|---|---|\n{rows}{by_kind}"


def _use(manifest: Manifest) -> str:
    return (
        "## Use\n\nMeant for ranking payments for review, with the reasons of each alert beside it. The model knows the"
        " attacks of its training window only. A probability holds at the share of fraud of the validation window;"
        " precision falls in proportion where fraud is rarer. Identifiers are not features.\n"
    )


def _window(window: Window) -> str:
    share = window.frauds / window.payments if window.payments else 0.0
    return f"{_time(window.start)} | {_time(window.end)} | {window.payments:,} | {window.frauds:,} | {share:.3%}"


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")
