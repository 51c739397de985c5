"""What a participant is told, as one argument of JSON. Python's own library only: each runs where it is at home."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """The reduced job for one participant in one run."""

    bootstrap_servers: str
    group: str
    """Consumer group, and whatever else needs a name of its own."""
    transactions: str
    alerts: str
    partitions: int
    model: str
    threshold: float
    """The lowest score that is an alert."""
    directory: str
    """Empty, for state."""
    settings: dict[str, Any]
    """How the participant is tuned, in its own names."""

    def argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def given(cls) -> "Job":
        """From the command line."""
        return cls(**json.loads(sys.argv[1]))
