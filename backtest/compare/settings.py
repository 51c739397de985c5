"""What a comparison takes for granted: the people there are for alerts, what their work costs, how chance is drawn."""

from typing import Annotated

import msgspec
import polars as pl
from msgspec import Meta

from schemas.errors import FraudStreamError

AtLeastZero = Annotated[float, Meta(ge=0)]


class CompareError(FraudStreamError):
    """A comparison that cannot be made as asked."""


class CompareSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a comparison; all of them stand in its result. Raises CompareError for a time zone unknown."""

    analysts: AtLeastZero = 4
    """People who look at alerts on an average day."""
    alerts_per_analyst: AtLeastZero = 60
    """Alerts that one of them handles in a day."""
    review_cost: AtLeastZero = 50
    """Cost of an alert, right or wrong, in rupees."""
    recovered_share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Share of a fraud's rupees that an alert saves."""
    label_delay_ms: Annotated[int, Meta(ge=0)] | None = None
    """Frauds of so long before the window's end may not be known yet; None: the run's, or else as measured."""
    time_zone: str = "UTC"
    """Of days and hours; an IANA name as Asia/Kolkata."""
    draws: Annotated[int, Meta(ge=1, le=100_000)] = 500
    """Resamples of the payers."""
    seed: int = 7
    examples: Annotated[int, Meta(ge=0, le=100)] = 5
    """Payments shown of each sort."""

    def __post_init__(self) -> None:
        try:
            pl.Series([0]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(self.time_zone)
        except pl.exceptions.PolarsError:
            raise CompareError(
                f"there is no time zone {self.time_zone}", hint="give a name as UTC or Asia/Kolkata"
            ) from None

    @property
    def capacity(self) -> float:
        """Alerts that can be looked at in a day."""
        return self.analysts * self.alerts_per_analyst
