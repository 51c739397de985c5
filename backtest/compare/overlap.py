"""What two models both flag, one of them alone, and neither."""

import numpy as np

from backtest.compare.comparison import Overlap, Share
from backtest.compare.figures import share
from backtest.compare.reading import Flags, Rows

SORTS = ("both", "champion", "candidate", "neither")


def sorts(champion: Flags, candidate: Flags) -> tuple[Flags, Flags, Flags, Flags]:
    """Rows flagged by both, the champion alone, the candidate alone, neither: a row is in one of them."""
    return champion & candidate, champion & ~candidate, candidate & ~champion, ~(champion | candidate)


def overlap(rows: Rows, champion: Flags, candidate: Flags) -> Overlap:
    """The two sets of alerts side by side."""
    each = sorts(champion, candidate)
    frauds = [_share(name, rows, flags & rows.is_fraud) for name, flags in zip(SORTS, each, strict=True)]
    wrong = [_share(name, rows, flags & ~rows.is_fraud) for name, flags in zip(SORTS[:3], each[:3], strict=True)]
    kind = rows.frame["kind"].to_numpy()
    kinds = {
        str(name): tuple(int(np.count_nonzero(flags & (kind == name))) for flags in each)
        for name in np.unique(kind[rows.is_fraud].astype(str))
    }
    return Overlap(
        frauds=(frauds[0], frauds[1], frauds[2], frauds[3]),
        false_alerts=(wrong[0], wrong[1], wrong[2]),
        kinds={name: (four[0], four[1], four[2], four[3]) for name, four in kinds.items()},
        jaccard=share(int(each[0].sum()), int((champion | candidate).sum())),
    )


def _share(name: str, rows: Rows, chosen: Flags) -> Share:
    return Share(name=name, payments=int(np.count_nonzero(chosen)), rupees=float(rows.rupees[chosen].sum()))
