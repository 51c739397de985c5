"""Another build beside this one: a copy of the packages, changed as a release might change them.

The payer's record gets a field, `screen_shares`, and with it version 2; the catalogue gets a feature, `amount_paise`,
that needs only the payment. No feature reads the new field yet: see `models.state_format`.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("fraudstream", "agents", "stream", "models", "schemas", "simulator", "bench")
RECORD = """
PAYER_1, PAYER_1_CODEC = PAYER, RecordCodec(PAYER, version=1, histories=HISTORIES)
_FIELDS = [(name, PAYER.fields[name][0]) for name in PAYER.names]
_AT = PAYER.names.index("recent_id")
PAYER = np.dtype([*_FIELDS[:_AT], ("screen_shares", "u4"), *_FIELDS[_AT:]])
PAYER_CODEC = RecordCodec(PAYER, version=2, histories=HISTORIES, older=Older(PAYER_1_CODEC))
"""
FEATURE = """        feature("amount_paise", "count", "Paise beside the rupees", "Paise beside the rupees: {value}"),
"""
_FIRST_OF_TRANSACTION = """    feature = _in_group("transaction")

    return (
"""


@dataclass(frozen=True)
class Build:
    """Where a build's packages lie; None: this one's."""

    packages: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What makes a Python process run it, whatever its working directory."""
        return {"PYTHONPATH": f"{self.packages}", "PYTHONSAFEPATH": "1"} if self.packages else {}


def make_newer_build(directory: Path) -> Build:
    """Copy the packages to `directory` and change them."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(name: str, *changes: tuple[str, str]) -> None:
        path = directory / name
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{name} has changed: {old!r}"
            text = text.replace(old, new)
        path.write_text(text)

    edit(
        "models/payer_state.py",
        ("import History, RecordCodec", "import History, Older, RecordCodec"),
        ("PAYER_CODEC = RecordCodec(\n    PAYER,\n    version=1,\n    histories=(", "HISTORIES = ("),
        ("    ),\n)\n", ")\n" + RECORD),
    )
    edit(
        "models/engine.py",
        (
            "    remember_behaviour(s, p)\n",
            "    remember_behaviour(s, p)\n    s.screen_shares += p.screen_shared == 1\n",
        ),
        ("    s.sessions = 0\n", "    s.sessions = 0\n    s.screen_shares = 0\n"),
    )
    edit("models/catalogue.py", _followed(_FIRST_OF_TRANSACTION, FEATURE))
    edit(
        "models/features/transaction.py",
        _followed("    f.network_risk_score = p.network_risk_score\n", "    f.amount_paise = p.amount % 100\n"),
    )
    return Build(directory)


def _followed(text: str, more: str) -> tuple[str, str]:
    return text, text + more
