"""Times as people write them on the command line."""

from datetime import UTC, datetime

from fraudstream.errors import UserError

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def epoch_ms(text: str) -> int:
    """Epoch ms of `2026-01-31`, `2026-01-31T12:00`, either with an offset or else in UTC, or of the number itself."""
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{text} is not a time", hint="Write 2026-01-31, 2026-01-31T12:00+05:30, or epoch milliseconds."
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def show_time(epoch_ms: int) -> str:
    """An epoch ms time as people read it, in UTC."""
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{epoch_ms % 1000:03d} UTC"


def duration_ms(text: str) -> int:
    """Milliseconds of `7d`, `12h`, `30m`, `1.5d`; a bare number is not a duration."""
    number = text.rstrip("".join(_UNITS_MS))
    unit = _UNITS_MS.get(text[len(number) :])
    try:
        if unit is None or float(number) < 0:
            raise ValueError
        return round(float(number) * unit)
    except (ValueError, OverflowError):
        raise UserError(f"{text} is not a span of time", hint="Write 7d, 12h, 30m or 45s.") from None
