"""Two runs over the same payments, compared bit for bit: pure functions over their decisions.

Frames hold partition, offset, transaction_id, features_hash, probability, score and the `risk_` columns.
"""

from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

_AT = ("partition", "offset")


@dataclass(frozen=True)
class Comparison:
    """Payments by what differs; all but `compared` and the two about equal risk must be 0."""

    compared: int
    only_in_one: int
    """Decided in one run only, or more than once."""
    other_payment: int
    """At the same position, another payment."""
    features_differ: int
    same_risk: int
    """Payments that met the same entity risk in both runs."""
    scores_differ_at_same_risk: int

    @property
    def problems(self) -> list[str]:
        """What must not be, in words."""
        faults = ("only_in_one", "other_payment", "features_differ", "scores_differ_at_same_risk")
        return [f"{count:,} {fault.replace('_', ' ')}" for fault in faults if (count := asdict(self)[fault])]


def compare(first: pl.DataFrame, second: pl.DataFrame) -> Comparison:
    """Compare the decisions of two runs."""
    both = first.join(second, on=_AT, suffix="_2")
    repeated = both.height - both.select(_AT).n_unique()
    alone = first.join(second, on=_AT, how="anti").height + second.join(first, on=_AT, how="anti").height
    risk = [name for name in first.columns if name.startswith("risk_")]
    same_risk = np.ones(both.height, dtype=np.bool_)
    for name in risk:
        same_risk &= bits(both[name]) == bits(both[f"{name}_2"])
    return Comparison(
        compared=both.height,
        only_in_one=alone + repeated,
        other_payment=_count(both["transaction_id"].ne_missing(both["transaction_id_2"])),
        features_differ=_count(both["features_hash"].ne_missing(both["features_hash_2"])),
        same_risk=int(same_risk.sum()),
        scores_differ_at_same_risk=int((same_risk & scores_differ(both, "_2")).sum()),
    )


def scores_differ(both: pl.DataFrame, suffix: str) -> NDArray[np.bool_]:
    """(n,): probability, by its bits, or score is another than in the columns with the suffix."""
    probability = bits(both["probability"]) != bits(both[f"probability{suffix}"])
    return probability | (both["score"].to_numpy() != both[f"score{suffix}"].to_numpy())


def bits(values: pl.Series) -> NDArray[np.uint32]:
    """float32 values as their bits, every NaN the same."""
    floats = values.fill_null(np.nan).to_numpy().astype(np.float32, copy=True)
    floats[np.isnan(floats)] = np.nan
    return floats.view(np.uint32)


def _count(differs: pl.Series) -> int:
    return int(differs.sum())
