"""Sentences that follow from a result's figures, so that the page about it cannot say what they do not."""

from collections.abc import Iterator, Sequence

from bench.public_caught import UNTOLD
from bench.results import Result
from bench.tables.public import FIGURES, THREE_MONTHS

MUCH = 0.2
"""A kind of attack whose recall falls by so much is named."""
ALL, SILENT = "all four", "silent"


def robustness(result: Result) -> str:
    """What adapting costs, in words."""
    return "\n".join(f"- {sentence}" for sentence in _robustness(result))


def _robustness(result: Result) -> Iterator[str]:
    knobs, lost = result["knobs"], {knob: by_rate["0.005"] for knob, by_rate in result["lost"].items()}
    aspects = [knob for knob in knobs if knob not in (ALL, SILENT)]
    costly = sorted((knob for knob in aspects if _certain(lost[knob])), key=lambda knob: -lost[knob]["mean"])
    free = [knob for knob in aspects if knob not in costly]
    for knob in costly:
        yield (
            f"{knob.capitalize()}: with every campaign adapted {_points(lost[knob])} of the frauds are missed in"
            f" addition, {_share(knobs[knob]['0'])} caught without and {_share(knobs[knob]['1'])} with it."
        )
    if free:
        names = ", ".join(f"{knob} {100 * lost[knob]['mean']:+.1f}" for knob in free)
        yield f"No loss that these worlds tell from chance, in points of recall lost: {names}."
    apart = sum(lost[knob]["mean"] for knob in aspects)
    yield (
        f"All four at once leave {_share(knobs[ALL]['1'])} caught, of {_share(knobs[ALL]['0'])}; one at a time the four"
        f" losses add up to {100 * apart:.1f} points, together they cost {100 * lost[ALL]['mean']:.1f}."
    )
    yield (
        f"Frauds whose application reports nothing, all of them: {_share(knobs[SILENT]['1'])} caught, of"
        f" {_share(knobs[SILENT]['0'])} with attackers as in training."
    )
    kinds, none = result["by_kind"][ALL], result["by_kind"]["standard"]
    fallen = sorted((kind for kind in kinds if none.get(kind, 0) - kinds[kind] >= MUCH), key=lambda kind: kinds[kind])
    if fallen:
        named = ", ".join(f"{kind} ({100 * none[kind]:.0f} % → {100 * kinds[kind]:.0f} %)" for kind in fallen)
        yield f"Kinds that gain most from adapting in everything, against attackers as in training: {named}."
    yield from _alerts(knobs[ALL])


def _alerts(all_four: Result) -> Iterator[str]:
    before, after = (all_four[strength]["at"]["0.005"]["alert_share"]["mean"] for strength in ("0", "1"))
    yield (
        f"Alerts: {100 * before:.2f} % of the payments with nothing adapted, {100 * after:.2f} % with everything. Fewer"
        " may mean fewer frauds or better ones: only verdicts tell the two apart."
    )


def public_replay(result: Result) -> str:
    """What is reached of the published figures, and what nothing could reach."""
    return "\n".join(f"- {sentence}" for sentence in _public_replay(result))


def _public_replay(result: Result) -> Iterator[str]:
    short = [
        f"{FIGURES[name]} at {delay}, by {theirs - ours:.4f}"
        for delay, found in result["delays"].items()
        for name, theirs in zip(FIGURES, THREE_MONTHS[delay], strict=True)
        if (ours := found["periods"][result["settings"]["tested"]][name]) < theirs
    ]
    count = len(FIGURES) * len(THREE_MONTHS)
    yield f"{count - len(short)} of the {count} published figures are reached" + (
        f"; short is {'; '.join(short)}." if short else "."
    )
    for delay, found in result["delays"].items():
        untold = [each for kind, each in found["caught"].items() if kind.endswith(UNTOLD)]
        others = [each for kind, each in found["caught"].items() if not kind.endswith(UNTOLD)]
        unknown, known = (sum(each["frauds"] for each in group) for group in (untold, others))
        yield (
            f"{delay}: {unknown} of {unknown + known} frauds were made at a terminal of which no verdict was known yet,"
            f" {100 * _recall(untold):.1f} % of them caught; of all others {100 * _recall(others):.1f} %."
        )


def _recall(groups: Sequence[Result]) -> float:
    """Of several groups of frauds together; 0 for none."""
    frauds = sum(each["frauds"] for each in groups)
    return float(sum(each["frauds"] * each["recall"] for each in groups)) / frauds if frauds else 0.0


def _certain(lost: dict[str, float | None]) -> bool:
    return lost["low"] is not None and lost["low"] > 0


def _points(lost: dict[str, float | None]) -> str:
    mean, high = lost["mean"], lost["high"]
    assert mean is not None
    return f"{100 * mean:.1f} %" if high is None else f"{100 * mean:.1f} ± {100 * (high - mean):.1f} %"


def _share(figures: Result) -> str:
    return f"{100 * figures['at']['0.005']['recall']['mean']:.1f} %"
