"""bench/model_settings.toml: what each contestant is given. A table for each, of plain values."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.environment import ROOT
from bench.errors import BenchError

SETTINGS = ROOT / "bench" / "model_settings.toml"
TABLES = ("champion", "logistic_regression", "random_forest", "lightgbm")

ModelSettings = Mapping[str, Mapping[str, Any]]


def load(path: Path = SETTINGS) -> ModelSettings:
    """The settings by contestant, lists as tuples. Raises BenchError."""
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"{path} cannot be read: {error}", hint="give a TOML file with --settings") from error
    if unlike := sorted(set(tables) ^ set(TABLES)):
        raise BenchError(
            f"{path.name} lacks or does not know: {', '.join(unlike)}", hint=f"its tables are {', '.join(TABLES)}"
        )
    return {name: {key: _frozen(value) for key, value in table.items()} for name, table in tables.items()}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
