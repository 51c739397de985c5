import numpy as np
import polars as pl
import pytest

from bench.comparison import compare

RUN = pl.DataFrame(
    {
        "partition": pl.Series([0, 0, 1], dtype=pl.Int32),
        "offset": [0, 1, 0],
        "transaction_id": ["a", "b", "c"],
        "features_hash": pl.Series([2**63, 2, 3], dtype=pl.UInt64),
        "probability": pl.Series([0.25, 0.5, 0.75], dtype=pl.Float32),
        "score": pl.Series([250, 500, 750], dtype=pl.Int16),
        "risk_payee_risk": pl.Series([0.1, float("nan"), None], dtype=pl.Float32),
    }
)


def changed(column: str, values: list[object]) -> pl.DataFrame:
    return RUN.with_columns(pl.Series(column, values, dtype=RUN[column].dtype))


def test_a_run_is_the_same_as_itself_in_any_order() -> None:
    comparison = compare(RUN, RUN.reverse())
    assert comparison.problems == []
    assert (comparison.compared, comparison.same_risk) == (3, 3)


@pytest.mark.parametrize("other", [RUN[:2], pl.concat([RUN, RUN[:1]])])
def test_a_payment_decided_in_one_run_only_or_twice_is_found(other: pl.DataFrame) -> None:
    assert compare(RUN, other).problems == ["1 only in one"]
    assert compare(other, RUN).problems == ["1 only in one"]


def test_another_payment_at_the_same_offset_is_found() -> None:
    assert compare(RUN, changed("transaction_id", ["a", "x", "c"])).problems == ["1 other payment"]


def test_one_bit_of_a_features_hash_is_found() -> None:
    assert compare(RUN, changed("features_hash", [2**63 + 1, 2, 3])).problems == ["1 features differ"]


def test_the_last_bit_of_a_probability_is_found() -> None:
    almost = float(np.nextafter(np.float32(0.5), np.float32(1)))
    assert compare(RUN, changed("probability", [0.25, almost, 0.75])).problems == ["1 scores differ at same risk"]


def test_another_score_is_found() -> None:
    assert compare(RUN, changed("score", [250, 501, 750])).problems == ["1 scores differ at same risk"]


def test_a_score_may_differ_where_entity_risk_does() -> None:
    other = changed("score", [251, 500, 750]).with_columns(
        pl.Series("risk_payee_risk", [0.2, None, float("nan")], dtype=pl.Float32)
    )
    comparison = compare(RUN, other)
    assert comparison.problems == []
    assert comparison.same_risk == 2
