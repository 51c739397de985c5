"""The books of the fault suite: which row ran, what befell the workers, what the oracle found.

Tests write into it through the fixture `row`; as lines of JSON it goes to the file named by FAULTS_LEDGER, from which
`python -m bench.faults` shows its progress and makes its table.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.oracle import Findings

LEDGER_FILE = "FAULTS_LEDGER"


@dataclass
class Ledger:
    """Events in the order in which they happen."""

    path: Path | None = field(default_factory=lambda: Path(name) if (name := os.environ.get(LEDGER_FILE)) else None)

    def write(self, event: str, **fields: Any) -> None:
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"event": event, **fields}) + "\n")

    def row(self, number: int, findings: Findings, kills: int = 0) -> None:
        """One run of a row of the fault matrix."""
        self.write(
            "run",
            row=number,
            kills=kills,
            payments=findings.payments,
            lost=findings.lost,
            doubled=findings.doubled,
            disordered=findings.disordered,
            problems=findings.problems[:10],
        )
