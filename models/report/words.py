"""Numbers as the reports write them; what could not be measured is said to be so."""

import math
from datetime import UTC, datetime

from models.report.findings.alerts import INDIA_MS
from models.report.findings.rates import Rate

UNKNOWN = "–"
SPACE = "\N{NO-BREAK SPACE}"
LAKH, CRORE = 100_000, 10_000_000


def percent(share: float | None, digits: int = 1) -> str:
    """`66.2 %` of 0.662; small shares keep two digits that say something."""
    if share is None or math.isnan(share):
        return UNKNOWN
    value = 100 * share
    if 0 < abs(value) < 10**-digits:
        return f"{value:.1g}{SPACE}%" if abs(value) >= 1e-4 else f"under{SPACE}0.0001{SPACE}%"
    return f"{value:.{digits}f}{SPACE}%"


def count(value: float | None) -> str:
    """`45,000`; a fraction only of what is small."""
    if value is None or math.isnan(value):
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def number(value: float | None, digits: int = 3) -> str:
    return UNKNOWN if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def rupees(value: float) -> str:
    """`₹27.9 lakh`, as amounts are read in India."""
    if math.isnan(value):
        return UNKNOWN
    if value < 0:
        return f"−{rupees(-value)}"
    if value >= CRORE:
        return f"₹{value / CRORE:,.2f}{SPACE}crore"
    return f"₹{value / LAKH:,.1f}{SPACE}lakh" if value >= LAKH else f"₹{value:,.0f}"


def interval(rate: Rate, digits: int = 1) -> str:
    """`60.5 – 71.4 %`."""
    if not rate.total:
        return UNKNOWN
    return f"{100 * rate.low:.{digits}f}{SPACE}–{SPACE}{100 * rate.high:.{digits}f}{SPACE}%"


def brief(rate: Rate) -> str:
    """`66 % (61–71)`."""
    if not rate.total:
        return UNKNOWN
    return f"{100 * rate.share:.0f}{SPACE}%{SPACE}({100 * rate.low:.0f}–{100 * rate.high:.0f})"


def one_in(share: float | None) -> str:
    """`1 in 40` of 0.025."""
    if share is None or math.isnan(share):
        return UNKNOWN
    if share in (0, 1):
        return "all" if share else "none"
    return f"1{SPACE}in{SPACE}{1 / share:,.0f}" if share <= 0.5 else percent(share, 0)


def odds(value: float) -> str:
    """`1 to 40`, `10 to 1`."""
    return f"1{SPACE}to{SPACE}{_short(1 / value)}" if value < 1 else f"{_short(value)}{SPACE}to{SPACE}1"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def plural(value: float, what: str) -> str:
    """`1 day`, `7 days`."""
    return f"{value:g}{SPACE}{what}" + ("" if value == 1 else "s")


def title(name: str) -> str:
    """`sim swap` of `sim_swap`."""
    return name.replace("_", " ")


def utc(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime(f"%Y-%m-%d{SPACE}%H:%M")


def india(epoch_ms: int) -> str:
    return datetime.fromtimestamp((epoch_ms + INDIA_MS) / 1000, UTC).strftime("%d %b %Y, %H:%M")
