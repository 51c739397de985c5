"""The state format: one number over the records of payers and entities, raised with each change of either.

A build reads every format up to its own, and writes its own, or an older one as long as builds that know no other run
beside it. What only a newer record holds is forgotten with each write then, so a field is kept for one release before
a feature reads it: until then no feature depends on which format was written.
"""

from models.entity_state import ENTITY_CODEC
from models.payer_state import PAYER_CODEC
from models.record_codec import FormatError, RecordCodec
from schemas.errors import FraudStreamError

STATE_FORMAT = max(PAYER_CODEC.version, ENTITY_CODEC.version)
"""The newest that this build writes."""


class StateFormatError(FraudStreamError):
    """A state format that this build cannot write."""


def codecs(state_format: int | None = None) -> tuple[RecordCodec, RecordCodec]:
    """Codecs of payers' and entities' records that write `state_format`, or the newest. Raises StateFormatError."""
    wanted = STATE_FORMAT if state_format is None else state_format
    try:
        if wanted > STATE_FORMAT:
            raise FormatError(f"this build writes no state format after {STATE_FORMAT}")
        return PAYER_CODEC.writing(wanted), ENTITY_CODEC.writing(wanted)
    except FormatError as error:
        raise StateFormatError(
            f"{error}, asked for was {wanted}", hint="leave --state-format out, or see docs/operations.md, Upgrades"
        ) from error
