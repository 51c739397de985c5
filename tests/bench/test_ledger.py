import polars as pl
import pytest

from bench.ledger import DECIDED, GOOD, SENT, SET_ASIDE, reconcile

GOODS = [(0, 0, GOOD, "a", None), (0, 2, GOOD, "b", None), (1, 0, GOOD, "c", None)]
BADS = [(0, 1, "truncated", None, 11), (1, 1, "tombstone", None, 22)]
DECISIONS = [(0, 0, "a"), (0, 2, "b"), (1, 0, "c")]
LETTERS = [(0, 1, "malformed_json", True, 11), (1, 1, "empty", True, 22)]

Rows = list[tuple[object, ...]]


def problems(sent: Rows | None = None, decided: Rows | None = None, set_aside: Rows | None = None) -> list[str]:
    return reconcile(
        pl.DataFrame(GOODS + BADS if sent is None else sent, schema=SENT, orient="row"),
        pl.DataFrame(DECISIONS if decided is None else decided, schema=DECIDED, orient="row"),
        pl.DataFrame(LETTERS if set_aside is None else set_aside, schema=SET_ASIDE, orient="row"),
    ).problems


def test_books_that_balance_have_no_problems() -> None:
    assert problems() == []


def test_a_lost_payment_is_found() -> None:
    assert problems(decided=DECISIONS[:-1]) == ["1 lost"]


def test_a_lost_dead_letter_is_found() -> None:
    assert problems(set_aside=LETTERS[1:]) == ["1 lost"]


def test_a_payment_decided_twice_is_found() -> None:
    assert problems(decided=[*DECISIONS, DECISIONS[0]]) == ["1 repeated"]


def test_a_letter_written_twice_is_found() -> None:
    assert problems(set_aside=[*LETTERS, LETTERS[0]]) == ["1 repeated"]


def test_a_payment_decided_under_another_id_is_found() -> None:
    assert problems(decided=[(0, 0, "b"), *DECISIONS[1:]]) == ["1 changed"]


def test_a_letter_with_other_bytes_is_found() -> None:
    assert problems(set_aside=[(0, 1, "malformed_json", True, 12), LETTERS[1]]) == ["1 changed"]


def test_a_letter_with_wrong_headers_is_found() -> None:
    assert problems(set_aside=[(0, 1, "malformed_json", False, 11), LETTERS[1]]) == ["1 wrong headers"]


def test_a_damaged_record_that_was_decided_is_found() -> None:
    assert problems(decided=[*DECISIONS, (0, 1, "x")]) == ["1 misplaced"]


def test_a_good_payment_set_aside_is_found() -> None:
    assert "1 misplaced" in problems(decided=DECISIONS[1:], set_aside=[*LETTERS, (0, 0, "empty", True, 5)])


@pytest.mark.parametrize(
    ("decided", "set_aside", "said"),
    [
        ([*DECISIONS, (3, 9, "z")], None, "1 decisions about nothing that was sent"),
        (None, [*LETTERS, (-1, 4, "", False, 9)], "1 dead letters about nothing that was sent"),
    ],
)
def test_what_nobody_sent_is_found(decided: Rows | None, set_aside: Rows | None, said: str) -> None:
    assert problems(decided=decided, set_aside=set_aside) == [said]


def test_every_kind_has_a_row_good_payments_first() -> None:
    books = reconcile(
        pl.DataFrame(GOODS + BADS, schema=SENT, orient="row"),
        pl.DataFrame(DECISIONS, schema=DECIDED, orient="row"),
        pl.DataFrame(LETTERS, schema=SET_ASIDE, orient="row"),
    )
    assert books.kinds.select("kind", "sent", "decided", "set_aside", "codes").rows() == [
        (GOOD, 3, 3, 0, ""),
        ("tombstone", 1, 0, 1, "empty"),
        ("truncated", 1, 0, 1, "malformed_json"),
    ]
