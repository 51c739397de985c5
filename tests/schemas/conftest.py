"""Records made by hypothesis, and one payment."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import strategies as st

from kit.records import records_of
from schemas.transaction import Transaction


@pytest.fixture(scope="session")
def strategy() -> Callable[[type[msgspec.Struct]], st.SearchStrategy[msgspec.Struct]]:
    """`strategy(Record)`: valid records of that kind, at and within every limit."""
    return records_of


@pytest.fixture(scope="session")
def payment() -> Transaction:
    return Transaction(
        transaction_id="HDF1234567890",
        event_time=1_760_000_000_000,
        payer="asha@okbank",
        payee="tea.stall@upi",
        amount=12_000,
    )
