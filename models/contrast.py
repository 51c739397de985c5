"""Learning the second opinion: trees that tell honest payments from payments not to be seen among them.

Honest payments are contrasted with as many made ones (density estimation by classification: T. Hastie et al., "The
Elements of Statistical Learning", 14.2.4; outlier exposure: D. Hendrycks et al., ICLR 2019). A made payment is an
honest one in which some families of features (`models.families`) come from elsewhere:

    rare    from one of a few other honest payments, the one that is rarest in the family. A value is as rare as the
            smaller share of honest payments at or beyond it, below or above; a payment in a family as its rarest value.
    parts   from a known fraud, the same for all its families. Whole attacks are the model's business: here the trees
            see parts of them in otherwise honest payments, and learn what each part says on its own. An attack that
            nobody has described is made of such parts, put together in another way.

With `known_parts = 0` no verdict is used at all. See docs/decisions/0015-second-opinion.md for what was measured.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.families import Family, families_of, ranks
from models.forest import Matrix

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ContrastSettings:
    """How to learn the second opinion."""

    false_positive_rate: float = 0.001
    """Its alert budget: share of honest payments that it may flag where the model does not."""
    payments: int = 60_000
    """Honest payments to learn from, at most, evenly spread."""
    trees: int = 100
    depth: int = 4
    learning_rate: float = 0.2
    subsample: float = 0.5
    known_parts: float = 0.9
    """Share of the made payments that take parts of known frauds; the others take what is rare."""
    part_families: tuple[int, int] = (2, 20)
    """Fewest and most families that come from a known fraud."""
    rare_families: tuple[int, int] = (1, 4)
    """Fewest and most families that come from rare payments."""
    rivals: int = 20
    """Payments of which the rarest gives a family's values."""
    together: float = 0.3
    """Mean rank correlation from which features are of one family."""

    def __post_init__(self) -> None:
        if not 0 < self.false_positive_rate < 1:
            raise ValueError("the second opinion's false-positive rate lies between 0 and 1")
        if not 0 <= self.known_parts <= 1:
            raise ValueError("the share of made payments with parts of known frauds lies between 0 and 1")
        if not all(1 <= fewest <= most for fewest, most in (self.part_families, self.rare_families)):
            raise ValueError("a made payment takes at least one family from elsewhere")


def make(honest: Matrix, frauds: Matrix, settings: ContrastSettings, random: np.random.Generator) -> Matrix:
    """As many made payments as honest ones."""
    families = families_of(honest, settings.together)
    parts = round(settings.known_parts * len(honest)) if len(frauds) else 0
    made = honest[random.integers(0, len(honest), len(honest))]
    _take_parts(made[:parts], frauds, families, settings.part_families, random)
    _take_rare(made[parts:], honest, families, settings, random)
    return made


def _take_parts(
    made: Matrix, frauds: Matrix, families: list[Family], counts: tuple[int, int], random: np.random.Generator
) -> None:
    """Give each made payment some families of one known fraud, in place."""
    if not len(made):
        return
    source = random.integers(0, len(frauds), len(made))
    for family, rows in _chosen(len(made), families, counts, random):
        made[np.ix_(rows, family)] = frauds[np.ix_(source[rows], family)]


def _take_rare(
    made: Matrix, honest: Matrix, families: list[Family], settings: ContrastSettings, random: np.random.Generator
) -> None:
    """Give each made payment some families of honest payments that are rare in them, in place."""
    if not len(made):
        return
    rare = rarity(honest)
    for family, rows in _chosen(len(made), families, settings.rare_families, random):
        rivals = random.integers(0, len(honest), (rows.size, settings.rivals))
        rarest = np.argmax(rare[:, family].max(axis=1)[rivals], axis=1)
        made[np.ix_(rows, family)] = honest[np.ix_(rivals[np.arange(rows.size), rarest], family)]


def _chosen(
    n: int, families: list[Family], counts: tuple[int, int], random: np.random.Generator
) -> list[tuple[Family, Rows]]:
    """For each family the rows, of n, that take it from elsewhere; a row takes a random number of random families."""
    wanted = random.integers(counts[0], counts[1] + 1, n)
    place = np.argsort(random.random((n, len(families))), axis=1)
    return [(family, np.flatnonzero(place[:, i] < wanted)) for i, family in enumerate(families)]


def rarity(honest: Matrix) -> NDArray[np.float32]:
    """How rare each value (n, f) is: -log10 of the smaller share of known values at or beyond it, below or above.

    Unknown values are as rare as they are unknown.
    """
    unknown = np.isnan(honest)
    unknowns = unknown.sum(axis=0)
    known = np.maximum(len(honest) - unknowns, 1)
    below = (ranks(honest) * len(honest) - unknowns) / known
    share = np.where(unknown, unknowns / max(len(honest), 1), np.minimum(below, 1 + 1 / known - below))
    return (-np.log10(share)).astype(np.float32)
