"""Whether a participant did the job: its alerts against those that the plain Python expects. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Due:
    """An alert that is expected once its payment is committed."""

    partition: int
    offset: int
    score: float


@dataclass(frozen=True)
class Outcome:
    """What a participant's alerts are."""

    compared: int
    """Alerts due and there."""
    missing: int
    unexpected: int
    repeated: int
    differing: int
    """With a score further off than the tolerance."""
    largest_difference: float

    def problems(self, *, repeats_allowed: bool) -> list[str]:
        """Why this was not the job."""
        counts = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "repeated": 0 if repeats_allowed else self.repeated,
            "with another score": self.differing,
            "compared, none": int(not self.compared),
        }
        return [f"alerts {what}: {count:,}" for what, count in counts.items() if count]


def compare(due: Mapping[str, Due], committed: Mapping[int, int], alerts: Iterable[tuple[str, float]]) -> Outcome:
    """`committed` is, by partition, the offset before which payments are judged; those behind it may have alerts."""
    found: dict[str, float] = {}
    unexpected = repeated = 0
    for identity, score in alerts:
        if identity not in due:
            unexpected += 1
        elif identity in found:
            repeated += 1
        else:
            found[identity] = score
    differences = [abs(score - due[identity].score) for identity, score in found.items()]
    judged = (identity for identity, each in due.items() if each.offset < committed.get(each.partition, 0))
    return Outcome(
        compared=len(found),
        missing=sum(1 for identity in judged if identity not in found),
        unexpected=unexpected,
        repeated=repeated,
        differing=sum(1 for difference in differences if difference > TOLERANCE),
        largest_difference=max(differences, default=0.0),
    )
